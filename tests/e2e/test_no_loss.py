"""The portal's promise: what it answered 200 for is in Postgres once, whatever dies meanwhile."""

import json
import threading
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field

import psutil
import psycopg

from portal.run.postgres import EmbeddedPostgres
from tests.live import LivePortal, live_portal, open_folder
from tests.servers import wait_until


@dataclass
class Client:
    """An application that sends batches one after another and sends a batch again until it is answered."""

    url: str
    key: str
    accepted: int = 0
    spooled: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.is_set():
            self.send()

    def send(self) -> None:
        record = {"kind": "llm_call", "provider": "p", "model": "m", "prompt_tokens": 3, "completion_tokens": 1}
        body = json.dumps([{**record, "event_id": str(uuid.uuid4())} for _ in range(10)]).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/usage", body, {"Authorization": f"Bearer {self.key}"})
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    receipt = json.load(answer)
            except (urllib.error.URLError, OSError):
                continue  # a 503, or the web server was just killed: the same batch again
            # A batch whose answer was lost comes back as duplicates: it is in, once.
            self.accepted += receipt["accepted"] + receipt["duplicates"]
            self.spooled += bool(receipt.get("spooled"))
            return


@dataclass
class Exporter(Client):
    """An application that exports spans: a trace in two batches, its call of a model and the wrapper
    around it, now one first, now the other."""

    traces: int = 0

    def send(self) -> None:
        trace, call, wrapper = uuid.uuid4().hex, uuid.uuid4().hex[:16], uuid.uuid4().hex[:16]
        spans = [(call, wrapper), (wrapper, "")]
        for span, parent in spans if self.traces % 2 else reversed(spans):
            self.export(trace, span, parent)
        self.traces += 1

    def export(self, trace: str, span: str, parent: str) -> None:
        given = {"gen_ai.operation.name": "chat", "gen_ai.system": "p", "gen_ai.request.model": "spans"}
        attributes = [{"key": name, "value": {"stringValue": value}} for name, value in given.items()]
        attributes.append({"key": "gen_ai.usage.input_tokens", "value": {"intValue": 5}})
        now = time.time_ns()
        one = {"traceId": trace, "spanId": span, "parentSpanId": parent, "name": "chat", "attributes": attributes}
        spans = [{**one, "startTimeUnixNano": str(now - 10**9), "endTimeUnixNano": str(now)}]
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/v1/traces", body, headers)
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    assert answer.read() == b"{}"
            except (urllib.error.URLError, OSError):
                continue
            return


def prompt_tokens(portal: LivePortal, model: str = "m") -> float:
    """The exported counter of a client's model."""
    lines = [
        line
        for line in portal.get("/metrics").splitlines()
        if line.startswith("llm_tokens_total") and 'direction="input"' in line and f'model="{model}"' in line
    ]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def kill(process: psutil.Process) -> None:
    process.kill()
    process.wait(10)


def test_nothing_accepted_is_lost_or_doubled_while_everything_is_killed() -> None:
    with open_folder() as folder, live_portal(folder / "data", environment={"PORTAL_KEY_RATE": "0"}) as portal:
        client = Client(portal.url, portal.line("api key:"))
        exporter = Exporter(portal.url, client.key, stop=client.stop)
        threads = [threading.Thread(target=one.run) for one in (client, exporter)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: client.accepted >= 100, 30, "no records came in")
            kill(portal.leader_of("postgres"))
            wait_until(lambda: client.spooled >= 3, 30, "nothing was spooled while Postgres was away")
            after = client.accepted
            wait_until(lambda: client.accepted > after + 100, 60, "records stopped")
            for word in ("worker", "web"):
                kill(portal.leader_of(word))
                after, traces = client.accepted, exporter.traces
                wait_until(lambda: client.accepted > after + 100, 60, f"records stopped after {word} was killed")  # noqa: B023
                wait_until(lambda: exporter.traces > traces + 3, 60, f"spans stopped after {word} was killed")  # noqa: B023
        finally:
            client.stop.set()
            for thread in threads:
                thread.join()
        wait_until(lambda: not list((folder / "data/spool").glob("*.batch")), 60, "the spool is not drained")
        wait_until(lambda: prompt_tokens(portal) >= 3 * client.accepted, 60, "records are missing")
        assert prompt_tokens(portal) == 3 * client.accepted
        wait_until(lambda: prompt_tokens(portal, "spans") >= 5 * exporter.traces, 60, "spans are missing")
        assert prompt_tokens(portal, "spans") == 5 * exporter.traces
        with psycopg.connect(EmbeddedPostgres(folder / "data").url()) as connection:
            found = connection.execute("SELECT count(*), sum(spans), sum(llm_calls) FROM telemetry_trace").fetchone()
            assert found == (exporter.traces, 2 * exporter.traces, exporter.traces)
            assert connection.execute("SELECT count(*) FROM telemetry_span").fetchone() == (2 * exporter.traces,)
        assert 'llm_usage_persist_errors_total{error_type="db_error"}' in portal.get("/metrics")
