"""Rules of labels: what they make of label sets, who may make them, and what a preview says."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from core.accounts import keys
from core.audit.models import AuditLine
from core.process_cache import forget_all
from portal.env import Config
from tests.people import People, browser_of, make_people
from usage.ingest import pipeline
from usage.models import Dimension, LabelRule
from usage.relabelling import applying
from usage.relabelling.applying import Relabel
from usage.relabelling.edits import save_label_rule
from usage.relabelling.preview import preview


@pytest.fixture
def people(tables: None) -> People:
    return make_people()


def send(people: People, models: Sequence[str], workspace: str = "production") -> None:
    """A call of each model, a minute ago."""
    owner = people.production if workspace == "production" else people.elsewhere
    key, _ = keys.create_key("app", owner)
    caller = keys.Caller(key.pk, owner.pk, owner.slug, frozenset({"ingest"}))
    now = timezone.now()
    at = (now - timedelta(minutes=1)).isoformat()
    calls = [
        {
            "kind": "llm_call",
            "at": at,
            "provider": "openai",
            "model": model,
            "outcome": "success",
            "prompt_tokens": 10**6,
        }
        for model in models
    ]
    pipeline.ingest(json.dumps(calls).encode(), caller, now.timestamp())


def models_stored(workspace: str = "production") -> dict[str, float]:
    """The models of label sets, with what was counted of each."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(labels->>'model', ''), sum(measures[1])::float8 FROM usage_dimension"
            " JOIN usage_total ON dimension_id = usage_dimension.id"
            " WHERE kind = 'llm_call' AND labels->>'workspace' = %s GROUP BY 1",
            [workspace],
        )
        return dict(cursor.fetchall())


def rule(**fields: Any) -> LabelRule:
    """A stored rule of the model of calls."""
    return save_label_rule(LabelRule(**{"kind": "llm_call", "label": "model", **fields}))


SENT = ("gpt-5-2026-01-01", "gpt-5-2026-02-02", "o3:run-1", "o3:run-2", "ärgerlich-1")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"action": "segments", "keep": 2}, {"gpt-5": 2, "o3:run-1": 1, "o3:run-2": 1, "ärgerlich-1": 1}),
        ({"action": "segments", "separator": ":"}, {"o3": 2, **dict.fromkeys((SENT[0], SENT[1], SENT[4]), 1)}),
        ({"action": "characters", "keep": 2}, {"gp": 2, "o3": 2, "är": 1}),
        ({"action": "drop", "regex": "gpt.*"}, {"": 2, "o3:run-1": 1, "o3:run-2": 1, "ärgerlich-1": 1}),
        (
            {"regex": "(?P<family>[a-z]+)-(5)-.*", "replacement": "${family}$2$$$7"},
            {"gpt5$": 2, **dict.fromkeys(SENT[2:], 1)},
        ),
        ({"regex": "gpt", "replacement": "none"}, dict.fromkeys(SENT, 1)),
    ],
)
def test_values_are_mapped_as_records_are_stored(
    people: People, fields: dict[str, Any], expected: dict[str, float]
) -> None:
    rule(**fields)
    send(people, SENT)
    assert models_stored() == expected


def test_a_rule_holds_from_now_on_for_its_workspace_in_the_order_of_rules(people: People) -> None:
    send(people, SENT[:2])
    rule(workspace=people.production, action="segments", keep=2)
    rule(regex="gpt-5", replacement="five")
    send(people, SENT[:2])
    send(people, SENT[:2], "elsewhere")
    assert models_stored() == {SENT[0]: 1, SENT[1]: 1, "five": 2}
    assert models_stored("elsewhere") == {SENT[0]: 1, SENT[1]: 1}


