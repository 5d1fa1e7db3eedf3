"""Deliveries: who is notified, when it is tried again, what is kept of it."""

import datetime as dt
from collections.abc import Callable

import pytest

from alerts.models import Channel, Delivery, DeliveryAttempt, Rule
from alerts.notify.channels import create_channel, delete_channel
from alerts.notify.claims import CLAIM, claim, due_channels
from alerts.notify.deliveries import GIVE_UP, pause, send_channel
from alerts.queries import alert_detail, channel_list, deliveries_of, recipients
from tests.alerts.scripted_rules import DELAY, gauge, make_rule, minute, only_alert, run
from tests.servers import Answer, HttpServer, SmtpServer

pytestmark = pytest.mark.django_db
FIRED = minute(0) + DELAY


class Clock:
    """A clock that stands until it is set."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def loopback(portal_setting: Callable[..., None], smtp_server: SmtpServer) -> None:
    portal_setting(outbound_private=True, email_url=smtp_server.url, base_url="https://portal.example")


@pytest.fixture
def clock() -> Clock:
    return Clock(FIRED)


@pytest.fixture
def slack(http_server: HttpServer) -> Channel:
    return create_channel("slack", "slack", {"url": http_server.url})


@pytest.fixture
def mail() -> Channel:
    return create_channel("email", "mail", {"to": "ops@example.org"})


def send_all(clock: Clock) -> int:
    """Send what is due on every channel."""
    return sum(send_channel(channel, clock) for channel in due_channels(clock()))


def states() -> list[tuple[str, str, str]]:
    """Channel, flip and state of every delivery."""
    return [
        (delivery.channel_name, delivery.flip.to_state, delivery.state)
        for delivery in Delivery.objects.select_related("flip").order_by("id")
    ]


def fire(values: list[float | None] | None = None, **fields: object) -> Rule:
    """A rule that fired at minute 0, and went on with the given values."""
    rule = make_rule(**fields)
    run(rule, gauge({"a": values or [9]}), 0, len(values or [9]) - 1)
    return rule


@pytest.mark.usefixtures("mail")
def test_firing_and_resolved_go_to_every_channel(
    slack: Channel, http_server: HttpServer, smtp_server: SmtpServer, clock: Clock
) -> None:
    fire([9, 0], annotations={"summary": "Load of {{ $labels.host }} is {{ $value }}"}, unit="jobs")
    clock.now = minute(1) + DELAY
    assert send_all(clock) == 4
    bodies = [request.body.decode("utf-8") for request in http_server.requests]
    assert ["Resolved" in body for body in bodies] == [False, True]
    assert "Load of a is 9" in bodies[0]
    assert "https://portal.example/alerts/" in bodies[0]
    subjects = [mail.message["Subject"] for mail in smtp_server.messages]
    assert subjects == ["[Warning] Load of a is 9", "[Resolved] Load of a is 9"]
    assert {state for _, _, state in states()} == {"sent"}
    assert send_all(clock) == 0


def test_each_attempt_is_kept_with_the_answer(slack: Channel, http_server: HttpServer, clock: Clock) -> None:
    http_server.answers.append(Answer(500, b"rollup_error"))
    rule = fire()
    send_all(clock)
    assert states() == [("slack", "firing", "pending")]
    clock.forward(15)
    send_all(clock)
    delivery = alert_detail(only_alert(rule).pk).deliveries[0]
    assert (delivery.state, delivery.attempts) == ("sent", 2)
    assert [(a.number, a.ok, a.reply, a.error) for a in delivery.tries.all()] == [
        (1, False, "HTTP 500 rollup_error", "HTTP 500 rollup_error"),
        (2, True, "HTTP 200 ok", ""),
    ]
    shown = channel_list()[0]
    assert (shown.last_state, shown.last_ok, shown.last_error) == ("sent", True, "")  # type: ignore[attr-defined]
    assert list(deliveries_of(slack, "", None)) == [delivery]


def test_a_permanent_error_is_not_tried_again(slack: Channel, http_server: HttpServer, clock: Clock) -> None:
    http_server.answers.append(Answer(404, b"channel_not_found"))
    fire()
    send_all(clock)
    clock.forward(86_400)
    assert send_all(clock) == 0
    assert states() == [("slack", "firing", "failed")]
    assert len(http_server.requests) == 1


def test_retry_after_is_honoured_for_the_whole_channel(slack: Channel, http_server: HttpServer, clock: Clock) -> None:
    http_server.answers.append(Answer(429, b"rate_limited", {"Retry-After": "120"}))
    fire()
    fire()
    assert send_all(clock) == 1
    clock.forward(119)
    assert send_all(clock) == 0
    clock.forward(1)
    assert send_all(clock) == 2
    assert [state for _, _, state in states()] == ["sent", "sent"]


def test_pauses_double_up_to_a_quarter_of_an_hour_and_differ() -> None:
    assert 8 <= pause(1, None) <= 12
    assert 32 <= pause(3, None) <= 48
    assert 720 <= pause(50, None) <= 1080
    assert len({pause(1, None) for _ in range(20)}) > 1
    assert pause(5, 3) == 3
    assert pause(5, 0) == 1


def test_a_delivery_is_given_up_after_a_day(slack: Channel, http_server: HttpServer, clock: Clock) -> None:
    http_server.default = Answer(503)
    fire()
    while states() == [("slack", "firing", "pending")]:
        send_all(clock)
        clock.forward(1200)
    assert states() == [("slack", "firing", "failed")]
    assert clock() - FIRED >= GIVE_UP
    last = DeliveryAttempt.objects.last()
    assert last is not None
    assert "given up after 24 hours" in last.error
    assert DeliveryAttempt.objects.count() == len(http_server.requests)


def test_a_dead_slack_delays_neither_email_nor_itself_for_long(
    slack: Channel, mail: Channel, http_server: HttpServer, smtp_server: SmtpServer, clock: Clock
) -> None:
    http_server.default = Answer(503)
    for _ in range(5):
        fire()
    assert send_channel(mail.pk, clock) == 5
    assert len(smtp_server.messages) == 5
    # One try per rest, not one per message.
    assert send_channel(slack.pk, clock) == 1
    http_server.default = Answer()
    clock.forward(31)
    assert send_channel(slack.pk, clock) == 5


def test_resolved_waits_until_firing_has_arrived(slack: Channel, http_server: HttpServer, clock: Clock) -> None:
    http_server.answers.append(Answer(500))
    fire([9, 0])
    clock.now = minute(1) + DELAY
    assert send_all(clock) == 1
    clock.forward(60)
    assert send_all(clock) == 2
    assert ["Resolved" in request.body.decode() for request in http_server.requests] == [False, False, True]


def test_resolved_is_not_sent_where_firing_never_arrived(slack: Channel, http_server: HttpServer, clock: Clock) -> None:
    http_server.answers.append(Answer(404, b"no_service"))
    fire([9, 0])
    clock.now = minute(1) + DELAY
    send_all(clock)
    assert states() == [("slack", "firing", "failed"), ("slack", "resolved", "skipped")]


def test_resolved_goes_to_those_that_were_notified_of_firing(slack: Channel, mail: Channel) -> None:
    rule = make_rule()
    source = gauge({"a": [9, 0]})
    run(rule, source, 0, 0)
    late = create_channel("webhook", "late", {"url": "http://127.0.0.1:1/"})
    rule.channels.add(late)
    Channel.objects.filter(pk=mail.pk).update(send_resolved=False)
    run(rule, source, 1, 1)
    assert states() == [
        ("mail", "firing", "pending"),
        ("slack", "firing", "pending"),
        ("slack", "resolved", "pending"),
    ]


def test_pending_and_inactive_notify_nobody(slack: Channel) -> None:
    fire([9, 0], for_seconds=120)
    rule = fire([9])
    Rule.objects.filter(pk=rule.pk).update(enabled=False)
    run(rule, gauge({"a": [9, 9]}), 1, 1)
    assert states() == [("slack", "firing", "pending")]


def test_recipients_are_the_chosen_channels_else_those_that_fit(slack: Channel, mail: Channel) -> None:
    critical = create_channel("webhook", "pager", {"url": "http://127.0.0.1:1/"}, severities=["critical"])
    off = create_channel("webhook", "off", {"url": "http://127.0.0.1:1/"}, enabled=False)
    everyone = [slack, mail, critical, off]
    assert recipients(make_rule(), everyone) == [slack, mail]
    assert recipients(make_rule(severity="critical"), everyone) == [slack, mail, critical]
    assert recipients(make_rule(channel_kinds=["email"]), everyone) == [mail]
    chosen = make_rule()
    chosen.channels.set([critical, off])
    assert recipients(chosen, everyone) == [critical]


def test_two_workers_do_not_send_on_one_channel_at_once(slack: Channel) -> None:
    fire()
    fire()
    assert claim(slack.pk, FIRED) is not None
    assert claim(slack.pk, FIRED) is None


def test_what_a_dead_worker_claimed_is_taken_again_and_its_late_result_ignored(
    slack: Channel, http_server: HttpServer, clock: Clock
) -> None:
    fire()
    assert claim(slack.pk, FIRED) is not None
    clock.forward(CLAIM.total_seconds() - 1)
    assert send_all(clock) == 0
    clock.forward(1)
    assert send_all(clock) == 1
    assert states() == [("slack", "firing", "sent")]
    assert Delivery.objects.get().attempts == 2


def test_a_channel_that_was_deleted_or_switched_off_is_not_sent_to(
    slack: Channel, mail: Channel, http_server: HttpServer, smtp_server: SmtpServer, clock: Clock
) -> None:
    fire()
    delete_channel(slack)
    Channel.objects.filter(pk=mail.pk).update(enabled=False)
    send_all(clock)
    assert sorted(states()) == [("mail", "firing", "skipped"), ("slack", "firing", "skipped")]
    assert (http_server.requests, smtp_server.messages) == ([], [])


def test_after_downtime_the_messages_say_what_happened_when(
    slack: Channel, http_server: HttpServer, clock: Clock
) -> None:
    rule = make_rule()
    run(rule, gauge({"a": [0, 9, 9, 0, *[0] * 20]}), 20, 20)
    clock.now = minute(20) + DELAY
    assert send_all(clock) == 2
    firing, resolved = (request.body.decode() for request in http_server.requests)
    late = "Evaluated late: this happened at 2026-03-02 10:01:00 UTC and was found at 2026-03-02 10:20:15 UTC."
    assert late in firing
    assert "It has ended meanwhile, at 2026-03-02 10:03:00 UTC." in firing
    assert "Evaluated late: this happened at 2026-03-02 10:03:00 UTC" in resolved


def test_a_message_sent_late_says_so(slack: Channel, http_server: HttpServer, clock: Clock) -> None:
    fire()
    clock.forward(3600)
    send_all(clock)
    assert "Sent late: it was found at 2026-03-02 10:00:15 UTC." in http_server.requests[0].body.decode()


def test_a_transport_that_breaks_is_an_attempt_like_any_other(
    slack: Channel, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(message: object, config: object) -> str:
        raise RuntimeError("token=secret")

    monkeypatch.setattr("alerts.notify.transports.slack.notify", broken)
    fire()
    send_all(clock)
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.ok, attempt.error) == (False, "internal error: RuntimeError")
    assert states() == [("slack", "firing", "pending")]
