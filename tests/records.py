"""What tests that send records share, fixtures of every folder: committed tables, a
workspace, a key, a clock, records."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from core.accounts import keys
from core.accounts.models import ApiKey, Workspace
from core.audit.partitions import AUDIT
from core.pg.partitions import drop_before
from core.process_cache import forget_all
from portal.env import Config
from telemetry.deciding import settle, waiting
from tests.emptying import empty_tables
from tests.in_flight import REQUESTS
from usage.catalog import KINDS

# A fixed time in the past half hour of a quarter, so that records around it share no bucket by accident.
NOW = datetime(2026, 3, 2, 10, 7, 30, tzinfo=UTC)


def forget() -> None:
    """What processes remember of the database."""
    forget_all()


@pytest.fixture
def tables(transactional_db: None, spool_folder: Path) -> Iterator[None]:
    """Committed, empty tables, with partitions left as they are, and a spool of the test's own."""
    empty_tables()
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM audit_line)")
        if cursor.fetchone()[0]:
            drop_before(AUDIT, datetime.max.replace(tzinfo=UTC))
        cursor.execute(
            "INSERT INTO usage_watermark (generation, generation_at, floor_15s, floor_5m, floor_1h)"
            " SELECT max(substring(c.relname FROM '[0-9]+$')::int), %s, '-infinity', '-infinity', '-infinity'"
            " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'usage_event_seen'::regclass",
            [NOW],
        )
    forget()
    yield
    REQUESTS.wait()
    forget()


def settle_all() -> None:
    """Decide and count the usage of all spans that wait."""
    settle.settle(0)
    assert waiting.since() is None


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    """Change settings of the portal for a test."""

    def change(**values: Any) -> Config:
        config = replace(settings.PORTAL, **values)
        monkeypatch.setattr(settings, "PORTAL", config)
        return config

    return change


@pytest.fixture
def spool_folder(tmp_path: Path, configure: Callable[..., Config]) -> Path:
    """A spool of the test's own."""
    configure(spool_dir=tmp_path / "spool", key_rate=0)
    return tmp_path / "spool"


@dataclass
class Sender:
    """An application that sends records."""

    key: ApiKey
    plaintext: str
    client: Client

    def post(self, body: Any, **headers: Any) -> Any:
        """POST /api/v1/usage; a body that is not bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"HTTP_AUTHORIZATION": f"Bearer {self.plaintext}", **headers}
        return self.client.post("/api/v1/usage", data, content_type="application/json", **given)


@pytest.fixture
def workspace(tables: None) -> Workspace:
    """The workspace that the sender's key writes into."""
    return Workspace.objects.create(slug="production", name="Production")


@pytest.fixture
def sender(workspace: Workspace) -> Sender:
    """An application with a key for records, old ones too: the tests' records lie at a fixed time."""
    key, plaintext = keys.create_key("app", workspace, ["ingest", "backfill"])
    return Sender(key, plaintext, Client())


@pytest.fixture
def fixed_time(configure: Callable[..., Config]) -> datetime:
    """Let records of the tests' fixed time in, whatever the clock shows."""
    configure(retention_records_days=36_500, record_max_age=10**10)
    return NOW


def call(at: datetime | float | None = NOW, **fields: Any) -> dict[str, Any]:
    """A call of a model that succeeded, as a client sends it."""
    record = {
        "kind": "llm_call",
        "event_id": str(uuid.uuid4()),
        "at": at.isoformat() if isinstance(at, datetime) else at,
        "component": "agent",
        "provider": "openai",
        "model": "gpt-4o",
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "duration_seconds": 1.5,
        **fields,
    }
    return {name: value for name, value in record.items() if value is not None}


def scalar(sql: str, *values: Any) -> Any:
    """The one value of a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        row = cursor.fetchone()
        return row[0] if row else None


def rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def measures(table: str = "usage_total") -> dict[str, float]:
    """The sums of a table's llm_call measures, by name."""
    found = {}
    for name, offset in KINDS["llm_call"].offsets.items():
        found[name] = scalar(
            f"SELECT coalesce(sum(measures[{offset + 1}]), 0) FROM {table} t"
            " JOIN usage_dimension d ON d.id = t.dimension_id"
            " WHERE d.kind = 'llm_call'"
        )
    return found
