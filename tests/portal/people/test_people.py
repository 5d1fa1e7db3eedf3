"""Members, roles, invitations and workspaces in pages: by their admins, and by administrators of the portal."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from core.accounts.invitations import invite
from core.accounts.keys import create_key
from core.accounts.models import Invitation, Membership, Workspace
from tests.people import People, browser_of, make_people

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> People:
    """The owner is an admin of production here."""
    found = make_people()
    Membership.objects.filter(user=found.owner).update(role="admin")
    return found


def role_of(user: User, workspace: Workspace) -> str | None:
    return Membership.objects.filter(user=user, workspace=workspace).values_list("role", flat=True).first()


def test_admins_see_members_of_their_workspaces_and_others_are_refused(people: People) -> None:
    page = browser_of(people.owner).get("/people/").content.decode()
    assert "teammate" in page
    assert "outsider" not in page
    assert "outsider" in browser_of(people.admin).get("/people/").content.decode()
    paths = ["/people/", "/people/invite/", f"/people/{people.teammate.pk}/", "/people/workspaces/new/"]
    for path in paths:
        assert browser_of(people.teammate).get(path).status_code == 403, path
        assert browser_of(people.outsider).get(path).status_code == 403, path
        assert Client().get(path).status_code == 302, path
    assert browser_of(people.owner).get(f"/people/{people.outsider.pk}/").status_code == 404
    assert browser_of(people.owner).get("/people/workspaces/elsewhere/").status_code == 404
    assert browser_of(people.owner).get("/people/workspaces/new/").status_code == 403


def test_an_admin_gives_and_takes_roles_in_their_own_workspace_only(people: People) -> None:
    owner, path = browser_of(people.owner), f"/people/{people.teammate.pk}/change"
    owner.post(path, {"do": "role", "workspace": people.production.pk, "role": "operator"})
    assert role_of(people.teammate, people.production) == "operator"
    assert owner.post(path, {"do": "role", "workspace": people.elsewhere.pk, "role": "admin"}).status_code == 404
    owner.post(path, {"do": "role", "workspace": people.production.pk, "role": "king"})
    assert role_of(people.teammate, people.production) == "operator"
    for wanted in ("promote", "deactivate", "hand-over"):
        assert owner.post(path, {"do": wanted}).status_code == 403, wanted
    owner.post(path, {"do": "role", "workspace": people.production.pk, "role": ""})
    assert role_of(people.teammate, people.production) is None


def test_who_is_deactivated_is_out_at_once(people: People) -> None:
    teammate, admin = browser_of(people.teammate), browser_of(people.admin)
    assert teammate.get("/").status_code == 200
    admin.post(f"/people/{people.teammate.pk}/change", {"do": "deactivate"})
    assert teammate.get("/").status_code == 302
    admin.post(f"/people/{people.teammate.pk}/change", {"do": "activate"})
    assert browser_of(people.teammate).get("/").status_code == 200


def test_the_last_administrator_cannot_be_lost(people: People) -> None:
    admin, path = browser_of(people.admin), f"/people/{people.admin.pk}/change"
    for wanted in ("demote", "deactivate"):
        assert "only administrator" in admin.post(path, {"do": wanted}, follow=True).content.decode()
    assert User.objects.get(pk=people.admin.pk).is_superuser


def test_what_somebody_has_is_handed_over(people: People) -> None:
    key, _ = create_key("k", people.production, created_by=people.owner)
    admin, path = browser_of(people.admin), f"/people/{people.owner.pk}/change"
    form = {"do": "hand-over", "to": people.outsider.pk}
    admin.post(path, form)
    key.refresh_from_db()
    assert key.created_by == people.owner, "a stranger to the workspace takes nothing over"
    choices = admin.get(f"/people/{people.owner.pk}/").context["hand_over"].fields["to"].queryset
    assert {one.username for one in choices} == {"admin", "teammate"}
    Membership.objects.create(user=people.outsider, workspace=people.production, role="viewer")
    admin.post(path, form)
    key.refresh_from_db()
    assert key.created_by == people.outsider
    assert (role_of(people.outsider, people.production), role_of(people.outsider, people.elsewhere)) == (
        "admin",
        "operator",
    )


def test_an_invitation_makes_a_member_once(people: People) -> None:
    form = {"workspace": people.production.pk, "role": "operator"}
    answer = browser_of(people.owner).post("/people/invite/", form)
    assert answer.status_code == 201
    path = answer.context["link"].partition("/join/")
    path = f"/join/{path[2]}"
    newcomer = Client()
    assert "invited as operator" in newcomer.get(path).content.decode()
    weak = {"username": "grace", "email": "grace@example.org", "password1": "12345", "password2": "12345"}
    assert newcomer.post(path, weak).status_code == 422
    good = {**weak, "password1": "a-longer-and-better-one", "password2": "a-longer-and-better-one"}
    assert newcomer.post(path, good)["Location"] == "/"
    assert role_of(User.objects.get(username="grace"), people.production) == "operator"
    assert newcomer.get("/keys/new/").status_code == 200
    assert Client().get(path).status_code == 404
    assert "digest" not in browser_of(people.owner).get("/audit/").content.decode()


def test_an_invitation_of_who_is_signed_in_lowers_no_role(people: People) -> None:
    for role, expected in (("viewer", "admin"), ("admin", "admin")):
        _, token = invite(people.production, role, "", by=people.admin, now=timezone.now())
        browser_of(people.owner).post(f"/join/{token}/")
        assert role_of(people.owner, people.production) == expected


def test_old_and_withdrawn_invitations_open_nothing(people: People) -> None:
    _, old = invite(people.production, "viewer", "", by=people.owner, now=timezone.now() - timedelta(days=8))
    made, token = invite(people.production, "viewer", "x@example.org", by=people.owner, now=timezone.now())
    assert browser_of(people.outsider).post(f"/people/invitations/{made.pk}/withdraw").status_code == 403
    browser_of(people.owner).post(f"/people/invitations/{made.pk}/withdraw")
    assert not Invitation.objects.filter(pk=made.pk).exists()
    for one in (old, token, "nonsense"):
        assert Client().get(f"/join/{one}/").status_code == 404


def test_workspaces_are_made_and_renamed(people: People) -> None:
    admin = browser_of(people.admin)
    more = {"slug": "more", "name": "More", "time_zone": "UTC"}
    assert admin.post("/people/workspaces/new/", more).status_code == 302
    assert admin.post("/people/workspaces/new/", {**more, "name": "Again"}).status_code == 422
    owner, path = browser_of(people.owner), "/people/workspaces/production/"
    owner.post(path, {"name": "Prod", "slug": "hacked", "time_zone": "Asia/Tokyo"})
    people.production.refresh_from_db()
    assert (people.production.slug, people.production.name) == ("production", "Prod")
    assert "since midnight, Asia/Tokyo" in owner.get("/cost/").content.decode()
    assert "since midnight, UTC" in admin.get("/cost/").content.decode(), "several workspaces, several zones"
    assert owner.post(path, {"name": "Prod", "time_zone": "Atlantis/Center"}).status_code == 422
    api = {"content_type": "application/json"}
    assert owner.patch("/api/v1/workspaces/production", {"time_zone": "Atlantis/Center"}, **api).status_code == 400
    changed = owner.patch("/api/v1/workspaces/production", {"time_zone": "Europe/Berlin"}, **api).json()
    assert (changed["name"], changed["time_zone"]) == ("Prod", "Europe/Berlin")


def test_changing_people_and_making_keys_asks_for_the_password_again(people: People) -> None:
    people.admin.set_password("right-and-long-enough")
    people.admin.save()
    admin = browser_of(people.admin)
    answer = admin.post(f"/people/{people.teammate.pk}/change", {"do": "deactivate"})
    assert answer["Location"].startswith("/account/reauthenticate/")
    assert User.objects.get(pk=people.teammate.pk).is_active
    key = {"name": "k", "workspace": people.production.pk, "scopes": ["ingest"], "lifetime": ""}
    assert admin.post("/keys/new/", key)["Location"].startswith("/account/reauthenticate/")
    answer = admin.post(f"/people/{people.teammate.pk}/change", {"do": "deactivate"})
    admin.post(answer["Location"], {"password": "right-and-long-enough"})
    assert admin.post("/keys/new/", key).status_code == 201
    assert not User.objects.get(pk=people.teammate.pk).is_active
