"""cluster/prometheus/: what Prometheus's own checker says, and what the rules are made of."""

import subprocess
from pathlib import Path

import pytest
import yaml

from alerts.rules.defaults import GROUPS
from portal.exports.prometheus_files import duration, scrape_config
from tests.conftest import require_program

CLUSTER = Path(__file__).resolve().parents[2] / "cluster"
PROMETHEUS = CLUSTER / "prometheus"


@pytest.mark.parametrize("what", [("config", "prometheus.yml"), ("rules", "rules/llm-usage.yml")])
def test_promtool_finds_nothing_wrong(what: tuple[str, str]) -> None:
    command, file = what
    done = subprocess.run(
        [require_program("promtool"), "check", command, PROMETHEUS / file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""


def test_the_portal_is_scraped_every_15_seconds() -> None:
    config = yaml.safe_load(scrape_config())
    assert config["global"]["scrape_interval"] == "15s"
    assert config["scrape_configs"] == [
        {"job_name": "llm-usage-portal", "static_configs": [{"targets": ["127.0.0.1:8000"]}]}
    ]


def test_every_default_rule_is_in_the_file_with_its_runbook() -> None:
    groups = yaml.safe_load((PROMETHEUS / "rules/llm-usage.yml").read_text())["groups"]
    written = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    shipped = {rule.name: rule for group in GROUPS for rule in group.rules}
    assert list(written) == list(shipped)
    for name, rule in written.items():
        assert "$threshold" not in rule["expr"]
        assert rule["labels"] == {"severity": shipped[name].severity}
        assert rule["annotations"]["runbook_url"].endswith(f"/runbooks/{shipped[name].runbook}/")
        assert rule.get("for", "0s") == duration(shipped[name].for_seconds)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (15, "15s"), (60, "1m"), (90, "90s"), (900, "15m"), (7200, "2h"), (86_400, "1d")]
)
def test_durations_take_the_largest_unit_that_fits(seconds: int, text: str) -> None:
    assert duration(seconds) == text
