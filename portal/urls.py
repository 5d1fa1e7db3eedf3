"""All addresses of the portal."""

from allauth.account import views as account
from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from portal import overview
from portal.exports import metrics_view
from portal.people import confirm, pages
from portal.shell import annotations, palette, settings_page
from portal.shell.sign_in import ChangePassword

# Django's own form would let in without the second factor.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # as allauth documents it

urlpatterns = [
    path("", overview.page, name="overview"),
    path("palette.json", palette.places, name="palette"),
    path("annotations/<slug:board_id>/<slug:panel_id>.json", annotations.of_panel, name="panel-annotations"),
    path("login/", account.login, name="login"),
    path("logout/", account.logout, name="logout"),
    path("password/", ChangePassword.as_view(), name="password_change"),
    path("api/v2/", include("alerts.alertmanager.urls")),
    path("api/", include("portal.api.urls")),
    path("api/", include("portal.jaeger.urls")),
    path("explore/", include("portal.explore.urls")),
    path("audit/", include("core.audit.urls")),
    path("metrics", metrics_view.metrics, name="metrics"),
    path("settings/", settings_page.page, name="settings"),
    path("", include("usage.urls")),
    path("", include("telemetry.urls")),
    path("", include("telemetry.pages.urls")),
    path("", include("alerts.urls")),
    path("account/", pages.account, name="account"),
    path("account/confirm/", confirm.page, name="confirm"),
    path("people/", pages.page, name="people"),
    path("people/invite/", pages.invite, name="invite"),
    path("people/<int:user_id>/", pages.person, name="person"),
    path("people/<int:user_id>/change", pages.change, name="person-change"),
    path("people/invitations/<int:invitation_id>/withdraw", pages.withdraw, name="invitation-withdraw"),
    path("people/workspaces/new/", pages.workspace, name="workspace-new"),
    path("people/workspaces/<slug:slug>/", pages.workspace, name="workspace"),
    path("join/<str:token>/", pages.join, name="join"),
    path("account/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]

handler500 = "portal.shell.errors.server_error"
