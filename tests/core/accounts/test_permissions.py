"""Who sees and operates which workspace."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from core.accounts import permissions
from core.accounts.models import Workspace
from tests.people import make_people

pytestmark = pytest.mark.django_db


def test_members_see_their_workspaces_and_superusers_all() -> None:
    people = make_people()
    assert permissions.scope_of(people.teammate, {}) == permissions.Scope(
        frozenset({"production"}), "", ("production",)
    )
    assert permissions.scope_of(people.outsider, {}) == permissions.Scope(frozenset({"elsewhere"}), "", ("elsewhere",))
    assert permissions.scope_of(people.admin, {}) == permissions.Scope(None, "", ("elsewhere", "production"))


def test_the_filter_narrows_to_one_workspace() -> None:
    people = make_people()
    found = permissions.scope_of(people.admin, {"workspace": "production"})
    assert found == permissions.Scope(frozenset({"production"}), "production", ("elsewhere", "production"))


def test_another_workspace_is_like_one_that_does_not_exist() -> None:
    people = make_people()
    for slug in ("elsewhere", "nowhere"):
        with pytest.raises(Http404):
            permissions.scope_of(people.owner, {"workspace": slug})


def test_only_operators_and_superusers_change_what_all_share() -> None:
    people = make_people()
    persons = (people.owner, people.teammate, people.outsider, people.admin, AnonymousUser())
    assert [permissions.may_operate(person) for person in persons] == [True, False, True, True, False]


def test_an_inactive_superuser_sees_nothing() -> None:
    people = make_people()
    people.admin.is_active = False
    assert permissions.scope_of(people.admin, {}) == permissions.Scope(frozenset(), "", ())


def test_a_visitor_sees_nothing_not_even_a_workspace_without_members() -> None:
    Workspace.objects.create(slug="empty", name="Empty")
    assert permissions.scope_of(AnonymousUser(), {}) == permissions.Scope(frozenset(), "", ())
