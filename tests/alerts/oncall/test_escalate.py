"""Escalation: step after step until somebody acknowledges, and then quiet, whatever races."""

import datetime as dt
import threading
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction

from alerts.incidents import actions
from alerts.incidents.routing.edits import remove_routing
from alerts.incidents.silences import expire_silence, set_silence
from alerts.models import Alert, Delivery, Escalation, EscalationPolicy, Incident, Member
from alerts.notify.channels import create_channel
from alerts.notify.claims import claim
from alerts.notify.deliveries import send_claimed
from alerts.oncall.escalate import escalate, escalate_due
from alerts.oncall.means import add_means
from alerts.oncall.policies import save_policy
from alerts.oncall.queries import accounts_of, names_of_targets, schedules_by_id
from alerts.routing.matchers import parse_matchers
from tests.alerts.incidents.world import at
from tests.alerts.oncall.world import Night, step
from tests.people import browser_of

pytestmark = pytest.mark.django_db


def test_steps_are_taken_one_after_the_other_and_everybody_notified_hears_the_end() -> None:
    night = Night()
    night.world.fire(0, "x", severity="critical")
    night.run(1000)
    assert night.notified() == [
        "30 mara: Email (escalated)",
        "330 jon: Email (escalated)",
        "330 pager (escalated)",
    ]
    assert night.events() == ["step 1 of support: Mara Lind (on call for support)", "step 2 of support: jon, pager"]
    notes = dict(Delivery.objects.values_list("channel__name", "note"))
    assert notes["mara: Email"] == "You are on call for support. This is step 1 of support."
    assert notes["pager"] == "This is step 2 of support, as nobody has acknowledged for 5 min."
    night.world.resolve(1100, "x")
    night.run(2000)
    assert night.notified()[3:] == [
        "1230 jon: Email (resolved)",
        "1230 mara: Email (resolved)",
        "1230 pager (resolved)",
    ]
    assert Incident.objects.get().closed_at is not None
    assert Escalation.objects.get().next_at is None


def test_acknowledged_takes_no_further_step_and_given_back_goes_on_at_once() -> None:
    night = Night()
    night.world.fire(0, "x")
    night.run(100)
    incident = Incident.objects.get()
    assert actions.acknowledge(incident, by=night.mara, now=at(100))
    night.run(5000)
    assert night.notified() == ["30 mara: Email (escalated)"]
    assert actions.unacknowledge(incident, by=night.mara, now=at(5000))
    night.run(5020)
    assert night.notified()[1:] == ["5000 jon: Email (escalated)", "5000 pager (escalated)"]


def test_an_acknowledgement_lapses_where_the_policy_says_so_and_all_begins_anew() -> None:
    night = Night(acknowledged_for_seconds=600)
    night.world.fire(0, "x")
    night.run(100)
    assert actions.acknowledge(Incident.objects.get(), by=night.mara, now=at(100))
    assert Incident.objects.get().acknowledged_until == at(700)
    night.run(720)
    assert night.notified()[1:] == ["700 mara: Email (escalated)"]
    assert "it still fires, and nobody has said so again" in night.events()


def test_steps_are_taken_again_as_often_as_the_policy_repeats() -> None:
    night = Night(repeats=2, repeat_seconds=100)
    night.world.fire(0, "x")
    night.run(4000)
    mara = [line for line in night.notified() if "mara" in line]
    assert mara == [f"{seconds} mara: Email (escalated)" for seconds in (30, 430, 830)]


def test_a_step_takes_only_its_severities_and_is_passed_over_for_others() -> None:
    night = Night()
    steps = [step(0, night.on_call, severities=["critical"]), step(300, night.channel("pager"))]
    save_policy(night.policy, {"steps": steps})
    night.world.fire(0, "x", severity="warning")
    night.run(100)
    assert night.notified() == ["30 pager (escalated)"]


def test_where_a_step_reaches_nobody_the_next_one_is_taken_at_once_and_the_timeline_says_so() -> None:
    night = Night()
    night.mara.is_active = False
    night.mara.save()
    night.world.fire(0, "x")
    night.run(100)
    assert night.notified() == ["30 jon: Email (escalated)", "30 pager (escalated)"]
    assert night.events()[0] == "step 1 of support: nobody (on call for support)"
    note = Delivery.objects.get(channel_name="pager").note
    assert note == "This is step 2 of support, as nobody was reached."


