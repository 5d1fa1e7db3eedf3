"""Bodies that nobody would send: whatever bytes come, an answer is no 5xx but 503, and the portal stays whole.

`MUTATED_BODIES` sets how many are sent (20,000 take some minutes).
"""

import json
import os
import random

import pytest

from tests.records import scalar
from tests.telemetry.conftest import BODIES, JSON, PROTOBUF, Exporter
from usage.ingest import spool

pytestmark = pytest.mark.usefixtures("old_spans")
COUNT = int(os.environ.get("MUTATED_BODIES", "600"))
ORIGINALS = sorted(path for path in BODIES.iterdir() if path.stat().st_size < 30_000)
ODD_NUMBERS = (
    "-1",
    "0",
    "18446744073709551615",
    "1e308",
    "NaN",
    '"9223372036854775808"',
    "null",
    '""',
    "[]",
    "true",
    '"\\ud800"',
)


def mutated(draw: random.Random, body: bytes) -> bytes:
    """The body with some bytes changed, taken away, doubled or put in."""
    data = bytearray(body)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        at, to = sorted(draw.randrange(len(data) + 1) for _ in range(2))
        to = min(to, at + draw.choice((1, 2, 8, 64, 4096)))
        match draw.randrange(6):
            case 0 if data:
                data[min(at, len(data) - 1)] ^= 1 << draw.randrange(8)
            case 1:
                del data[at:to]
            case 2:
                data[at:at] = data[at:to]
            case 3:
                data[at:to] = draw.randbytes(to - at)
            case 4:
                data[at:to] = bytes([draw.choice((0, 1, 127, 128, 255))]) * (to - at)
            case _:
                del data[at : None if draw.random() < 0.2 else to]
    return bytes(data)


def mutated_json(draw: random.Random, body: bytes) -> bytes:
    """A JSON body whose values are others, so that it still parses more often."""
    text = body.decode()
    for _ in range(draw.choice((1, 2, 5))):
        at = text.find(":", draw.randrange(len(text)))
        end = min((place for mark in ",}]" if (place := text.find(mark, at)) > 0), default=at)
        if at > 0 and end > at:
            text = f"{text[: at + 1]}{draw.choice(ODD_NUMBERS)}{text[end:]}"
    return text.encode()


def addresses(draw: random.Random, name: str) -> tuple[str, str]:
    """Where a body is sent, seldom where it does not belong, and as what."""
    if draw.random() < 0.05:
        return draw.choice(("/v1/traces", "/v1/metrics", "/v1/logs", "/api/v1/litellm")), draw.choice((PROTOBUF, JSON))
    if name.startswith("litellm-generic"):
        return "/api/v1/litellm", JSON
    signal = next(one for one in ("traces", "metrics", "logs") if one in name)
    return f"/v1/{signal}", JSON if name.endswith(".json") else PROTOBUF


def test_no_mutated_body_is_an_error_of_the_server_or_reaches_the_spool(exporter: Exporter) -> None:
    draw = random.Random(7)
    statuses: dict[int, int] = {}
    for number in range(COUNT):
        path = draw.choice(ORIGINALS)
        body = path.read_bytes()
        body = mutated_json(draw, body) if path.suffix == ".json" and draw.random() < 0.7 else mutated(draw, body)
        address, content_type = addresses(draw, path.name)
        answer = exporter.post(address, body, content_type, CONTENT_TYPE=content_type)
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        assert answer.status_code in (200, 400, 413), (number, path.name, answer.content)
        if answer["Content-Type"] == JSON:
            json.loads(answer.content)
        # A batch that could not be stored would be a fault of ours, hidden in the spool.
        assert spool.waiting() == 0, (number, path.name)
    assert statuses[200] > COUNT / 20
    assert statuses[400] > COUNT / 20
    assert scalar("SELECT count(*) FROM telemetry_span WHERE counted_kind = '' AND not_counted = ''") == 0
    assert scalar("SELECT sum(spans) FROM telemetry_trace") == scalar("SELECT count(*) FROM telemetry_span")
