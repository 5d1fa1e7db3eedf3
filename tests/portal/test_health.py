"""/healthz and /readyz say what is so, since when, to any probe."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone

from alerts.models import Rule, RuleGroup
from core.pg.statement_timeout import with_statement_timeout
from portal.health import Memory, beat, readiness
from portal.models import Heartbeat
from portal.tasks import heartbeat
from tests.postgres import postgres_away

NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def no_database() -> Iterator[None]:
    """Postgres is away: nothing listens where it is looked for."""
    with postgres_away():
        yield


def test_healthz_needs_no_database_and_no_known_host() -> None:
    answer = Client().get("/healthz", headers={"host": "10.1.2.3:8000"})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_readyz_is_200_when_a_worker_beats_and_503_when_none_does() -> None:
    answer = Client().get("/readyz", headers={"host": "10.1.2.3"})
    assert answer.status_code == 503
    assert answer.json()["checks"]["evaluate"]["detail"] == "no heartbeat of beat and worker"
    heartbeat()
    RuleGroup.objects.update(evaluated_until=timezone.now())
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert {name: check["ok"] for name, check in answer.json()["checks"].items()} == {
        "database": True,
        "store": True,
        "evaluate": True,
        "rules": True,
    }


@pytest.mark.django_db
def test_readyz_names_the_groups_that_are_not_evaluated_and_since_when() -> None:
    heartbeat()
    RuleGroup.objects.exclude(name="llm_usage").update(evaluated_until=timezone.now())
    since = timezone.now() - timedelta(minutes=5)
    RuleGroup.objects.filter(name="llm_usage").update(evaluated_until=since)
    answer = Client().get("/readyz?check=rules")
    assert answer.status_code == 503
    assert answer.json()["checks"]["rules"] == {
        "ok": False,
        "since": since.isoformat(),
        "detail": f"rules of group llm_usage are not evaluated since {since.isoformat(sep=' ', timespec='seconds')}",
    }
    Rule.objects.filter(group__name="llm_usage").update(enabled=False)
    assert Client().get("/readyz?check=rules").status_code == 200


@pytest.mark.django_db
def test_one_check_can_be_asked_for() -> None:
    assert Client().get("/readyz?check=store").status_code == 200
    assert Client().get("/readyz?check=evaluate").status_code == 503
    assert Client().get("/readyz?check=coffee").status_code == 400


@pytest.mark.django_db
def test_evaluation_is_stale_a_minute_after_the_last_beat_and_says_when_that_was() -> None:
    memory = Memory()
    beat("worker", NOW)
    beat("worker", NOW + timedelta(seconds=10))
    good = readiness(memory, NOW + timedelta(seconds=70))[2]
    assert (good.ok, good.since) == (True, NOW)
    bad = readiness(memory, NOW + timedelta(seconds=71))[2]
    assert (bad.ok, bad.since) == (False, NOW + timedelta(seconds=10))


@pytest.mark.django_db
def test_a_gap_between_beats_begins_a_new_since_and_a_late_beat_does_not_go_back() -> None:
    beat("worker", NOW)
    beat("worker", NOW + timedelta(seconds=61))
    beat("worker", NOW + timedelta(seconds=50))
    row = Heartbeat.objects.get()
    assert (row.seen_at, row.since) == (NOW + timedelta(seconds=61), NOW + timedelta(seconds=61))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_database")
def test_without_postgres_the_spool_can_store_and_nothing_can_evaluate() -> None:
    checks = {check.name: check for check in readiness(Memory(), NOW)}
    assert [(name, check.ok) for name, check in checks.items()] == [
        ("database", False),
        ("store", True),
        ("evaluate", False),
        ("rules", False),
    ]
    assert "refused" in checks["database"].detail
    assert checks["store"].detail.startswith("in the spool, ")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_database")
def test_without_postgres_and_with_a_full_spool_nothing_can_be_stored() -> None:
    folder: Path = settings.PORTAL.spool
    folder.mkdir(exist_ok=True)
    batch = folder / "1-1-0.batch"
    with batch.open("wb") as file:
        file.truncate(settings.PORTAL.spool_max_bytes)
    try:
        store = readiness(Memory(), NOW)[1]
    finally:
        batch.unlink()
    assert (store.ok, store.detail) == (False, "in the spool, 0 bytes left")


def test_memory_tells_since_when_a_check_is_as_it_is() -> None:
    memory = Memory()
    memory.check("database", True, "", NOW)
    changed = memory.check("database", False, "", NOW + timedelta(seconds=5))
    still = memory.check("database", False, "", NOW + timedelta(seconds=9))
    assert changed.since == still.since == NOW + timedelta(seconds=5)


@pytest.mark.django_db
def test_the_web_server_waits_for_no_statement_forever() -> None:
    code = (
        "import portal.wsgi\n"
        "from django.db import connection\n"
        "with connection.cursor() as cursor:\n"
        "    cursor.execute('SHOW statement_timeout')\n"
        "    print(cursor.fetchone()[0])\n"
    )
    given = connection.settings_dict
    url = f"postgresql://{given['USER']}@/{given['NAME']}?{urlencode({'host': given['HOST'], 'port': given['PORT']})}"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "portal.settings", "DATABASE_URL": url}
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (shown.stdout, shown.returncode) == ("2min\n", 0), shown.stderr


def test_the_bound_stands_beside_options_of_the_url() -> None:
    bounded = with_statement_timeout({"NAME": "p", "OPTIONS": {"options": "-c work_mem=64MB", "sslmode": "require"}})
    options = {"options": "-c work_mem=64MB -c statement_timeout=120s", "sslmode": "require"}
    assert bounded == {"NAME": "p", "OPTIONS": options}
