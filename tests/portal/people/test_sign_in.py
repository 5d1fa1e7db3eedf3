"""Signing in: by a real OpenID provider with groups, by a reverse proxy's header,
throttled by address and never by account."""

import html
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from oidc_provider_mock import User as ProviderUser
from oidc_provider_mock import run_server_in_thread

from core.accounts.models import Membership, Workspace
from core.accounts.people import PeopleError, set_active, set_admin
from core.audit.models import AuditLine
from portal.people.attempts import network_of
from portal.people.providers import parse_providers, roles_of
from tests.servers import SmtpServer

pytestmark = pytest.mark.django_db
ROLES = {"llm-team": ["production:operator"], "everybody": ["production:viewer"], "platform": ["portal"]}


@pytest.fixture(autouse=True)
def no_counts() -> Iterator[None]:
    """Failed attempts of other tests do not count."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def provider(settings: Any, configure: Callable[..., Any]) -> Iterator[Callable[..., None]]:
    """A running OpenID provider, set up as the only one; call it with the claims of `ada` to change them."""
    ada = ProviderUser(
        sub="ada", claims={"email": "ada@example.org", "preferred_username": "ada", "groups": ["llm-team"]}
    )
    with run_server_in_thread(user_claims=[ada]) as server:
        text = json.dumps(
            [
                {
                    "id": "company",
                    "name": "Company",
                    "url": f"http://localhost:{server.server_port}",
                    "client_id": "portal",
                    "client_secret": "secret",
                    "roles": ROLES,
                }
            ]
        )
        configure(oidc_providers=text)
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [one.app() for one in parse_providers(text)]}}

        def change(**claims: Any) -> None:
            url = f"http://localhost:{server.server_port}/users/ada"
            body = {"email": "ada@example.org", "preferred_username": "ada", **claims}
            assert requests.put(url, json=body, timeout=10).ok

        yield change


def sign_in(client: Client, subject: str = "ada") -> Any:
    """Walk the whole way: the button, the provider's form, and back."""
    page = client.get("/login/").content.decode()
    found = re.search(r'action="([^"]*company[^"]*)"', page)
    assert found, "no button of the provider"
    start = client.post(html.unescape(found[1]))
    assert start.status_code == 302
    consent = requests.post(start["Location"], data={"sub": subject}, allow_redirects=False, timeout=10)
    back = urlsplit(consent.headers["Location"])
    return client.get(f"{back.path}?{back.query}")


def test_a_real_openid_provider_signs_somebody_in_with_the_roles_of_their_groups(
    client: Client, provider: Callable[..., None]
) -> None:
    workspace = Workspace.objects.create(slug="production", name="Production")
    answer = sign_in(client)
    assert answer.status_code == 302, answer.content.decode()
    user = User.objects.get(email="ada@example.org")
    assert (user.username, user.is_superuser, user.has_usable_password()) == ("ada", False, False)
    assert Membership.objects.get(user=user, workspace=workspace).role == "operator"
    assert client.get("/keys/new/").status_code == 200
    assert {"created", "signed in", "changed the role of"} <= {
        line.action for line in AuditLine.objects.filter(actor="ada")
    }


def test_roles_follow_the_groups_at_every_sign_in(client: Client, provider: Callable[..., None]) -> None:
    workspace = Workspace.objects.create(slug="production", name="Production")
    User.objects.create_superuser("other")
    sign_in(client)
    user = User.objects.get(email="ada@example.org")
    for groups, role, is_admin in ((["everybody"], "viewer", False), (["platform"], None, True), ([], None, False)):
        provider(groups=groups)
        assert sign_in(Client()).status_code == 302
        user.refresh_from_db()
        membership = Membership.objects.filter(user=user, workspace=workspace).first()
        assert (membership and membership.role, user.is_superuser) == (role, is_admin)


