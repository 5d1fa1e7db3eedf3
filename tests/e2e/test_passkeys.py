"""Passkeys in a real browser, with Chromium's virtual authenticator in place of a finger: set up, sign
in by it alone, and as second factor."""

import re
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from pytest_django.live_server_helper import LiveServer

from core.audit.models import AuditLine

PASSWORD = "right-and-long-enough"
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def visitor(browser: Browser, tables: None, live_server: LiveServer) -> Iterator[Page]:
    """A tab of somebody with an account and an authenticator, who has not signed in yet."""
    User.objects.create_superuser("ada", "ada@example.org", PASSWORD)
    context = browser.new_context(base_url=live_server.url)
    page = context.new_page()
    page.set_default_timeout(30_000)
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    devices = context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    yield page
    context.close()
    assert complaints == []


def sign_in_by_password(page: Page) -> None:
    page.goto("/login/")
    page.fill("[name=login]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def test_a_passkey_signs_in_alone_and_is_asked_for_after_a_password(visitor: Page) -> None:
    page = visitor
    sign_in_by_password(page)
    expect(page).to_have_url(re.compile(r"//[^/]+/$"))
    page.goto("/account/2fa/webauthn/add/")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.fill("[name=name]", "laptop")
    page.check("[name=passwordless]")
    page.locator("#mfa_webauthn_add").click()
    expect(page).not_to_have_url(re.compile("/webauthn/add/"))
    page.goto("/account/2fa/webauthn/")
    expect(page.get_by_text("laptop")).to_be_visible()

    page.get_by_role("button", name="Log out").click()
    page.goto("/login/?next=/prices/")
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page).to_have_url(re.compile("/prices/$"))

    page.get_by_role("button", name="Log out").click()
    sign_in_by_password(page)
    expect(page).to_have_url(re.compile("/account/2fa/authenticate/"))
    page.goto("/prices/")
    expect(page).to_have_url(re.compile("/account/2fa/authenticate/"))  # the password alone opens nothing
    page.locator("#mfa_webauthn_authenticate").click()
    expect(page).to_have_url(re.compile(r"//[^/]+/$"))
    actions = [line.action for line in AuditLine.objects.filter(actor="ada")]
    assert "webauthn added" in actions
    assert actions.count("signed in") == 3
