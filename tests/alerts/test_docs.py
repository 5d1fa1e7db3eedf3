"""docs/alerting.md tells of what there is."""

import re
from pathlib import Path

from alerts import gotemplate
from alerts.notify import claims, deliveries
from alerts.rules.defaults import GROUPS
from core.net import outbound

TEXT = (Path(__file__).resolve().parents[2] / "docs/alerting.md").read_text()


def test_every_default_rule_is_in_the_table_with_its_severity() -> None:
    rows = dict(re.findall(r"^\| ([\w ]+?) \| .* \| (critical|warning|info)\b.*\|$", TEXT, re.MULTILINE))
    assert rows == {rule.name: rule.severity for group in GROUPS for rule in group.rules}


def test_every_template_function_is_named() -> None:
    assert [name for name in gotemplate.FUNCTIONS if name not in TEXT] == []


def test_the_times_of_deliveries_are_those_of_the_code() -> None:
    pauses = (deliveries.FIRST_PAUSE, deliveries.LONGEST_PAUSE / 60, deliveries.GIVE_UP.total_seconds() / 3600)
    assert "after {:g} s, doubling up to {:g} minutes, give or take a fifth, for {:g} hours".format(*pauses) in TEXT
    assert f"rests for up to {deliveries.REST:g} s" in TEXT
    assert f"taken again after {claims.CLAIM.total_seconds():g} s" in TEXT
    assert f"{outbound.SECONDS:g} s in all, {outbound.ANSWER_BYTES >> 10} KiB of answer" in TEXT
