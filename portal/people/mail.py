"""Mail of sign-in and invitations, by the server that EMAIL_URL names, as for notifications."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.core.mail.backends.smtp import EmailBackend
from django.urls import reverse

from alerts.notify.transports.contract import DeliveryError
from alerts.notify.transports.email import parse_server
from core.accounts.models import Invitation


class PortalMail(EmailBackend):
    """Django's SMTP with the portal's setting. Raises DeliveryError where none is set."""

    def __init__(self, **kwargs: Any) -> None:
        server = parse_server(settings.PORTAL.email_url)
        super().__init__(
            host=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password or None,
            use_tls=server.tls == "starttls",
            use_ssl=server.tls == "implicit",
            timeout=10,
            **kwargs,
        )


def link_of(token: str) -> str:
    """The address at which an invitation is accepted."""
    return str(settings.PORTAL.public_url + reverse("join", args=[token]))


def mail_invitation(invitation: Invitation, link: str) -> str:
    """Mail the link; empty, or why it was not mailed."""
    if not invitation.email:
        return "no address was given"
    text = (
        f"You are invited to {invitation.workspace.name} on the LLM usage portal:\n\n{link}\n\nThe link works once,"
        " within a week.\n"
    )
    try:
        send_mail("Invitation to the LLM usage portal", text, settings.PORTAL.email_from, [invitation.email])
    except (DeliveryError, OSError) as error:
        return f"the mail could not be sent: {error}"
    return ""
