"""Two teams on one portal: each sees the routing as it is for its own alerts, and edits its own branch only."""

import re
from typing import Any

import pytest
import yaml
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from alerts.incidents.models import RoutingVersion
from alerts.incidents.policy import current_configuration
from alerts.incidents.routing.alertmanager_file import editable_file, import_file
from alerts.incidents.routing.branches import branch_text, remove_branch, save_branch, seen
from alerts.models import Channel
from alerts.notify.channels import create_channel
from alerts.routing.configuration import Configuration, ConfigurationError, parse_configuration
from alerts.routing.tree import route_of
from core.accounts.keys import create_key
from core.audit.models import AuditLine
from tests.people import People, browser_of, make_people

TREE = """
route:
  receiver: default
  routes:
  - {matchers: [workspace="elsewhere"], receiver: rivals, mute_time_intervals: [rival-nights], continue: true}
  - {matchers: ['workspace=~"elsewhere|production"', severity="critical"], receiver: pager}
  - {matchers: ['workspace!="elsewhere"', severity="info"], receiver: quiet}
  - matchers: [severity="warning"]
    routes:
    - {matchers: [workspace="elsewhere"], receiver: rivals}
receivers: [{name: default}, {name: rivals}, {name: pager}, {name: quiet}]
inhibit_rules:
- {source_matchers: [workspace="elsewhere"], target_matchers: [severity="info"], equal: [team]}
- {source_matchers: [severity="critical"], target_matchers: [severity="info"]}
time_intervals: [{name: rival-nights, time_intervals: [{weekdays: [monday]}]}]
"""
BRANCH = """
route:
  receiver: team
  group_by: [alertname]
  routes:
  - {matchers: [severity="critical"], receiver: loud}
receivers:
- name: team
  portal_configs: [{channel: own}]
- name: loud
  portal_configs: [{channel: shared}]
"""
HOOK = {"url": "https://hooks.example.org/"}


@pytest.fixture
def people(db: None) -> People:
    found = make_people()
    for name, workspace in (("own", found.production), ("own", found.elsewhere), ("rival-hook", found.elsewhere)):
        create_channel("webhook", name, HOOK, workspace=workspace)
    create_channel("webhook", "shared", HOOK)
    import_file(TREE, by=None, now=timezone.now())
    return found


def in_force() -> Configuration:
    found = current_configuration()[1]
    assert found is not None
    return found


def takes(labels: dict[str, str]) -> list[str]:
    return [route.receiver for route in route_of(in_force().root, labels)]


def test_a_team_sees_the_tree_as_it_is_for_its_alerts(people: People) -> None:
    whole = parse_configuration(TREE)
    shown = seen(whole, {"production"})
    assert [str(route.matchers[-1]) for route in shown.root.routes] == [
        'workspace="production"',
        'workspace="production"',
        'severity="warning"',
    ]
    assert "elsewhere" not in repr([route.matchers for route in shown.root.walk()])
    assert set(shown.receivers) == {"default", "pager", "quiet"}
    assert (shown.time_intervals, len(shown.inhibit_rules)) == ({}, 1)
    for severity in ("critical", "warning", "info", ""):
        labels = {"workspace": "production", "severity": severity}
        assert route_of(shown.root, labels)[0].path == route_of(whole.root, labels)[0].path
    assert seen(whole, None) == seen(whole, {"production", "elsewhere"}) == whole


def test_nothing_of_another_teams_routes_is_on_the_page_or_in_the_apis(people: People) -> None:
    save_branch(people.elsewhere, BRANCH, by=None, now=timezone.now())
    key = create_key("reader", people.production, ("query",))[1]
    program = APIClient(headers={"Authorization": f"Bearer {key}"})
    for person in (people.owner, people.teammate):
        client = browser_of(person)
        bodies = [
            client.get("/notifications/").content,
            client.get("/notifications/?labels=workspace%3Delsewhere,severity%3Dwarning").content,
            client.get("/api/v1/routing").content,
            program.get("/api/v1/routing").content,
            program.get("/api/v2/status").content,
            program.get("/api/v2/receivers").content,
        ]
        for body in bodies:
            assert b"default" in body
            assert b"rival" not in body
            assert b"elsewhere/" not in body
    assert browser_of(people.admin).get("/api/v1/routing").json()["text"].count("rival-nights") == 2


