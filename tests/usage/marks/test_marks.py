"""Marks: who sets and sees them, what is taken, and when they go."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from core.audit.models import AuditLine
from tests.people import People, make_people
from tests.portal.api.world import client_of, client_with, key_of
from usage.marks.edits import forget_old
from usage.marks.queries import marks_between
from usage.models import Mark

pytestmark = pytest.mark.django_db
MARKS = "/api/v1/marks"


@pytest.fixture
def people() -> People:
    return make_people()


@pytest.fixture
def pipeline(people: People) -> Any:
    """What deploys the applications of production: it has the key with which they send."""
    return client_with(key_of(people.production, "ingest"))


def test_a_pipeline_marks_a_deploy_with_the_key_that_sends_records(pipeline: Any) -> None:
    deploy = {"title": "checkout 2.14.0", "link": "https://ci.example.org/812", "labels": {"component": "agent"}}
    made = pipeline.post(MARKS, deploy, format="json", headers={"Idempotency-Key": "812"})
    assert made.status_code == 201, made.json()
    assert made.json() | deploy == made.json()
    assert (made.json()["workspace"], made.json()["author_name"]) == ("production", "API key ingest")
    again = pipeline.post(MARKS, deploy, format="json", headers={"Idempotency-Key": "812"})
    assert (again.json()["id"], Mark.objects.count()) == (made.json()["id"], 1)
    line = AuditLine.objects.get(object_type="mark")
    assert (line.action, line.actor, line.workspace) == ("created", "API key ingest", "production")
    assert pipeline.get(f"{MARKS}?before={timezone.now().isoformat().replace('+00:00', 'Z')}").json()["results"]
    assert pipeline.delete(f"{MARKS}/{made.json()['id']}").status_code == 204
    assert not Mark.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "x" * 201),
        ("link", "javascript:alert(1)"),
        ("at", "2020-01-01T00:00:00Z"),
        ("at", "2096-01-01T00:00:00Z"),
        ("at", "noon"),
        ("labels", {str(number): "x" for number in range(21)}),
        ("labels", {"model": "x" * 201}),
        ("labels", ["model"]),
        ("workspace", "elsewhere"),
        ("text", "x" * 2001),
    ],
)
def test_a_mark_that_cannot_be_kept_is_refused_by_its_field(pipeline: Any, field: str, value: Any) -> None:
    answer = pipeline.post(MARKS, {"title": "deploy", field: value}, format="json")
    assert answer.status_code == 400
    assert {one["field"].split(".")[0] for one in answer.json()["errors"]} == {field}


def test_keys_mark_their_own_workspace_only_and_viewers_nothing(people: People, pipeline: Any) -> None:
    assert pipeline.post(MARKS, {"title": "x", "workspace": None}, format="json").status_code == 403
    assert client_of(people.teammate).post(MARKS, {"title": "x"}, format="json").status_code == 403
    assert client_with(key_of(people.production, "query")).post(MARKS, {"title": "x"}).status_code == 403
    portal = client_of(people.admin).post(MARKS, {"title": "x", "workspace": None}, format="json").json()["id"]
    assert pipeline.get(f"{MARKS}/{portal}").status_code == 200
    assert pipeline.delete(f"{MARKS}/{portal}").status_code == 403


def test_marks_are_seen_by_their_workspace_and_those_of_the_portal_by_all(people: People) -> None:
    now = timezone.now()
    Mark.objects.create(title="ours", workspace=people.production)
    Mark.objects.create(title="all", workspace=None)
    seen = {
        slug: {mark.title for mark in marks_between(now - timedelta(hours=1), now + timedelta(hours=1), {slug})}
        for slug in ("production", "elsewhere")
    }
    assert seen == {"production": {"ours", "all"}, "elsewhere": {"all"}}


def test_marks_go_when_charts_have_no_values_of_their_time(people: People) -> None:
    now = timezone.now()
    for days in (0, settings.PORTAL.retention_1h_days - 1, settings.PORTAL.retention_1h_days + 1):
        Mark.objects.create(title=str(days), at=now - timedelta(days=days))
    assert forget_old(now, batch=1) == 1
    assert Mark.objects.count() == 2
