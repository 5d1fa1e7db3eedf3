"""Spans, traces and logs are written and read in one room each, so that another store can stand behind them."""

import re
from pathlib import Path

from tests.live import ROOT

TABLES = re.compile(r"\btelemetry_(?:span|trace|log)\b")
# Where tables are made, and the room itself.
ROOMS = ("telemetry/store/", "telemetry/migrations/", "telemetry/models.py")
PACKAGES = ("core", "usage", "telemetry", "alerts", "portal")


def test_only_the_store_speaks_to_the_tables_of_spans_traces_and_logs() -> None:
    files = [path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert Path("telemetry/store/span_writer.py") in files
    outside = [path for path in files if not path.as_posix().startswith(ROOMS)]
    assert [path for path in outside if TABLES.search((ROOT / path).read_text())] == []