def test_an_operator_edits_the_branch_of_the_own_workspace_only(people: People) -> None:
    owner, before = browser_of(people.owner), takes({"workspace": "elsewhere"})
    assert "?workspace=production" in owner.get("/notifications/").content.decode()
    assert owner.get("/notifications/edit/?workspace=production").status_code == 200
    assert owner.post("/notifications/edit/?workspace=production", {"text": BRANCH}).status_code == 302
    assert takes({"workspace": "production"}) == ["production/team"]
    assert takes({"workspace": "production", "severity": "critical"}) == ["pager"], "the portal's own come first"
    assert takes({"workspace": "elsewhere"}) == before
    line = AuditLine.objects.get(object_type="routing version", workspace="production")
    assert (line.actor, "rivals" in str(line.after)) == ("owner", False)
    for client, path, status in (
        (owner, "/notifications/edit/", 403),
        (owner, "/notifications/edit/?workspace=elsewhere", 404),
        (owner, "/notifications/remove?workspace=elsewhere", 404),
        (browser_of(people.teammate), "/notifications/edit/?workspace=production", 403),
        (browser_of(people.outsider), "/notifications/edit/?workspace=production", 404),
        (Client(), "/notifications/edit/?workspace=production", 302),
    ):
        assert client.post(path, {"text": BRANCH}).status_code == status
    assert owner.post("/notifications/remove?workspace=production").status_code == 302
    assert takes({"workspace": "production"}) == ["default"]


def test_the_api_edits_a_branch_as_the_page_does(people: People) -> None:
    owner = APIClient()
    owner.force_login(people.owner)
    given = {"workspace": "production", "text": BRANCH}
    answer = owner.post("/api/v1/routing/apply", given)
    assert (answer.status_code, answer.json()["workspace"]) == (200, "production")
    assert owner.get("/api/v1/routing?workspace=production").json()["text"] == answer.json()["text"]
    assert owner.post("/api/v1/routing/apply", {**given, "workspace": "elsewhere"}).status_code == 404
    assert owner.post("/api/v1/routing/apply", {"text": TREE}).status_code == 403
    wrong = owner.post("/api/v1/routing/apply", {**given, "text": "route: {receiver: x}\nreceivers: []"})
    assert (wrong.status_code, "undefined receiver" in wrong.content.decode()) == (400, True)
    assert owner.post("/api/v1/routing/remove", {"workspace": "production"}).status_code == 204
    assert owner.post("/api/v1/routing/remove", {"workspace": "production"}).status_code == 400


@pytest.mark.parametrize("workspace", [None, "production"])
def test_of_two_programs_that_change_the_routing_the_second_is_told(people: People, workspace: str | None) -> None:
    """All of it, or a branch, which another team's branch leaves as it is."""
    client = APIClient()
    client.force_login(people.owner if workspace else people.admin)
    query = f"?workspace={workspace}" if workspace else ""
    save_branch(people.production, BRANCH, by=None, now=timezone.now())
    read = client.get(f"/api/v1/routing{query}")
    save_branch(people.elsewhere, BRANCH.replace("team", "others"), by=None, now=timezone.now())
    assert (client.get(f"/api/v1/routing{query}")["ETag"] == read["ETag"]) is bool(workspace)
    first = {"workspace": workspace, "text": read.json()["text"].replace("critical", "info")}
    newest = client.get(f"/api/v1/routing{query}")["ETag"]
    done = client.post("/api/v1/routing/apply", first, headers={"If-Match": newest})
    assert (done.status_code, done["ETag"] == newest) == (200, False), done.json()
    in_force, versions = client.get(f"/api/v1/routing{query}"), RoutingVersion.objects.count()
    assert in_force["ETag"] == done["ETag"]
    for path in ("apply", "remove"):
        late = client.post(f"/api/v1/routing/{path}", {**first, "text": TREE}, headers={"If-Match": read["ETag"]})
        assert (late.status_code, late.json()["title"]) == (412, "Precondition Failed")
    assert client.get(f"/api/v1/routing{query}").json() == in_force.json()
    assert RoutingVersion.objects.count() == versions
    gone = client.post("/api/v1/routing/remove", {"workspace": workspace}, headers={"If-Match": done["ETag"]})
    assert gone.status_code == 204