def test_another_process_sees_a_rule_within_seconds(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    send(people, SENT[:1])
    LabelRule.objects.create(kind="llm_call", label="model", action="drop")  # as if by another process
    send(people, SENT[:1])
    assert models_stored() == {SENT[0]: 2}
    monkeypatch.setattr(applying, "REREAD_SECONDS", 0)
    send(people, SENT[:1])
    assert models_stored() == {SENT[0]: 2, "": 1}


def test_prices_are_those_of_the_model_that_was_called(people: People) -> None:
    rule(action="drop")
    send(people, ["gpt-5"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT cost_usd FROM usage_record")
        assert cursor.fetchall() == [(pytest.approx(1.25),)]


def test_a_preview_counts_the_label_sets_of_the_last_day(people: People, configure: Callable[..., Config]) -> None:
    configure(dimensions_per_kind=4)
    send(people, SENT)  # the last of them is past the bound
    send(people, ["gpt-5-9", "gpt-5-8"], "elsewhere")
    typed = LabelRule(kind="llm_call", label="model", action="segments", keep=1)
    found = preview(Relabel.of(typed), ["production"], timezone.now())
    # Each sent, and the overflow: their own labels stand beside it.
    assert (found.before, found.after, found.changed) == (6, 4, 5)
    assert found.examples[0] == (SENT[0], "gpt")
    assert preview(Relabel.of(typed), None, timezone.now()).before == 9
    assert preview(Relabel.of(typed), None, timezone.now() + timedelta(days=2)).before == 0


def typed(**changes: object) -> dict[str, object]:
    """The form as a browser sends it."""
    fields = {"kind": "llm_call", "label": "model", "regex": ".*", "action": "segments", "keep": "2", "separator": "-"}
    return {**fields, "workspace": "", "replacement": "", **changes}


def test_an_operator_tries_saves_and_deletes_a_rule(people: People) -> None:
    send(people, SENT)
    owner = browser_of(people.owner)
    page = owner.get("/ingestion/labels/?kind=tool_call&label=tool_name").content.decode()
    assert 'value="tool_name"' in page
    mine = typed(workspace=people.production.pk)
    tried = re.sub(r"\s+", " ", owner.post("/ingestion/labels/", {**mine, "preview": "1"}).content.decode())
    assert "<b>5</b><span>label sets there were" in tried
    assert "<b>4</b><span>would remain" in tried
    assert not LabelRule.objects.exists()
    owner.post("/ingestion/labels/", mine)
    made = LabelRule.objects.get()
    assert (made.workspace, made.keep) == (people.production, 2)
    assert "keep the first segments" in owner.get("/ingestion/").content.decode()
    owner.post(f"/ingestion/labels/{made.pk}/", typed(action="drop"))
    owner.post(f"/ingestion/labels/{made.pk}/delete/")
    assert not LabelRule.objects.exists()
    lines = (
        AuditLine.objects.filter(object_type__in=["label rule", "LabelRule", "labelrule"])
        .order_by("at")
        .values_list("action", flat=True)
    )
    assert list(lines) == ["created", "changed", "deleted"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": "outcome"}, "Clients choose these labels of llm_call"),
        ({"regex": "(gpt"}, "This is no RE2 pattern"),
        ({"keep": "0"}, "greater than or equal to 1"),
        ({"separator": ""}, "required"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused_with_the_reason(
    people: People, changes: dict[str, object], said: str
) -> None:
    answer = browser_of(people.owner).post("/ingestion/labels/", typed(workspace=people.production.pk, **changes))
    assert answer.status_code == 422
    assert said in answer.content.decode()


def test_only_operators_of_its_workspace_change_a_rule(people: People) -> None:
    made = rule(workspace=people.production, action="drop")
    for path in (f"/ingestion/labels/{made.pk}/", f"/ingestion/labels/{made.pk}/delete/"):
        assert browser_of(people.teammate).post(path, typed()).status_code == 403
        assert browser_of(people.outsider).post(path, typed()).status_code == 404
    assert browser_of(people.teammate).get("/ingestion/labels/").status_code == 403
    assert browser_of(people.owner).post("/ingestion/labels/", typed()).status_code == 422  # the whole portal's
    assert LabelRule.objects.get().action == "drop"


def test_a_rule_as_a_resource(people: People) -> None:
    send(people, SENT)
    owner = browser_of(people.owner)
    path = "/api/v1/label-rules"
    body = {"workspace": "production", "kind": "llm_call", "label": "model", "action": "segments", "keep": 2}
    made = owner.post(path, body, content_type="application/json")
    assert made.status_code == 201, made.content
    number = made.json()["id"]
    assert owner.get(f"{path}/{number}/preview").json()["after"] == 4
    assert browser_of(people.outsider).get(f"{path}/{number}/preview").status_code == 404
    wrong = owner.post(path, {**body, "regex": "("}, content_type="application/json")
    assert (wrong.status_code, "regex" in wrong.content.decode()) == (400, True)
    assert browser_of(people.teammate).delete(f"{path}/{number}").status_code == 403
    assert owner.delete(f"{path}/{number}").status_code == 204
    forget_all()
    send(people, ["a-b-c"])
    assert Dimension.objects.filter(labels__model="a-b-c").exists()
