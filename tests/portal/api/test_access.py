"""Every path of the schema is tried as everybody: the table of who may do what, written down apart from the code."""

import re
from typing import Any

import pytest
from django.db import transaction
from drf_spectacular.generators import SchemaGenerator

from tests.people import People
from tests.portal.api.world import World, callers

SCHEMA: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
OPERATIONS = [(path, method) for path, methods in SCHEMA["paths"].items() for method in methods]
RESOURCE = re.compile(r"/api/v1/([a-z_-]+)")
PROMETHEUS = {path for path, method in OPERATIONS if SCHEMA["paths"][path][method].get("tags") == ["prometheus"]}
SENDING = {"/api/v1/usage", "/api/v1/receipts/{receipt_id}"}
# Objects of one workspace: to others they are not there.
OWNED = {
    "alerting-rules",
    "channels",
    "message-templates",
    "runbooks",
    "schedules",
    "escalation-policies",
    "alert-episodes",
    "incidents",
    "silences",
    "recurring-silences",
    "flips",
    "deliveries",
    "budgets",
    "dead-letters",
    "workspaces",
    "members",
    "keys",
    "people",
    "invitations",
    "traces",
    "saved-views",
    "label-rules",
    "marks",
}
# Who lets people in: admins of the workspace, and who administers the portal.
ADMINISTERED = {"workspaces", "members", "people", "invitations"}
ADMINS = ("workspace admin", "admin", "admin key of all")
# These only the administrators of the portal do, and the last two no key does.
OF_THE_PORTAL = re.compile(r"/api/v1/(workspaces|people/\{id\}/(activate|deactivate|hand-over|promote|demote))$")
OF_PEOPLE = re.compile(r"/api/v1/people/\{id\}/(promote|demote)$")
# Rules of several workspaces may be in a group: who operates all of them changes it.
SHARED = {"rule-groups"}
# What all workspaces share.
PLATFORM = {"prices"}
# The routing is the whole portal's.
PORTAL_ONLY = {"/api/v1/routing/apply", "/api/v1/routing/preview", "/api/v1/routing/remove"}
# Grafana asks for it before it has a key.
OPEN = {"/api/v1/status/buildinfo"}
READING_POSTS = {"/api/v1/alerting-rules/backtest"}
QUERY = {"query": "up", "start": "0", "end": "60", "step": "60"}
NOBODY = ("anonymous", "revoked key", "expired key", "unknown key")
OPERATORS = ("owner", "workspace admin", "outsider", "admin", "admin key", "foreign admin key", "admin key of all")
STRANGERS = ("outsider", "foreign admin key")


def expected(caller: str, path: str, method: str) -> str:
    """What the documentation promises: "in", or the status that refuses."""
    found = RESOURCE.match(path)
    assert found
    resource = found[1]
    if path in SENDING:
        return _sending(caller, path)
    if path in OPEN:
        return "in"
    if caller in NOBODY:
        return "401"
    if path in PROMETHEUS:
        return "403" if caller in ("admin key", "ingest key", "backfill key") else "in"
    reads = method == "get" or path in READING_POSTS
    if caller == "ingest key" and resource == "marks":
        return "in"
    if caller in ("ingest key", "backfill key") or (caller == "query key" and not reads):
        return "403"
    if resource == "means":
        return _of_oneself(caller, path, method)
    if resource in ADMINISTERED and (not reads or resource in ("people", "invitations")) and caller not in ADMINS:
        return "403"
    if not reads and (
        (OF_THE_PORTAL.match(path) and caller == "workspace admin")
        or (OF_PEOPLE.match(path) and caller not in ("admin",))
    ):
        return "403"
    shared = path in PORTAL_ONLY or resource in PLATFORM or (resource in SHARED and "{" in path)
    if not reads and shared and caller not in ("admin", "admin key of all"):
        return "403"
    if (not reads or resource in ("settings", "audit-lines")) and caller not in OPERATORS:
        return "403"
    return "404" if "{" in path and resource in OWNED and caller in STRANGERS else "in"


def _of_oneself(caller: str, path: str, method: str) -> str:
    """Everybody with a login has their own, and nobody sees another's; a key is nobody."""
    if "{" in path:
        return "in" if caller == "owner" else "404"
    return "403" if method == "post" and "key" in caller else "in"


def _sending(caller: str, path: str) -> str:
    if caller == "ingest key":
        return "404" if "receipts" in path else "in"
    return (
        "403"
        if caller in ("query key", "admin key", "backfill key", "foreign admin key", "admin key of all")
        else "401"
    )


def filled(path: str, world: World) -> str:
    """The path with an object of `production`."""
    place = str(world.places.get(path.split("/")[3]))
    return re.sub(r"\{(\w+)\}", lambda match: "coverage" if match[1] == "panel" else place, path)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_everybody_is_answered_as_the_table_says(path: str, method: str, people: People, world: World) -> None:
    wrong = {}
    for caller, client in callers(people).items():
        with transaction.atomic():
            response = getattr(client, method)(filled(path, world), {} if method != "get" else QUERY)
            transaction.set_rollback(True)
        refused = response.status_code in (401, 403, 404, 405) or response.status_code >= 500
        answer = str(response.status_code) if refused else "in"
        if answer != expected(caller, path, method):
            wrong[caller] = (answer, expected(caller, path, method))
    assert wrong == {}
