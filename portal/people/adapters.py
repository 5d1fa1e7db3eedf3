"""What allauth asks the portal: who may make an account, what a sign-in means for roles, and how mail is sent."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal import ratelimit
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.internal.flows.login import record_authentication
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse

from alerts.notify.encryption import decrypt, encrypt
from core.accounts.confirmation import providers_of
from core.accounts.people import set_roles
from core.accounts.preferences import preferences_of
from core.audit.record import record
from portal.people import attempts
from portal.people.providers import Provider, parse_providers, roles_of
from portal.shell.navigation import reachable


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Accounts are made by invitation, by an administrator, or by an OpenID provider;
    nobody makes one for themselves."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def get_reauthentication_methods(self, user: User) -> list[dict[str, str]]:
        """How somebody confirms that it is still them; who signs in by a provider only does so there."""
        found: list[dict[str, str]] = super().get_reauthentication_methods(user)
        if found or not any(provider_of(one) for one in providers_of(user)):
            return found
        return [{"id": "provider", "description": "Sign in again", "url": reverse("confirm")}]

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> Any:
        """A sign-in is a line of the audit log, and the browser is known from then on."""
        record("signed in", user, by=user)
        answer = super().post_login(request, user, **kwargs)
        attempts.remember_browser(request, answer, user)
        return answer

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """The page that the person chose to begin with."""
        chosen = preferences_of(request.user).landing_page
        known = {entry.url_name for entry in reachable(request)}
        return reverse(chosen) if chosen in known else str(super().get_login_redirect_url(request))

    def get_client_ip(self, request: HttpRequest) -> str:
        """Where a request comes from, as attempts are counted and sessions listed: of IPv6 the /64, all of which a
        household or a rented server has."""
        return attempts.network_of(super().get_client_ip(request))

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count an attempt to sign in with a password. Raises a validation error beyond the rate."""
        action, key = attempts.counted_as(request, credentials, self.get_client_ip(request))
        self._login_failed_rl_usage = ratelimit.consume(request, app="allauth.account", action=action, key=key)
        if not self._login_failed_rl_usage:
            raise self.validation_error("too_many_login_attempts")

    def send_notification_mail(self, template_prefix: str, user: User, *args: Any, **kwargs: Any) -> None:
        """allauth tells of each change of how somebody signs in (password, codes,
        passkeys, providers): a line of the audit log."""
        record(template_prefix.rpartition("/")[2].replace("_", " "), user, by=user)
        super().send_notification_mail(template_prefix, user, *args, **kwargs)


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Who signs in by a provider gets an account, and the roles that their groups give them."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Whoever the provider lets in."""
        return True

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """At every sign-in the roles follow the groups."""
        if sociallogin.is_existing:
            self._apply(sociallogin)
            if sociallogin.state.get("process") == AuthProcess.REDIRECT and sociallogin.user == request.user:
                record_authentication(request, sociallogin)  # it was only to confirm that it is still them

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> User:
        """A new account with its roles."""
        user: User = super().save_user(request, sociallogin, form)
        record("created", user, after={"email": user.email, "provider": sociallogin.account.provider}, by=user)
        self._apply(sociallogin)
        return user

    def _apply(self, sociallogin: Any) -> None:
        provider = provider_of(sociallogin.account.provider)
        if provider is not None and provider.roles:
            is_admin, roles = roles_of(provider, groups_of(sociallogin.account.extra_data, provider.groups_claim))
            set_roles(sociallogin.user, is_admin, roles, by=sociallogin.user)


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Secrets of one-time codes are stored encrypted, as those of channels are."""

    def encrypt(self, text: str) -> str:
        """As it is stored."""
        return encrypt({"secret": text}).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """As it was. Raises SecretLost where the portal's key was changed."""
        return str(decrypt(encrypted_text.encode())["secret"])


def provider_of(provider_id: str) -> Provider | None:
    """The provider of the settings with this id."""
    found = (one for one in parse_providers(settings.PORTAL.oidc_providers) if one.id == provider_id)
    return next(found, None)


def groups_of(data: dict[str, Any], claim: str) -> list[str]:
    """The groups in what the provider said: of the user info, else of the ID token."""
    for part in (data.get("userinfo"), data.get("id_token"), data):
        if isinstance(part, dict) and claim in part:
            value = part[claim]
            return [str(one) for one in value] if isinstance(value, list) else [str(value)]
    return []
