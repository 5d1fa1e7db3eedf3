"""What is kept of traces, and that no number depends on it."""

from datetime import timedelta
from typing import Any

import pytest

from core.accounts.models import Workspace
from telemetry.store import sampling
from telemetry.store.sampling_metrics import SamplingCollector
from tests.records import NOW, measures, rows, scalar
from tests.telemetry.conftest import Configure, Exporter
from tests.telemetry.store.reading.test_reading import span, trace

LATER = NOW + timedelta(hours=1)


def kept() -> dict[str, str]:
    return dict(rows("SELECT root_name, kept FROM telemetry_trace"))


def fill(workspace: Workspace, count: int, **values: Any) -> None:
    for number in range(1, count + 1):
        trace(workspace, number, **values)


def test_errors_the_slowest_the_costliest_and_a_share_are_kept(workspace: Workspace, configure: Configure) -> None:
    configure(trace_keep=0.0)
    fill(workspace, 40)
    trace(workspace, 41, errors=1)
    for number in range(42, 52):
        trace(workspace, number, duration=9.0 + number)
    for number in range(52, 62):
        trace(workspace, number, duration=0.1, cost_usd=0.5)
    span(workspace, f"{1:032x}", "a" * 16)
    span(workspace, f"{41:032x}", "b" * 16)
    assert sampling.decide(LATER) == 61
    assert kept() == {
        "run 41": "error",
        **{f"run {number}": "slow" for number in range(42, 52)},
        **{f"run {number}": "costly" for number in range(52, 62)},
    }
    assert scalar("SELECT count(*) FROM telemetry_span") == 1
    assert sampling.decisions() == [("costly", 10, 10), ("dropped", 40, 40), ("error", 1, 1), ("slow", 10, 10)]
    [traces, spans] = SamplingCollector(sampling.decisions()).collect()
    assert [(one.labels["decision"], one.value) for one in traces.samples][:2] == [("costly", 10), ("dropped", 40)]
    assert spans.name == "portal_spans_sampled"


def test_the_share_is_chosen_by_the_trace_s_id_alone(workspace: Workspace, configure: Configure) -> None:
    configure(trace_keep=0.3)
    fill(workspace, 200, duration=0.0)
    for number in range(1, 11):
        trace(workspace, 1000 + number, duration=5.0)
    sampling.decide(LATER)
    first = {name for name, why in kept().items() if why == "share"}
    assert 30 < len(first) < 90
    for number in range(1, 201):
        if f"run {number}" not in first:
            trace(workspace, number, duration=0.0)
    sampling.decide(LATER)
    assert {name for name, why in kept().items() if why == "share"} == first


def test_a_trace_of_which_spans_still_come_is_not_decided_upon(workspace: Workspace, configure: Configure) -> None:
    configure(trace_settle=600)
    trace(workspace, 1, last_seen=NOW)
    assert sampling.decide(NOW + timedelta(seconds=599)) == 0
    assert sampling.decide(NOW + timedelta(seconds=601)) == 1
    assert sampling.decide(LATER) == 0


@pytest.mark.usefixtures("old_spans")
def test_numbers_do_not_depend_on_what_is_kept_and_what_comes_again_counts_nothing(
    exporter: Exporter, configure: Configure
) -> None:
    configure(trace_keep=0.0)
    exporter.send("pydantic-ai-traces.bin")
    before = measures()
    sampling.decide(LATER + timedelta(days=3650))
    assert scalar("SELECT count(*) FROM telemetry_trace WHERE kept <> ''") == 2
    assert measures() == before
    exporter.send("pydantic-ai-traces.bin")
    assert measures() == before
