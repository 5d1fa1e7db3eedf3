"""Demo traffic: plausible, the same for the same time, apart from what is real, and over after an hour."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from django.core.management import call_command
from django.utils import timezone

from alerts.canary.run import RECORD
from core.accounts.models import ApiKey, Workspace
from core.audit.models import AuditLine
from tests.people import browser_of, make_people
from tests.records import scalar, settle_all
from usage.catalog import FAMILIES, OWN_GAUGES
from usage.models import DemoTraffic, Receipt, Record
from usage.records.records import decode
from usage.samples import demo, demo_world
from usage.samples.demo_world import records
from usage.series.exposition import exposition

HOUR = 3600
START = 1_760_000_400


def test_the_same_time_makes_the_same_records() -> None:
    whole = list(records(START, START + 60))
    assert whole == [*records(START, START + 25), *records(START + 25, START + 60)]
    assert len({record["event_id"] for record in whole}) == len(whole)


def test_every_record_is_well_formed_and_every_kind_is_there() -> None:
    made = list(records(START, START + HOUR))
    assert decode(msgspec.json.encode(made)).rejected == []
    assert {record["kind"] for record in made} == {
        *("llm_call", "tool_call", "execution", "gateway_request", "registry_lookup", "factory_create", "gauge")
    }
    assert all(START <= record["at"] <= START + HOUR for record in made)


def test_each_hour_has_its_incidents() -> None:
    made = list(records(START // HOUR * HOUR, START // HOUR * HOUR + HOUR))
    calls = [record for record in made if record["kind"] == "llm_call"]
    gone = [call["model"] for call in calls if call["outcome"] == "success" and "prompt_tokens" not in call]
    assert max(set(gone), key=gone.count) == "gemini-2.5-flash"
    limited = [call["provider"] for call in calls if call["outcome"] == "rate_limited"]
    assert max(set(limited), key=limited.count) == "anthropic"
    assert any(call["model"] == "llama-3-70b-tuned" for call in calls)
    assert all(call["component"].startswith("demo-") for call in calls)


@pytest.mark.usefixtures("tables")
def test_an_hour_of_it_feeds_every_family_that_clients_feed() -> None:
    now = timezone.now()
    demo.backfill(now - timedelta(hours=1), now, now)
    exported = {line.split("{")[0].split(" ")[0] for line in exposition(False).splitlines() if line[:1] != "#"}
    suffix = {"histogram": "_count"}
    fed = {family.name + suffix.get(family.type, "") for family in FAMILIES if family.name not in {*OWN_GAUGES, RECORD}}
    assert fed - exported <= {"llm_usage_persist_errors_total"}
    assert Receipt.objects.filter(rejected__gt=0).count() == 0


@pytest.mark.usefixtures("tables")
def test_start_fills_ten_minutes_and_the_task_goes_on_from_there() -> None:
    now = datetime(2026, 3, 4, 10, 0, 2, tzinfo=UTC)
    demo.start(None, now)
    before = Record.objects.count()
    first, last = Record.objects.order_by("at").values_list("at", flat=True)[0], now
    assert timedelta(minutes=9) < last - first <= timedelta(minutes=10, seconds=demo_world.TICK)
    assert demo.send_due(now) == 0
    assert demo.send_due(now + timedelta(seconds=30)) == Record.objects.count() - before > 0
    assert set(Record.objects.values_list("dimension__labels__workspace", flat=True)) == {"demo"}
    assert ApiKey.objects.get(name="demo traffic").last_used_at is not None


@pytest.mark.usefixtures("tables")
def test_two_tasks_at_once_send_nothing_twice() -> None:
    now = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
    demo.start(None, now)
    then = now + timedelta(seconds=30)
    assert demo.send_due(then) > 0
    DemoTraffic.objects.update(sent_until=now)  # the other task read the row before the first one wrote it
    assert demo.send_due(then) == 0


@pytest.mark.usefixtures("tables")
def test_it_stops_by_itself_after_an_hour_and_on_demand_at_once() -> None:
    now = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
    demo.start(None, now)
    assert demo.running(now + timedelta(minutes=59))
    assert not demo.running(now + timedelta(minutes=60))
    assert demo.stop(now + timedelta(seconds=5))
    assert not demo.running(now + timedelta(seconds=5))
    demo.send_due(now + timedelta(seconds=10))
    assert demo.send_due(now + timedelta(minutes=5)) == 0
    assert not demo.stop(now + timedelta(seconds=10))


@pytest.mark.usefixtures("tables")
def test_after_a_pause_of_the_worker_only_the_last_minutes_are_made_up_for() -> None:
    now = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
    demo.start(None, now)
    later = now + timedelta(minutes=40)
    demo.send_due(later)
    missing = Record.objects.filter(at__gt=now + timedelta(minutes=1), at__lt=later - timedelta(minutes=11))
    assert not missing.exists()


@pytest.mark.usefixtures("tables")
def test_operators_start_and_stop_it_and_others_get_404() -> None:
    people = make_people()
    assert browser_of(people.teammate).post("/demo/start/").status_code == 404
    assert browser_of(people.teammate).post("/demo/stop/").status_code == 404
    assert not DemoTraffic.objects.exists()
    browser = browser_of(people.owner)
    assert browser.get("/demo/start/").status_code == 405
    answer = browser.post("/demo/start/")
    assert (answer.status_code, answer["Location"]) == (302, "/?workspace=demo&range=1h")
    assert demo.running(timezone.now())
    shown = browser.get("/").content.decode()
    assert "Stop demo traffic" in shown
    assert 'action="/demo/stop/"' in shown
    assert 'action="/demo/stop/"' not in browser_of(people.teammate).get("/").content.decode()
    assert Workspace.objects.get(slug="demo").memberships.get().user == people.owner
    assert browser.post("/demo/stop/").status_code == 302
    assert AuditLine.objects.filter(action="started", actor="owner", workspace="demo").count() == 1
    assert AuditLine.objects.filter(action="stopped", actor="owner", workspace="demo").count() == 1
    assert not demo.running(timezone.now())
    assert "Stop demo traffic" not in browser.get("/").content.decode()


@pytest.mark.usefixtures("tables")
def test_the_command_fills_history_once(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("demo", hours=0.5)
    settle_all()
    said = capsys.readouterr().out
    assert said.endswith(" records are new in the workspace demo, which has 360 executions\n")
    records, traces = int(said.split()[0].replace(",", "")), scalar("SELECT count(*) FROM telemetry_trace")
    assert (Record.objects.count() > records > 1000, traces) == (True, 360)
    call_command("demo", hours=0.4)
    assert scalar("SELECT sum(spans) FROM telemetry_trace") == scalar("SELECT count(*) FROM telemetry_span")