def test_a_channel_of_the_same_name_keeps_nobody_from_being_notified() -> None:
    night = Night()
    create_channel("webhook", "mara: Email", {"url": "https://hooks.example.org/"}, severities=["info"])
    night.world.fire(0, "x", severity="critical")
    night.run(100)
    assert night.notified() == ["30 mara: Email 2 (escalated)"]


def test_a_step_that_fails_is_tried_again_and_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    night = Night()
    night.world.fire(0, "x")
    night.run(100)
    Escalation.objects.update(steps=[{"odd": True}], step=0, next_at=at(200))
    assert escalate_due(at(200)) == 0
    assert Escalation.objects.get().next_at == at(230)
    assert "a step of escalation" in caplog.text


def test_who_was_notified_before_hears_the_end_though_a_later_step_reached_nobody() -> None:
    night = Night()
    save_policy(night.policy, {"steps": [step(0, night.on_call), step(300, night.person(night.jon))]})
    night.world.fire(0, "x")
    night.run(100)
    User.objects.update(is_active=False)
    night.run(400)
    assert night.events()[-1] == "step 2 of support: somebody who is gone"
    assert Member.objects.get().notified


def test_a_worse_alert_counts_though_somebody_raised_the_severity_less() -> None:
    night = Night()
    steps = [step(0, night.on_call, severities=["critical"]), step(300, night.channel("pager"))]
    save_policy(night.policy, {"steps": steps})
    night.world.fire(0, "x", severity="critical")
    Incident.objects.update(raised_to="warning")
    night.run(100)
    assert night.notified() == ["30 mara: Email (escalated)"]


def test_an_incident_keeps_the_steps_that_it_began_with() -> None:
    night = Night()
    night.world.fire(0, "x")
    night.run(100)
    save_policy(night.policy, {"steps": [step(0, night.channel("pager"))]})
    night.run(400)
    assert night.notified()[1:] == ["330 jon: Email (escalated)", "330 pager (escalated)"]


def test_nothing_escalates_while_all_of_it_is_silenced_or_snoozed() -> None:
    night = Night()
    silence = set_silence(parse_matchers("name=x"), at(0), at(9000), created_by="ada", comment="work", now=at(0))
    night.world.fire(0, "x")
    night.run(1000)
    assert night.notified() == []
    expire_silence(silence, at(1000))
    night.run(1040)
    assert night.notified() == ["1000 mara: Email (escalated)"]
    actions.snooze(Incident.objects.get(), dt.timedelta(seconds=1000), by=night.mara, now=at(1040))
    night.run(2030)
    assert len(night.notified()) == 1
    night.run(2100)
    assert night.notified()[1:] == ["2040 jon: Email (escalated)", "2040 pager (escalated)"]


def test_a_person_is_notified_by_their_own_means_each_after_its_while_and_for_its_severities() -> None:
    night = Night()
    hook = {"url": "https://hooks.example.org/"}
    add_means(night.mara, "webhook", hook)
    add_means(night.mara, "ntfy", {"topic": "mara"}, delay_seconds=120)
    add_means(night.mara, "discord", hook, severities=["critical"])
    night.world.fire(0, "x", severity="warning")
    night.run(100)
    assert night.notified() == ["30 mara: Webhook (escalated)", "30 mara: ntfy (escalated)"]
    later = Delivery.objects.get(channel__name="mara: ntfy")
    assert (later.state, later.next_attempt_at) == ("pending", at(150))
    assert actions.acknowledge(Incident.objects.get(), by=night.mara, now=at(110))
    channel_id = later.channel_id or 0
    claimed = claim(channel_id, at(150))
    assert claimed is not None
    send_claimed(claimed, lambda: at(150))
    later.refresh_from_db()
    assert later.state == "skipped"


def test_by_which_means_a_person_is_reached_is_not_told_to_others() -> None:
    night = Night()
    add_means(night.mara, "webhook", {"url": "https://hooks.example.org/"})
    night.world.fire(0, "x")
    night.run(100)
    assert Delivery.objects.get().channel_name == "a personal means of mara"
    User.objects.create_superuser("root")
    reader = browser_of(User.objects.get(username="root"))
    incident, alert = Incident.objects.get(), Alert.objects.get()
    for path in (f"/alerts/{alert.pk}/", f"/incidents/{incident.pk}/", "/api/v1/deliveries"):
        body = reader.get(path).content.decode()
        assert "a personal means of mara" in body, path
        assert "mara: Webhook" not in body, path


