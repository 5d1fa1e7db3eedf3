"""The notice before a silence ends: to who made it, once, and again after it was extended."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from alerts.incidents.silences import set_silence
from alerts.models import Silence
from alerts.oncall.means import add_means
from alerts.routing.matchers import parse_matchers
from alerts.silencing.notices import notice_of, send_notice
from alerts.silencing.recurring import add_recurring, make_weekly
from tests.alerts.incidents.world import START, World, at
from tests.servers import Answer, HttpServer

HOUR = 3600
pytestmark = pytest.mark.django_db


@pytest.fixture
def ntfy(portal_setting: Callable[..., None], http_server: HttpServer) -> HttpServer:
    portal_setting(outbound_private=True)
    return http_server


@pytest.fixture
def by(ntfy: HttpServer) -> User:
    person = User.objects.create_superuser("ada")
    add_means(person, "ntfy", {"url": ntfy.url, "topic": "ada"})
    return person


def silenced(by: User | None, hours: float = 2) -> Silence:
    return set_silence(
        parse_matchers('name="x"'),
        START,
        at(hours * HOUR),
        created_by="ada",
        comment="load test",
        now=START,
        author=by,
    )


def test_who_made_it_hears_once_what_it_holds_back_and_where_to_extend_it(by: User, ntfy: HttpServer) -> None:
    silence = silenced(by)
    world = World({"receiver": "a"})
    world.fire(100, "x")
    assert not send_notice(str(silence.pk), at(2 * HOUR - 901))
    assert send_notice(str(silence.pk), at(2 * HOUR - 900))
    assert not send_notice(str(silence.pk), at(2 * HOUR - 100))
    (request,) = ntfy.requests
    body = request.body.decode()
    assert "Your silence ends at 2026-03-02 12:00 UTC: load test" in body
    assert "It holds back 1 alert that fires" in body
    assert f"/silences/#silence-{silence.pk}" in body


def test_extended_it_is_notified_of_the_new_end(by: User, ntfy: HttpServer) -> None:
    silence = silenced(by)
    send_notice(str(silence.pk), at(2 * HOUR - 60))
    set_silence(
        parse_matchers('name="x"'),
        silence.starts_at,
        at(4 * HOUR),
        created_by="ada",
        comment="load test",
        now=at(2 * HOUR - 50),
        silence_id=silence.pk,
    )
    assert not send_notice(str(silence.pk), at(2 * HOUR - 40))
    assert send_notice(str(silence.pk), at(4 * HOUR - 60))
    assert len(ntfy.requests) == 2


def test_what_did_not_arrive_is_tried_again_until_the_end(by: User, ntfy: HttpServer) -> None:
    silence = silenced(by)
    ntfy.answers.append(Answer(500))
    first = at(2 * HOUR - 900)
    assert not send_notice(str(silence.pk), first)
    assert not send_notice(str(silence.pk), first + dt.timedelta(seconds=60))
    assert send_notice(str(silence.pk), first + dt.timedelta(seconds=90))
    assert not send_notice(str(silence.pk), at(2 * HOUR))


def test_short_ones_ended_ones_windows_of_every_week_and_those_of_nobody_give_none(by: User) -> None:
    assert not send_notice(str(silenced(by, 0.4).pk), at(0.3 * HOUR))
    assert not send_notice(str(silenced(None).pk), at(2 * HOUR - 60))
    weekly = make_weekly(range(7), dt.time(10), dt.time(12), "UTC")
    add_recurring(parse_matchers('name="x"'), weekly, comment="", by=by, now=START)
    window = Silence.objects.filter(recurring__isnull=False).earliest("starts_at")
    assert not send_notice(str(window.pk), at(2 * HOUR - 60))
    gone = silenced(by)
    by.is_active = False
    by.save()
    assert not send_notice(str(gone.pk), at(2 * HOUR - 60))


def test_a_mail_of_it_is_of_no_alert_and_leads_to_the_silences(by: User) -> None:
    message = notice_of(silenced(by), START)
    assert (message.is_plain, message.place) == (True, "Silences")
    assert "holds back nothing now" in message.description
