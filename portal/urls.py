"""All addresses of the portal."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from portal import jump, marks, overview, settings_view
from portal.sign_in import ChangePassword

urlpatterns = [
    path("", overview.page, name="overview"),
    path("jump.json", jump.places, name="jump"),
    path("marks/<slug:board_id>/<slug:panel_id>.json", marks.marks, name="panel-marks"),
    path("login/", auth.LoginView.as_view(template_name="portal/login.html"), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("password/", ChangePassword.as_view(), name="password_change"),
    path("api/v1/", include("portal.promapi.urls")),
    path("explore/", include("portal.explore.urls")),
    path("settings/", settings_view.page, name="settings"),
    path("", include("usage.urls")),
    path("", include("alerts.urls")),
    path("admin/", admin.site.urls),
]
