"""What is drawn over a panel: firing alerts on its series, edited rules, new prices."""

from datetime import timedelta

import pytest
from django.utils import timezone

from alerts.models import Alert, Rule, RuleChange, RuleGroup, State
from portal.shell.annotations import families
from tests.people import People, browser_of, make_people
from usage.models import Mark, Price

pytestmark = pytest.mark.django_db
COST = "/annotations/providers/cost.json?range=1h"
TOOLS = "/annotations/tools/errors.json?range=1h"


@pytest.fixture
def people() -> People:
    """Three people; a cost alert of production fires since ten minutes, its rule was edited, a price was entered."""
    now = timezone.now()
    group = RuleGroup.objects.create(name="g")
    expr = "sum by (provider) (rate(llm_provider_cost_usd_total[1m])) * 3600 > $threshold"
    rule = Rule.objects.create(
        group=group, name="cost", title="Cost is high", expr=expr, threshold=1, severity="critical"
    )
    Alert.objects.create(
        rule=rule,
        severity=rule.severity,
        threshold=rule.threshold,
        for_seconds=rule.for_seconds,
        fingerprint="f",
        labels={"workspace": "production"},
        state=State.FIRING,
        value=2,
        active_at=now - timedelta(minutes=15),
        fired_at=now - timedelta(minutes=10),
    )
    RuleChange.objects.create(rule=rule, version=99, at=now - timedelta(minutes=20), fields={})
    half_an_hour_ago = now - timedelta(minutes=30)
    Price.objects.create(provider="openai", model="gpt-5", input_usd=1, output_usd=2, created_at=half_an_hour_ago)
    return make_people()


def test_firing_is_shaded_and_changes_are_dotted(people: People) -> None:
    found = browser_of(people.owner).get(COST).json()
    shaded, *lines = found["shapes"]
    assert (shaded["type"], shaded["fillcolor"]) == ("rect", "--critical/.1")
    assert 9.5 * 60_000 < shaded["x1"] - shaded["x0"] < 10.5 * 60_000
    assert [line["line"]["dash"] for line in lines] == ["dot", "dot"]
    assert [note["text"] for note in found["annotations"]] == ["rule edited: Cost is high", "price of gpt-5"]


def test_alerts_that_overlap_are_shaded_once(people: People) -> None:
    alert = Alert.objects.get()
    alert.pk, alert.fingerprint = None, "g"
    alert.fired_at = timezone.now() - timedelta(minutes=20)
    alert.save()
    shaded, *lines = browser_of(people.owner).get(COST).json()["shapes"]
    assert 19.5 * 60_000 < shaded["x1"] - shaded["x0"] < 20.5 * 60_000
    assert [line["type"] for line in lines] == ["line", "line"]


def test_panels_of_other_series_show_none_of_it(people: People) -> None:
    assert browser_of(people.owner).get(TOOLS).json() == {"shapes": [], "annotations": []}


def test_alerts_of_a_workspace_are_hidden_from_others(people: People) -> None:
    assert [shape["type"] for shape in browser_of(people.outsider).get(COST).json()["shapes"]] == ["line", "line"]
    assert browser_of(people.outsider).get(f"{COST}&workspace=production").status_code == 404


def test_what_ended_before_the_range_is_not_drawn(people: People) -> None:
    Alert.objects.update(state=State.RESOLVED, ended_at=timezone.now() - timedelta(hours=2))
    Price.objects.update(created_at=timezone.now() - timedelta(hours=2))
    RuleChange.objects.update(at=timezone.now() - timedelta(hours=2))
    assert browser_of(people.owner).get(COST).json() == {"shapes": [], "annotations": []}


def test_families_are_read_off_an_expression() -> None:
    expr = (
        'histogram_quantile(0.9, rate(llm_provider_request_seconds_bucket{a="llm_tokens_total_x"}[5m])) /'
        " llm_tokens_total"
    )
    assert families(expr) == {"llm_provider_request_seconds", "llm_tokens_total"}


def test_a_deploy_is_marked_on_every_panel_of_its_workspace(people: People) -> None:
    Mark.objects.create(title="agent 2.14.0", at=timezone.now() - timedelta(minutes=5), workspace=people.production)
    for who, shown in ((people.owner, ["agent 2.14.0"]), (people.outsider, [])):
        assert [note["text"] for note in browser_of(who).get(TOOLS).json()["annotations"]] == shown
