"""Three people of two workspaces: every page is tried as each."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.test import Client

from core.accounts.models import Membership, Workspace


@dataclass(frozen=True)
class People:
    """The owner operates `production`, the teammate looks at it, the outsider is a member of `elsewhere` only."""

    production: Workspace
    elsewhere: Workspace
    owner: User
    teammate: User
    outsider: User
    admin: User


def make_people() -> People:
    """Store them."""
    production = Workspace.objects.get_or_create(slug="production", defaults={"name": "Production"})[0]
    elsewhere = Workspace.objects.create(slug="elsewhere", name="Elsewhere")
    owner, teammate, outsider = (
        User.objects.create_user(name, f"{name}@example.org") for name in ("owner", "teammate", "outsider")
    )
    Membership.objects.create(user=owner, workspace=production, role="operator")
    Membership.objects.create(user=teammate, workspace=production, role="viewer")
    Membership.objects.create(user=outsider, workspace=elsewhere, role="operator")
    admin = User.objects.create_superuser("admin", "admin@example.org")
    return People(production, elsewhere, owner, teammate, outsider, admin)


def make_platform_people() -> People:
    """The same, where owner and teammate are members of every workspace: what belongs to the whole portal is theirs
    too."""
    people = make_people()
    Membership.objects.create(user=people.owner, workspace=people.elsewhere, role="operator")
    Membership.objects.create(user=people.teammate, workspace=people.elsewhere, role="viewer")
    return people


def browser_of(user: User) -> Client:
    """A test client in which the person is logged in."""
    client = Client()
    client.force_login(user)
    return client