def test_who_signs_in_by_a_provider_confirms_there_and_what_was_held_back_goes_on(
    client: Client, provider: Callable[..., None]
) -> None:
    workspace = Workspace.objects.create(slug="production", name="Production")
    other = User.objects.create_user("other")
    provider(groups=["platform"])
    sign_in(client)
    form = {"do": "role", "workspace": workspace.pk, "role": "operator"}
    assert client.post(f"/people/{other.pk}/change", form)["Location"] == f"/people/{other.pk}/", "just signed in"
    long_ago = client.session
    long_ago["account_authentication_methods"][-1]["at"] -= 3600
    long_ago.save()
    held = client.post(f"/people/{other.pk}/change", {**form, "role": "admin"})
    assert held["Location"].startswith("/account/confirm/")
    assert Membership.objects.get(user=other).role == "operator"
    page = client.get(held["Location"]).content.decode()
    address = re.search(r'action="([^"]*company[^"]*)"', page)
    assert address
    start = client.post(html.unescape(address[1]))
    assert "prompt=login" in start["Location"]
    done = requests.post(start["Location"], data={"sub": "ada"}, allow_redirects=False, timeout=10)
    back = urlsplit(done.headers["Location"])
    client.get(f"{back.path}?{back.query}", follow=True)
    assert Membership.objects.get(user=other).role == "admin"


def test_somebody_deactivated_is_not_let_in_by_the_provider(client: Client, provider: Callable[..., None]) -> None:
    sign_in(client)
    user = User.objects.get(email="ada@example.org")
    set_active(user, False)
    assert client.get("/").status_code == 302
    sign_in(client)
    assert client.get("/").status_code == 302


