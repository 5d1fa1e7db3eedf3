"""People and invitations by the API: who may, what is refused, and that a session is confirmed first."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from core.accounts.keys import create_key
from core.accounts.models import Invitation, Membership
from core.api.managed import manage
from core.audit.models import AuditLine
from tests.people import People
from tests.people import make_people as made
from tests.portal.api.world import client_of, client_with, key_of, make_world, workspace_admin

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> People:
    """Owner, teammate, outsider, admin."""
    return made()


@pytest.fixture
def lead(people: People) -> APIClient:
    """An admin of `production`."""
    return client_of(workspace_admin(people))


def names(answer: Any) -> set[str]:
    return {one["username"] for one in answer.json()["results"]}


def test_admins_see_the_people_of_their_workspaces_with_the_roles_there(lead: APIClient, people: People) -> None:
    Membership.objects.create(user=people.teammate, workspace=people.elsewhere, role="operator")
    assert names(lead.get("/api/v1/people")) == {"ada", "owner", "teammate"}
    found = lead.get(f"/api/v1/people/{people.teammate.pk}").json()
    assert found["roles"] == [{"workspace": "production", "role": "viewer"}]
    assert names(client_of(people.admin).get("/api/v1/people")) == {"ada", "admin", "owner", "outsider", "teammate"}


def test_admins_change_roles_of_their_workspaces_and_of_no_others(lead: APIClient, people: People) -> None:
    member = Membership.objects.get(user=people.teammate)
    assert lead.patch(f"/api/v1/members/{member.pk}", {"role": "operator"}).json()["role"] == "operator"
    line = AuditLine.objects.all()[0]
    assert (line.actor, line.via, line.after) == ("ada", "api", {"role": "operator"})
    asked = {"user": "outsider", "workspace": "production", "role": "viewer"}
    assert lead.post("/api/v1/members", asked).json()["errors"][0]["field"] == "user", "a stranger is invited"
    asked = {"user": "teammate", "workspace": "elsewhere", "role": "admin"}
    assert lead.post("/api/v1/members", asked).json()["errors"][0]["field"] == "workspace"
    Membership.objects.create(user=User.objects.get(username="ada"), workspace=people.elsewhere, role="operator")
    assert lead.post("/api/v1/members", asked).status_code == 403
    assert lead.delete(f"/api/v1/members/{member.pk}").status_code == 204
    assert not Membership.objects.filter(pk=member.pk).exists()


def test_administrators_deactivate_promote_and_hand_over(people: People) -> None:
    admin, path = client_of(people.admin), f"/api/v1/people/{people.owner.pk}"
    key, _ = create_key("k", people.production, created_by=people.owner)
    assert admin.post(f"{path}/hand-over", {"to": "teammate"}).status_code == 200
    key.refresh_from_db()
    assert key.created_by == people.teammate
    assert admin.post(f"{path}/hand-over", {"to": "owner"}).status_code == 409
    assert admin.post(f"{path}/hand-over", {"to": "nobody"}).json()["errors"][0]["field"] == "to"
    assert admin.post(f"{path}/promote").json()["is_administrator"] is True
    assert admin.post(f"{path}/demote").json()["is_administrator"] is False
    assert admin.post(f"{path}/deactivate").json()["is_active"] is False
    assert admin.post(f"{path}/activate").json()["is_active"] is True
    only = admin.post(f"/api/v1/people/{people.admin.pk}/demote")
    assert (only.status_code, "only administrator" in only.json()["detail"]) == (409, True)


def test_a_key_of_all_workspaces_lets_people_go_but_makes_and_removes_no_administrator(people: People) -> None:
    client = client_with(key_of(None, "query", "admin"))
    User.objects.create_superuser("second")
    assert client.post(f"/api/v1/people/{people.teammate.pk}/deactivate").json()["is_active"] is False
    assert client.post(f"/api/v1/people/{people.teammate.pk}/promote").status_code == 403
    assert client.post(f"/api/v1/people/{people.admin.pk}/deactivate").status_code == 403
    assert client.post("/api/v1/workspaces", {"slug": "more", "name": "More"}).status_code == 201
    reader = client_with(key_of(None, "query"))
    assert reader.get("/api/v1/people").status_code == 403


def test_an_invitation_shows_its_link_once_and_opens_until_it_is_withdrawn(lead: APIClient, people: People) -> None:
    asked = {"workspace": "production", "role": "operator"}
    made, again = (lead.post("/api/v1/invitations", asked, headers={"Idempotency-Key": "i"}) for _ in range(2))
    assert made.status_code == 201, made.json()
    assert (again.json()["id"], again.json()["link"]) == (made.json()["id"], None)
    assert made.json()["mail_problem"] == "no address was given"
    path = "/join/" + made.json()["link"].partition("/join/")[2]
    assert client_of(people.outsider).get(path).status_code == 200
    (listed,) = lead.get("/api/v1/invitations").json()["results"]
    assert (listed["id"], listed["link"], listed["invited_by"]) == (made.json()["id"], None, "ada")
    assert client_of(people.outsider).get("/api/v1/invitations").status_code == 403
    assert lead.post("/api/v1/invitations", {"workspace": "elsewhere"}).status_code == 400
    assert lead.delete(f"/api/v1/invitations/{listed['id']}").status_code == 204
    assert not Invitation.objects.exists()
    assert client_of(people.outsider).get(path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/api/v1/people/{teammate}/deactivate"),
        ("post", "/api/v1/members"),
        ("post", "/api/v1/invitations"),
        ("post", "/api/v1/keys"),
    ],
)
def test_a_session_is_confirmed_before_it_changes_people_or_keys(method: str, path: str, people: People) -> None:
    people.admin.set_password("right-and-long-enough")
    people.admin.save()
    session = client_of(people.admin)
    path = path.format(teammate=people.teammate.pk)
    refused = getattr(session, method)(path, {})
    assert (refused.status_code, "confirm" in refused.json()["detail"]) == (403, True)
    assert session.get("/api/v1/people").status_code == 200
    session.post("/account/reauthenticate/", {"password": "right-and-long-enough"}, format="multipart")
    assert getattr(session, method)(path, {}).status_code in (200, 400)


def test_what_comes_from_a_file_says_so_and_a_list_asks_once(people: People, django_assert_num_queries: Any) -> None:
    world = make_world(people)
    client = client_of(people.admin)
    manage(people.production, "workspaces.yaml")
    rows = client.get("/api/v1/workspaces").json()["results"]
    assert {row["slug"]: row["managed_by"] for row in rows} == {"production": "workspaces.yaml", "elsewhere": ""}
    for resource in ("alerting-rules", "rule-groups", "channels", "runbooks", "prices", "budgets"):
        answer = client.get(f"/api/v1/{resource}/{world.places[resource]}").json()
        assert answer["managed_by"] == "", resource
