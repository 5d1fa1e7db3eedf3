"""All addresses of the portal."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path, reverse_lazy

from portal import overview

_change_password = auth.PasswordChangeView.as_view(
    template_name="portal/password_change.html", success_url=reverse_lazy("overview")
)

urlpatterns = [
    path("", overview.page, name="overview"),
    path("login/", auth.LoginView.as_view(template_name="portal/login.html"), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("password/", _change_password, name="password_change"),
    path("", include("usage.urls")),
    path("admin/", admin.site.urls),
]