@pytest.mark.parametrize("workspace", [None, "production"])
def test_of_two_who_have_the_form_of_the_routing_open_the_second_is_told(people: People, workspace: str | None) -> None:
    def edition(page: Any) -> str:
        found = set(re.findall(r'name="edition" value="(\w+)"', page.content.decode()))
        assert len(found) == 1
        return str(found.pop())

    client, query = browser_of(people.admin), f"?workspace={workspace}" if workspace else ""
    path, text = f"/notifications/edit/{query}", BRANCH if workspace else TREE.replace("nights", "evenings")
    save_branch(people.production, BRANCH, by=None, now=timezone.now())
    opened = edition(client.get(path))
    save_branch(people.production, BRANCH.replace("critical", "info"), by=None, now=timezone.now())
    versions = RoutingVersion.objects.count()
    assert edition(client.post(path, {"text": text, "preview": "1", "edition": opened})) == opened
    late = client.post(path, {"text": text, "edition": opened})
    assert "Somebody else changed this" in late.content.decode()
    assert late.context["form"]["text"].value().strip() == text.strip()
    client.post(f"/notifications/remove{query}", {"edition": opened})
    assert "Somebody else changed the routing" in client.get("/notifications/").content.decode()
    assert RoutingVersion.objects.count() == versions
    assert client.post(path, {"text": text, "edition": edition(late)}).status_code == 302
    assert RoutingVersion.objects.count() == versions + 1
    assert client.post(f"/notifications/remove{query}", {"edition": edition(client.get(path))}).status_code == 302
    assert RoutingVersion.objects.count() == versions + 2


def test_a_branch_is_written_as_it_is_read_and_stays_in_its_place(people: People) -> None:
    now = timezone.now()
    save_branch(people.production, BRANCH, by=None, now=now)
    save_branch(people.elsewhere, BRANCH, by=None, now=now)
    text, tree = branch_text(people.production), editable_file()
    assert yaml.safe_load(text)["receivers"] == yaml.safe_load(BRANCH)["receivers"]
    save_branch(people.production, text, by=None, now=now)
    assert (branch_text(people.production), editable_file()) == (text, tree)
    import_file(tree, by=None, now=now)
    assert editable_file() == tree, "two channels of one name stay apart"
    own = Channel.objects.get(name="own", workspace=people.elsewhere)
    assert in_force().receivers["elsewhere/team"]["portal_configs"] == [{"channel": own.pk}]
    remove_branch(people.production, by=None, now=now)
    assert branch_text(people.production) == ""
    assert branch_text(people.elsewhere) != ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("route: {receiver: a}", "write `route` and `receivers`"),
        ("route: {receiver: a, matchers: [x=y]}\nreceivers: [{name: a}]", "root route must not have any matchers"),
        (
            "route: {receiver: a}\nreceivers: [{name: a, portal_configs: [{channel: rival-hook}]}]",
            "there is no channel",
        ),
        ("route: {receiver: a}\nreceivers: [{name: a, slack_configs: [{}]}]", "name channels as"),
        ("route: {receiver: a, mute_time_intervals: [x]}\nreceivers: [{name: a}]", "must not have any mute"),
        ("route: {receiver: a, routes: 7}\nreceivers: [{name: a}]", "routes must be a list"),
        ("a: [", "no YAML"),
        (f"route: {{receiver: a, routes: {[{'receiver': 'a'}] * 200}}}\nreceivers: [{{name: a}}]", "may have 200"),
    ],
)
def test_what_is_no_branch_is_refused_with_the_reason(people: People, text: str, reason: str) -> None:
    versions = RoutingVersion.objects.count()
    with pytest.raises(ConfigurationError, match=reason):
        save_branch(people.production, text, by=None, now=timezone.now())
    assert RoutingVersion.objects.count() == versions


def test_without_a_tree_there_are_no_branches(people: People) -> None:
    RoutingVersion.objects.all().delete()
    with pytest.raises(ConfigurationError, match="no routing tree yet"):
        save_branch(people.production, BRANCH, by=None, now=timezone.now())
    found: Any = browser_of(people.owner).post("/notifications/edit/?workspace=production", {"text": BRANCH})
    assert "no routing tree yet" in found.content.decode()
