"""The pages of keys: made once, shown once, revoked at once."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.accounts import keys
from core.accounts.models import ApiKey
from tests.people import People, browser_of, make_people

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> People:
    return make_people()


def text_of(answer: Any) -> str:
    """The page with single spaces, as a browser shows it; a no-break space stays."""
    return re.sub(r"[ \n]+", " ", answer.content.decode())


def typed(people: People, **changes: object) -> dict[str, object]:
    return {"name": "checkout", "workspace": people.production.pk, "scopes": ["ingest"], "lifetime": "90", **changes}


def test_the_plaintext_is_shown_once_with_a_curl_line_that_works(people: People) -> None:
    owner = browser_of(people.owner)
    answer = owner.post("/keys/new/", typed(people))
    page = text_of(answer)
    found = re.search(r'id="plaintext">(llmu_[^<]+)<', page)
    assert found is not None
    plaintext = found[1]
    assert f'curl http://127.0.0.1:8000/api/v1/usage -H "Authorization: Bearer {plaintext}"' in page
    assert "no-store" in answer.headers["Cache-Control"]
    assert plaintext not in text_of(owner.get("/keys/"))
    key = ApiKey.objects.get()
    assert (key.digest, key.created_by, key.expires_at is not None) == (keys.digest_of(plaintext), people.owner, True)


def test_members_see_the_keys_of_their_workspaces(people: People) -> None:
    keys.create_key("checkout", people.production)
    for person, there in (
        (people.owner, True),
        (people.teammate, True),
        (people.outsider, False),
        (people.admin, True),
    ):
        assert ("checkout" in text_of(browser_of(person).get("/keys/"))) is there
    assert Client().get("/keys/").status_code == 302


def test_only_operators_make_keys_and_only_in_their_workspaces(people: People) -> None:
    assert browser_of(people.teammate).get("/keys/new/").status_code == 403
    assert Client().get("/keys/new/").status_code == 302
    answer = browser_of(people.outsider).post("/keys/new/", typed(people))
    assert answer.status_code == 422
    assert "workspace" in answer.context["form"].errors
    assert not ApiKey.objects.exists()


def test_what_was_typed_is_kept_beside_the_error(people: People) -> None:
    answer = browser_of(people.owner).post("/keys/new/", typed(people, scopes=[], rate="7"))
    assert answer.status_code == 422
    assert 'value="checkout"' in text_of(answer)
    assert 'value="7"' in text_of(answer)


def test_revoking_asks_and_refuses_from_then_on(people: People) -> None:
    key, plaintext = keys.create_key("checkout", people.production)
    page = f"/keys/{key.pk}/revoke/"
    owner = browser_of(people.owner)
    assert "is refused with 401" in text_of(owner.get(page))
    owner.post(page)
    api = Client().post(
        "/api/v1/usage", "{}", content_type="application/json", headers={"Authorization": f"Bearer {plaintext}"}
    )
    assert api.status_code == 401
    assert "revoked" in text_of(owner.get("/keys/"))


def test_a_key_of_others_cannot_be_revoked(people: People) -> None:
    key, _ = keys.create_key("checkout", people.production)
    page = f"/keys/{key.pk}/revoke/"
    assert browser_of(people.teammate).post(page).status_code == 403
    assert browser_of(people.outsider).post(page).status_code == 404
    assert Client().post(page).status_code == 302
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people.owner)
    assert strict.post(page).status_code == 403
    key.refresh_from_db()
    assert key.revoked_at is None


def test_queries_stay_flat_as_keys_grow(people: People) -> None:
    owner = browser_of(people.owner)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert owner.get("/keys/").status_code == 200
        return len(found)

    keys.create_key("a", people.production)
    few = queries()
    for number in range(8):
        keys.create_key(f"b{number}", people.production)
    assert queries() == few