def test_without_a_tree_a_policy_of_the_portal_takes_every_incident() -> None:
    night = Night(without_tree=True)
    night.world.rule.channels.set([night.world.channels["pager"]])
    remove_routing(by=None, now=at(0))
    night.world.fire(0, "x")
    night.run(20)
    assert night.notified() == ["0 mara: Email (escalated)", "0 pager (first)"]


@pytest.fixture
def waiting(transactional_db: None) -> Night:
    """An incident whose second step is due, in the database for other connections."""
    night = Night()
    night.world.fire(0, "x")
    night.run(100)
    return night


def in_thread(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def is_waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        # Not pg_stat_activity: it stays the same within a transaction.
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_acknowledged_while_a_step_is_being_taken_sends_nothing_of_that_step(waiting: Night) -> None:
    incident, escalation = Incident.objects.get(), Escalation.objects.get()
    Delivery.objects.all().delete()
    with transaction.atomic():
        assert escalate(escalation.pk, incident.pk, at(400))
        thread = in_thread(lambda: actions.acknowledge(incident, by=waiting.mara, now=at(401)))
        while not is_waiting_for_a_lock():
            assert thread.is_alive()
    thread.join()
    for channel_id in list(Delivery.objects.values_list("channel_id", flat=True)):
        claimed = claim(channel_id or 0, at(402))
        assert claimed is not None
        send_claimed(claimed, lambda: at(402))
    assert set(Delivery.objects.values_list("state", flat=True)) == {"skipped"}


def test_a_step_that_waits_for_an_acknowledgement_is_not_taken(waiting: Night) -> None:
    incident, escalation = Incident.objects.get(), Escalation.objects.get()
    before = Delivery.objects.count()
    with transaction.atomic():
        assert actions.acknowledge(incident, by=waiting.mara, now=at(400))
        thread = in_thread(lambda: escalate(escalation.pk, incident.pk, at(401)))
        while not is_waiting_for_a_lock():
            assert thread.is_alive()
    thread.join()
    assert Delivery.objects.count() == before
    assert Escalation.objects.get().next_at is None


def test_many_workers_take_a_step_once(waiting: Night) -> None:
    threads = [in_thread(lambda: escalate_due(at(400))) for _ in range(4)]
    for thread in threads:
        thread.join()
    assert waiting.notified()[1:] == ["400 jon: Email (escalated)", "400 pager (escalated)"]
    assert Member.objects.get().notified


def test_a_policy_that_is_gone_ends_nothing_that_escalates() -> None:
    night = Night()
    night.world.fire(0, "x")
    night.run(100)
    EscalationPolicy.objects.all().delete()
    night.run(400)
    assert len(night.notified()) == 3


def pending_means(*, acknowledged_for: int = 0) -> tuple[Night, Delivery]:
    """A night in which the second means of who is on call waits to ring."""
    night = Night(acknowledged_for_seconds=acknowledged_for)
    add_means(night.mara, "webhook", {"url": "https://hooks.example.org/"})
    add_means(night.mara, "ntfy", {"topic": "mara"}, delay_seconds=600)
    night.world.fire(0, "x", severity="warning")
    night.run(100)
    return night, Delivery.objects.get(channel__name="mara: ntfy", state="pending")


def test_a_means_that_comes_later_does_not_ring_through_a_snooze() -> None:
    night, later = pending_means()
    actions.snooze(Incident.objects.get(), dt.timedelta(hours=1), by=night.mara, now=at(110))
    claimed = claim(later.channel_id or 0, at(640))
    assert claimed is not None
    send_claimed(claimed, lambda: at(640))
    later.refresh_from_db()
    assert later.state == "skipped"


def test_what_was_queued_before_an_acknowledgement_is_not_sent_once_it_lapses() -> None:
    night, later = pending_means(acknowledged_for=300)
    assert actions.acknowledge(Incident.objects.get(), by=night.mara, now=at(110))
    night.run(420)
    later.refresh_from_db()
    assert later.state == "skipped"
    assert Delivery.objects.filter(channel__name="mara: ntfy").exclude(pk=later.pk).count() == 1


def test_a_step_reads_the_accounts_that_it_may_reach_and_no_others() -> None:
    night = Night()
    User.objects.bulk_create(User(username=f"user{number}") for number in range(300))
    schedules = schedules_by_id([night.schedule.pk])
    assert set(accounts_of(schedules.values(), [night.jon.pk])) == {night.mara.pk, night.jon.pk}
    night.schedule.calendar = "BEGIN:VCALENDAR"
    assert len(accounts_of([night.schedule], [])) == 302
    assert names_of_targets([night.person(night.jon), "channel:0"]) == {night.person(night.jon): "jon"}
