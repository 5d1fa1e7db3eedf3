"""Importing and exporting on the page and through the API."""

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts.exchange import plan, prometheus
from alerts.models import Rule
from alerts.runbooks.edits import create_runbook
from core.accounts.keys import create_key
from core.accounts.models import Workspace
from tests.alerts.exchange.test_exchange import text_of
from tests.people import browser_of, make_people

pytestmark = pytest.mark.django_db


def test_the_page_shows_the_plan_first_and_then_imports() -> None:
    browser = browser_of(make_people().admin)
    file = SimpleUploadedFile("rules.yml", text_of("vmalert.yml").encode())
    page = " ".join(browser.post("/rules/files/", {"file": file}).content.decode().split())
    assert "1 new, 0 changed, 0 the same, 0 not understood." in page
    assert "concurrency has no meaning here" in page
    assert not Rule.objects.filter(name="Slow").exists()
    # The text of the file is in the form now.
    assert "alert: Slow" in page
    answer = browser.post("/rules/files/", {"text": text_of("vmalert.yml"), "import": "1"})
    assert answer.status_code == 302
    assert Rule.objects.filter(name="Slow").exists()
    page = browser.post("/rules/files/", {"text": text_of("vmalert.yml")}).content.decode()
    assert "There is nothing to import." in page


def test_a_problem_stops_the_import_until_the_rest_is_left_out() -> None:
    browser = browser_of(make_people().admin)
    given = {"text": text_of("grafana.yml"), "import": "1"}
    page = browser.post("/rules/files/", given).content.decode()
    assert "mean of a range of values has no PromQL" in page
    assert not Rule.objects.filter(name="Ratio").exists()
    assert browser.post("/rules/files/", {**given, "partly": "on"}).status_code == 302
    assert Rule.objects.filter(name="Ratio").exists()


def test_an_operator_imports_into_the_own_workspace_only_and_changes_no_group() -> None:
    people = make_people()
    browser = browser_of(people.owner)
    given = {"text": text_of("vmalert.yml"), "import": "1", "workspace": str(people.production.pk)}
    assert browser.post("/rules/files/", given).status_code == 302
    rule = Rule.objects.get(name="Slow")
    assert rule.workspace == people.production
    changed = text_of("vmalert.yml").replace("interval: 1m", "interval: 2m")
    browser.post("/rules/files/", {**given, "text": changed})
    rule.group.refresh_from_db()
    assert rule.group.interval_seconds == 60
    assert browser.post("/rules/files/", {**given, "workspace": str(people.elsewhere.pk)}).status_code in (403, 422)
    assert not Rule.objects.filter(name="Slow", workspace=people.elsewhere).exists()


def test_rules_are_downloaded_in_each_format() -> None:
    browser = browser_of(make_people().admin)
    browser.post("/rules/files/", {"text": text_of("vmalert.yml"), "import": "1"})
    for form in ("prometheus", "vmalert", "grafana"):
        answer = browser.get(f"/rules/files/download?format={form}")
        assert answer["Content-Disposition"] == f'attachment; filename="rules-{form}.yml"'
        assert b"Slow" in answer.content
    assert browser.get("/rules/files/download?format=other").status_code == 404
    assert browser.get("/rules/files/download?workspace=nowhere").status_code == 404


def test_the_api_plans_imports_and_exports() -> None:
    _, secret = create_key("k", None, ("admin",))
    browser = browser_of(make_people().admin)
    headers = {"Authorization": f"Bearer {secret}"}
    given = {"text": text_of("vmalert.yml"), "dry_run": True}

    def post(body: dict[str, object]) -> dict[str, object]:
        answer = browser.post("/api/v1/rule-files/import", json.dumps(body), "application/json", headers=headers)
        assert answer.status_code == 200, answer.content
        found: dict[str, object] = answer.json()
        return found

    found = post(given)
    assert (found["format"], found["imported"]) == ("vmalert", False)
    assert found["steps"] == [
        {"group": "vm", "name": "", "action": "new", "changes": {}},
        {"group": "vm", "name": "Slow", "action": "new", "changes": {}},
    ]
    assert post({**given, "dry_run": False})["imported"] is True
    assert post({**given, "text": text_of("grafana.yml"), "dry_run": False})["imported"] is False
    text = browser.get("/api/v1/rule-files?group=vm", headers=headers).json()["text"]
    assert "alert: Slow" in text
    assert all(step["action"] == "same" for step in post({**given, "text": text})["steps"])  # type: ignore[attr-defined]


def test_a_key_of_a_workspace_imports_nothing_for_the_portal() -> None:
    workspace = Workspace.objects.create(slug="shop", name="Shop")
    _, secret = create_key("k", workspace, ("admin",))
    body = json.dumps({"text": text_of("vmalert.yml")})
    answer = browser_of(make_people().admin).post(
        "/api/v1/rule-files/import", body, "application/json", headers={"Authorization": f"Bearer {secret}"}
    )
    assert answer.status_code == 403


def rules_text(name: str = "Slow", group: str = "g", expr: str = "up", note: str = "n") -> str:
    rule = {"alert": name, "expr": expr, "annotations": {"summary": note}}
    return json.dumps({"groups": [{"name": group, "rules": [rule]}]})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (rules_text(name="n" * 201), "its name has 201 characters, more than 200"),
        (rules_text(group="g" * 201), "its name has 201 characters, more than 200"),
        (rules_text(name="a\0b"), "it has a NUL"),
        (rules_text(group="a\0b"), "it has a NUL"),
        (rules_text(note="a\0b"), "it has a NUL"),
        (
            json.dumps({"groups": [{"name": f"g{number}", "rules": []} for number in range(501)]}),
            "it has 501 groups, more than 500",
        ),
    ],
    ids=["name of a rule", "name of a group", "NUL in a rule", "NUL in a group", "NUL in a note", "501 groups"],
)
def test_what_there_is_no_room_for_is_a_problem_with_its_reason(text: str, reason: str) -> None:
    browser, before = browser_of(make_people().admin), Rule.objects.count()
    for extra in ({}, {"import": "1"}, {"import": "1", "partly": "on"}):
        answer = browser.post("/rules/files/", {"text": text, **extra})
        assert answer.status_code in (200, 302)
        if answer.status_code == 200:
            assert reason in answer.content.decode()
    found = browser.post("/api/v1/rule-files/import", {"text": text}, content_type="application/json").json()
    assert (found["imported"], reason in found["problems"][0]["message"]) == (False, True)
    assert Rule.objects.count() == before


def test_a_runbook_is_found_among_the_owners_and_the_portals_by_one_query() -> None:
    people = make_people()
    now = timezone.now()
    create_runbook("theirs", "Theirs", "x", by=None, now=now, workspace=people.elsewhere)
    create_runbook("shared", "Shared", "x", by=None, now=now)
    url = prometheus.runbook_url("shared").replace("shared", "{}")
    rules = [
        {"alert": f"R{number}", "expr": "up", "annotations": {"runbook_url": url.format(slug)}}
        for number, slug in enumerate(("shared", "theirs") * 10)
    ]
    drafts = plan.read_file(json.dumps({"groups": [{"name": "g", "rules": rules}]}), "f")
    with CaptureQueriesContext(connection) as asked:
        found = plan.plan(drafts, people.production)
    assert sum("alerts_runbook" in one["sql"] for one in asked) == 1
    assert found.problems == []
    assert [getattr(step.edit.runbook, "slug", None) for step in found.rules] == ["shared", None] * 10