def test_a_group_may_give_several_roles_and_the_highest_counts() -> None:
    (one,) = parse_providers(json.dumps([{"id": "x", "name": "X", "url": "u", "client_id": "c", "roles": ROLES}]))
    assert roles_of(one, ["everybody", "llm-team", "unknown"]) == (False, {"production": "operator"})
    assert roles_of(one, ["platform"]) == (True, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{", "truncated"),
        ('[{"id": "x"}]', "missing required field"),
        ('[{"id": "x", "name": "X", "url": "u", "client_id": "c", "roles": {"g": ["king"]}}]', "neither `portal` nor"),
        ('[{"id": "x", "name": "X", "url": "u", "client_id": "c", "scope": "y"}]', "unknown field"),
    ],
)
def test_providers_that_cannot_be_read_stop_the_start(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_providers(text)


def test_the_proxys_header_is_believed_from_its_addresses_only(client: Client, configure: Callable[..., Any]) -> None:
    configure(proxy_user_header="X-Forwarded-User", proxy_addresses=("10.1.0.0/16",))
    header = {"HTTP_X_FORWARDED_USER": "grace"}
    assert client.get("/", REMOTE_ADDR="10.2.0.1", **header).status_code == 302
    assert not User.objects.exists()
    assert client.get("/", REMOTE_ADDR="10.1.0.1", **header).status_code == 200
    assert not User.objects.get(username="grace").has_usable_password()
    assert client.get("/", REMOTE_ADDR="10.1.0.1").status_code == 302, "the header ended, and the session with it"


def test_failed_sign_ins_are_throttled_and_lock_nobody_else_out() -> None:
    for name in ("ada", "grace"):
        User.objects.create_user(name, f"{name}@example.org", password="right-and-long-enough")
    office, elsewhere = "203.0.113.5", "198.51.100.9"
    right = {"login": "ada", "password": "right-and-long-enough"}
    known = Client()
    assert known.post("/login/", right, REMOTE_ADDR=office).status_code == 302
    known.post("/logout/")
    guessing = [Client() for _ in range(12)]
    said = [
        one.post("/login/", {"login": "ada", "password": "wrong"}, REMOTE_ADDR=office).content.decode()
        for one in guessing
    ]
    assert ["Too many failed" in text for text in said] == [False] * 10 + [True] * 2
    assert Client().post("/login/", right, REMOTE_ADDR=office).status_code == 200, "this account, from this address"
    assert Client().post("/login/", {**right, "login": "grace"}, REMOTE_ADDR=office).status_code == 302
    assert Client().post("/login/", right, REMOTE_ADDR=elsewhere).status_code == 302
    assert known.post("/login/", right, REMOTE_ADDR=office).status_code == 302, "a browser where she signed in before"


def test_a_network_of_ipv6_counts_as_one_address() -> None:
    User.objects.create_user("ada", "ada@example.org", password="right-and-long-enough")
    for number in range(10):
        Client().post("/login/", {"login": "ada", "password": "wrong"}, REMOTE_ADDR=f"2001:db8:1:2::{number:x}")
    right = {"login": "ada", "password": "right-and-long-enough"}
    assert Client().post("/login/", right, REMOTE_ADDR="2001:db8:1:2:ffff::1").status_code == 200, "the same /64"
    assert Client().post("/login/", right, REMOTE_ADDR="2001:db8:1:3::1").status_code == 302


def test_other_addresses_count_as_they_are() -> None:
    kept = ("203.0.113.5", "unix:", "2001:db8:1:2::")
    assert [network_of(address) for address in kept] == list(kept)
    assert network_of("::ffff:203.0.113.5") == "203.0.113.5"


def test_a_known_browser_is_throttled_too_and_stands_for_its_own_account_only() -> None:
    for name in ("ada", "grace"):
        User.objects.create_user(name, password="right-and-long-enough")
    known = Client()
    known.post("/login/", {"login": "ada", "password": "right-and-long-enough"})
    known.post("/logout/")
    for login in ("ada", "grace"):
        said = [known.post("/login/", {"login": login, "password": "wrong"}).content.decode() for _ in range(11)]
        assert ["Too many failed" in text for text in said] == [False] * 10 + [True], login


def test_attempts_are_counted_in_postgres_for_all_processes(client: Client) -> None:
    client.post("/login/", {"login": "ada", "password": "wrong"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sign_in_attempts WHERE cache_key LIKE '%login_failed%'")
        assert cursor.fetchone()[0] > 0


def test_one_time_codes_are_asked_for_stored_encrypted_and_in_the_audit_log(
    client: Client, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    user = User.objects.create_user("ada", password="right-and-long-enough")
    right = {"login": "ada", "password": "right-and-long-enough"}
    assert client.post("/login/", right)["Location"] == "/"
    page = client.get("/account/2fa/totp/activate/", follow=True)
    if page.redirect_chain:
        page = client.post(page.redirect_chain[-1][0], {"password": right["password"]}, follow=True)
    secret = page.context["form"].secret
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post("/account/2fa/totp/activate/", {"code": code}).status_code == 302
    stored = Authenticator.objects.get(user=user, type="totp")
    assert secret not in json.dumps(stored.data)
    assert "totp activated" in [line.action for line in AuditLine.objects.filter(actor="ada")]
    second = Client()
    assert second.post("/login/", right)["Location"].startswith("/account/2fa/authenticate/")
    assert second.get("/").status_code == 302, "the password alone opens nothing"
    assert Client().post("/admin/login/", {"username": "ada", "password": right["password"]}).status_code == 302


def test_sessions_are_listed_and_ended(client: Client) -> None:
    User.objects.create_user("ada", password="right-and-long-enough")
    other = Client()
    for one in (client, other):
        one.post("/login/", {"login": "ada", "password": "right-and-long-enough"})
        assert one.get("/").status_code == 200
    assert len(client.get("/account/sessions/").context["sessions"]) == 2
    client.post("/account/sessions/")
    assert (client.get("/").status_code, other.get("/").status_code) == (200, 302)


def test_a_password_is_reset_by_a_link_in_a_mail(
    client: Client, smtp_server: SmtpServer, configure: Callable[..., Any], settings: Any
) -> None:
    settings.EMAIL_BACKEND = "portal.people.mail.PortalMail"
    configure(email_url=smtp_server.url, email_from="portal@example.org")
    User.objects.create_user("ada", "ada@example.org", password="forgotten-long-ago")
    assert client.post("/account/password/reset/", {"email": "ada@example.org"}).status_code == 302
    text = smtp_server.messages[0].message.get_content()
    path = urlsplit(re.search(r"https?://\S+", text)[0]).path  # type: ignore[index]
    form = client.get(path, follow=True)
    new = {"password1": "a-new-and-better-one", "password2": "a-new-and-better-one"}
    assert client.post(form.redirect_chain[-1][0], new).status_code == 302
    assert client.post("/login/", {"login": "ada", "password": "a-new-and-better-one"})["Location"] == "/"


def test_nobody_makes_an_account_for_themselves(client: Client) -> None:
    form = {
        "username": "eve",
        "email": "eve@example.org",
        "password1": "long-enough-word",
        "password2": "long-enough-word",
    }
    client.post("/account/signup/", form)
    assert not User.objects.exists()


def test_the_last_administrator_stays() -> None:
    only = User.objects.create_superuser("only")
    for change in (set_admin, set_active):
        with pytest.raises(PeopleError):
            change(only, False)
    User.objects.create_superuser("second")
    set_admin(only, False)
    assert not User.objects.get(pk=only.pk).is_superuser
