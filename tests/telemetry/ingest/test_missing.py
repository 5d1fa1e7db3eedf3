"""Spans that were accepted and are not stored, or were answered 503, are missing usage until they are counted."""

import pytest
from django.utils import timezone

from telemetry.deciding import settle
from tests.postgres import postgres_away
from tests.records import Sender, rows, settle_all
from tests.telemetry.conftest import JSON, Configure, Exporter
from tests.telemetry.otlp.test_protocol import chat, request
from usage.ingest import pipeline
from usage.models import DeadLetter, MissingUsage
from usage.store import writer

pytestmark = pytest.mark.usefixtures("old_spans")
# A wrapper of an agent's framework and the call below it are one call.
BODY = request(chat(1, spanId="00000000000000a1"), chat(1, spanId="00000000000000a2", parentSpanId="00000000000000a1"))


@pytest.fixture
def quiet(exporter: Exporter, sender: Sender) -> Exporter:
    """A client whose key is known and whose spans wait to be counted."""
    sender.post([])
    exporter.settles = False
    return exporter


def coverage() -> dict[str, float]:
    """Usage events by outcome, where there are any."""
    return dict(
        rows(
            "SELECT d.labels->>'usage', sum(r.measures[1]) FROM usage_rollup_15s r"
            " JOIN usage_dimension d ON d.id = r.dimension_id"
            " WHERE d.kind = 'llm_call' AND d.labels ? 'usage' GROUP BY 1 HAVING sum(r.measures[1]) <> 0"
        )
    )


def test_spans_that_wait_too_long_in_the_spool_are_missing_until_they_are_counted(quiet: Exporter) -> None:
    with postgres_away():
        assert quiet.post("/v1/traces", BODY, JSON).status_code == 200
    pipeline.count_overdue(timezone.now().timestamp() + 301)
    assert coverage() == {"failure": 1}
    assert pipeline.drain() == 1
    settle_all()
    assert (coverage(), MissingUsage.objects.count()) == ({"success": 1}, 0)


def test_spans_that_are_answered_503_are_missing_until_they_come_again(quiet: Exporter, configure: Configure) -> None:
    configure(spool_max_bytes=10)
    with postgres_away():
        assert [quiet.post("/v1/traces", BODY, JSON).status_code for _ in range(2)] == [503, 503]
    pipeline.drain()
    assert coverage() == {"failure": 1}
    assert quiet.post("/v1/traces", BODY, JSON).status_code == 200
    settle_all()
    assert coverage() == {"success": 1}


def test_calls_that_can_never_be_counted_are_missing_until_they_are_replayed(
    quiet: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet.post("/v1/traces", BODY, JSON)
    with monkeypatch.context() as patch:
        patch.setattr(writer, "put", lambda *_: 1 / 0)
        settle.settle(0)
    assert coverage() == {"failure": 1}
    pipeline.replay(DeadLetter.objects.get(), timezone.now())
    assert coverage() == {"success": 1}
