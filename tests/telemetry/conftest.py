"""What tests of telemetry share: captured bodies of real clients, and a client that posts them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from portal.env import Config
from tests.records import Sender, settle_all

BODIES = Path(__file__).parent / "bodies"
PROTOBUF, JSON = "application/x-protobuf", "application/json"


Configure = Callable[..., Config]


@dataclass
class Exporter:
    """A client of OpenTelemetry."""

    plaintext: str
    client: Client
    settles: bool = True

    def post(self, path: str, body: bytes, content_type: str = PROTOBUF, **headers: Any) -> Any:
        """POST a body; unless `settles` is False its usage is decided before anything else comes."""
        given = {"HTTP_AUTHORIZATION": f"Bearer {self.plaintext}", **headers}
        answer = self.client.post(path, body, content_type=content_type, **given)
        if self.settles:
            settle_all()
        return answer

    def send(self, name: str) -> Any:
        """POST a captured body to the address that its name tells."""
        body = (BODIES / name).read_bytes()
        if name == "litellm-generic_api.json":
            return self.post("/api/v1/litellm", body, JSON)
        signal = next(one for one in ("traces", "metrics", "logs") if one in name)
        return self.post(f"/v1/{signal}", body, JSON if name.endswith(".json") else PROTOBUF)


@pytest.fixture
def exporter(sender: Sender) -> Exporter:
    """A client of OpenTelemetry whose key may send old spans: the captured ones lie at a fixed time."""
    return Exporter(sender.plaintext, sender.client)


@pytest.fixture
def old_spans(fixed_time: datetime, configure: Configure) -> None:
    """Let spans and logs of the tests' fixed times in, whatever the clock shows."""
    configure(retention_traces_days=36_500, retention_logs_days=36_500)
