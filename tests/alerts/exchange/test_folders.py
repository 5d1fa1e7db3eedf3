"""Folder, owner and team go through files and back: Grafana's folder, annotations elsewhere."""

import pytest
import yaml

from alerts.exchange import export, plan
from alerts.models import Rule
from tests.alerts.scripted_rules import minute

pytestmark = pytest.mark.django_db

PROMETHEUS = """
groups:
  - name: g
    rules:
      - alert: Slow
        expr: up > 5
        labels: {severity: critical}
        annotations: {summary: It is slow, folder: Latency, owner: ada, team: core}
      - record: job:up
        expr: sum(up)
"""


def took(text: str) -> plan.Plan:
    found = plan.plan(plan.read_file(text, "f"), None)
    assert found.problems == []
    plan.apply(found, None, by=None, now=minute(0), changes_groups=True)
    return found


@pytest.mark.parametrize("form", ["prometheus", "vmalert", "grafana"])
def test_they_are_taken_from_a_file_and_written_to_it(form: str) -> None:
    Rule.objects.all().delete()
    took(PROMETHEUS)
    rule = Rule.objects.get(name="Slow")
    assert (rule.folder, rule.owner, rule.team) == ("Latency", "ada", "core")
    assert rule.annotations == {"summary": "It is slow"}
    written = export.write(export.rules_of(None), form)
    assert plan.plan(plan.read_file(written, "f"), None).is_change is False
    Rule.objects.all().delete()
    took(written)
    again = Rule.objects.get(name="Slow")
    assert (again.folder, again.owner, again.team, again.annotations) == (
        "Latency",
        "ada",
        "core",
        {"summary": "It is slow"},
    )


def test_groups_of_one_name_in_several_folders_are_one_group_here() -> None:
    Rule.objects.all().delete()
    took(PROMETHEUS.replace("- record: job:up\n        expr: sum(up)", "- alert: Dear\n        expr: up > 6"))
    written = yaml.safe_load(export.write(export.rules_of(None), "grafana"))
    assert [(one["name"], one["folder"]) for one in written["groups"]] == [("g", "LLM usage"), ("g", "Latency")]
    found = plan.plan(plan.read_file(yaml.safe_dump(written), "f"), None)
    assert (found.is_change, found.problems) == (False, [])


def test_what_is_too_long_for_a_folder_stays_an_annotation() -> None:
    Rule.objects.all().delete()
    took(PROMETHEUS.replace("owner: ada", f"owner: {'x' * 101}"))
    rule = Rule.objects.get(name="Slow")
    assert (rule.owner, rule.annotations["owner"]) == ("", "x" * 101)
