"""Routes as amtool has them, over configurations of the kind that people run."""

import itertools
import random
import subprocess
from pathlib import Path

import pytest

from alerts.routing.configuration import dump, parse_configuration, write_configuration
from alerts.routing.tree import route_of
from tests.conftest import require_program

CONFIGURATIONS = sorted((Path(__file__).parent / "configurations").glob("*.yml"))
VALUES = {
    "service": ["foo1", "foo", "baz", "files", "database"],
    "severity": ["critical", "warning", "info"],
    "owner": ["team-X", "team-Y"],
    "alertname": ["Watchdog", "InfoInhibitor", "HighLoad"],
    "namespace": ["prod-1", "xprod-1", "test-2"],
    "team": ["a"],
    "tier": ["1", "2", "12"],
}


def label_sets() -> list[dict[str, str]]:
    """The interesting corners, the same ones at every run."""
    chosen = random.Random(12)
    found = [
        {name: value for name, value in zip(VALUES, values, strict=True) if value}
        for values in itertools.product(*([*known, ""] for known in VALUES.values()))
    ]
    return chosen.sample(found, 60)


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.stem)
def test_alerts_go_where_amtool_says(file: Path) -> None:
    amtool = require_program("amtool")
    root = parse_configuration(file.read_text()).root
    for labels in label_sets():
        pairs = [f"{name}={value}" for name, value in labels.items()]
        done = subprocess.run(
            [amtool, "config", "routes", "test", f"--config.file={file}", *pairs],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert ",".join(route.receiver for route in route_of(root, labels)) == done.stdout.strip(), labels


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.stem)
def test_what_is_written_is_read_again_and_amtool_takes_it(file: Path, tmp_path: Path) -> None:
    configuration = parse_configuration(file.read_text())
    found = write_configuration(configuration)
    found["global"] |= configuration.settings
    written = tmp_path / "alertmanager.yml"
    written.write_text(dump(found))
    again = parse_configuration(written.read_text())
    assert (again.root, again.inhibit_rules) == (configuration.root, configuration.inhibit_rules)
    assert (again.time_intervals, again.receivers) == (configuration.time_intervals, configuration.receivers)
    done = subprocess.run(
        [require_program("amtool"), "check-config", written], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
