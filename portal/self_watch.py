"""The web server watches the portal itself: that Postgres answers, and that rules are evaluated.

Alerts need both, so neither can be an alert. Once either has failed for `PORTAL_SELF_ALERT_AFTER`, one message goes out
through each channel as it was last known, and one when it is over. What has been sent stands in a file beside the
spool, so that a restart sends nothing twice. On each machine one thread of one web process does this; it also stores
that machine's spool where no worker does.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import psycopg
from django.conf import settings
from django.db import Error, close_old_connections
from django.utils import timezone

from alerts.notify import last_channels
from alerts.notify.encryption import SecretLost, decrypt
from alerts.notify.transports import TRANSPORTS
from alerts.notify.transports.contract import DeliveryError, Message
from alerts.queries import stalled_groups
from core.pg.breaker import breaker
from usage.ingest import pipeline, spool

log = logging.getLogger(__name__)
EVERY_SECONDS = 5.0
# A worker on this machine drains its spool every 5 s; what has lain longer has none.
DRAIN_AFTER = 20.0


class Trouble(msgspec.Struct):
    """What is wrong (`reason`), when that was first seen (Unix seconds), and the channels that have been sent its
    message, and its end."""

    reason: str
    since: float
    sent: list[str] = []
    over: bool = False
    ended: list[str] = []


def path() -> Path:
    """Where the trouble of now stands."""
    return spool.folder() / "self-alert.json"


def read() -> Trouble | None:
    """The trouble that was last seen and is not yet over for everybody."""
    try:
        return msgspec.json.decode(path().read_bytes(), type=Trouble)
    except (OSError, msgspec.DecodeError):
        return None


def write(trouble: Trouble | None) -> None:
    """Remember it; nothing where there is none any more."""
    with suppress(OSError):
        if trouble is None:
            path().unlink(missing_ok=True)
        else:
            spool.write_synced(path(), msgspec.json.encode(trouble))


def look(now: dt.datetime) -> None:
    """See whether something is wrong, and send what is due."""
    reason = what_is_wrong(now)
    trouble = read()
    if reason and (trouble is None or trouble.over):
        trouble = Trouble(reason, now.timestamp())
    if trouble is None:
        return
    if not reason:
        if not trouble.sent:
            write(None)
            return
        trouble.over = True
    if now.timestamp() - trouble.since >= settings.PORTAL.self_alert_after or trouble.over:
        send(trouble, now)
    done = trouble.over and set(trouble.sent) <= set(trouble.ended)
    write(None if done else trouble)


def what_is_wrong(now: dt.datetime) -> str:
    """The reason, "" where all is well. Keeps the channels while Postgres answers."""
    try:
        stalled = stalled_groups(now)
        with suppress(OSError):
            last_channels.keep()
    except (Error, psycopg.Error) as error:
        spool.drop_connection()
        return f"Postgres does not answer: {breaker.reason or first_line(error)}"
    return f"Rules are not evaluated: {', '.join(group.name for group in stalled[:5])}" if stalled else ""


def first_line(error: Exception) -> str:
    """What an error says, short."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def send(trouble: Trouble, now: dt.datetime) -> None:
    """Send the trouble's message, or that it is over, to each channel that has not had it; what fails is tried again at
    the next look."""
    for channel in last_channels.kept():
        informed, due = (trouble.ended, channel.name in trouble.sent) if trouble.over else (trouble.sent, True)
        if not due or channel.name in informed:
            continue
        if trouble.over and not channel.send_resolved:
            informed.append(channel.name)
            continue
        try:
            TRANSPORTS[channel.kind].notify(message(trouble, now), decrypt(channel.config_encrypted))
        except DeliveryError as error:
            log.warning("The portal's own alert could not be sent to %s: %s", channel.name, error)
            if error.retry:
                continue
        except (SecretLost, Error, psycopg.Error, KeyError) as error:
            log.warning("The portal's own alert cannot be sent to %s: %s", channel.name, first_line(error))
        informed.append(channel.name)


def message(trouble: Trouble, now: dt.datetime) -> Message:
    """The message, in the form of an alert's."""
    base = settings.PORTAL.public_url
    since = dt.datetime.fromtimestamp(trouble.since, dt.UTC)
    still = (
        "Records are still received and kept on disk; rules are not evaluated, so no other alert can fire meanwhile."
    )
    over = "It is over: records are stored, and missed evaluations are made up for."
    identity = f"self-{int(trouble.since)}"
    return Message(
        state="resolved" if trouble.over else "firing",
        severity="critical",
        title=f"The portal is impaired: {trouble.reason}",
        alertname="PortalImpaired",
        description=over if trouble.over else still,
        labels={"alertname": "PortalImpaired", "severity": "critical"},
        annotations={"summary": trouble.reason},
        value="",
        threshold="",
        since=since,
        at=now,
        note="",
        rule_url=f"{base}/rules/",
        alert_url=f"{base}/readyz",
        runbook_url="",
        runbook_title="",
        fingerprint=identity,
        key=f"{identity}-{'over' if trouble.over else 'on'}",
        thread=identity,
    )


def drain_if_nobody_does(now: float) -> int:
    """Store this machine's spool where its oldest batch has waited too long for a worker; how many batches left it."""
    waiting = spool.files()
    if breaker.reason or not waiting or now - spool.arrived(waiting[0]) < DRAIN_AFTER:
        return 0
    return pipeline.drain()


@contextmanager
def this_machine() -> Iterator[bool]:
    """Whether this process is the one of its machine that watches."""
    with (spool.folder() / ".watch.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def watch() -> None:
    """Look again and again, for as long as the process runs."""
    while True:
        try:
            with this_machine() as mine:
                while mine:
                    if settings.PORTAL.self_alert_after:
                        look(timezone.now())
                    drain_if_nobody_does(time.time())
                    close_old_connections()
                    time.sleep(EVERY_SECONDS)
        except Exception:  # whatever it was, the watch goes on
            log.exception("Watching the portal itself failed")
        time.sleep(EVERY_SECONDS)


def start() -> None:
    """Watch in a thread of this process."""
    threading.Thread(target=watch, name=f"self-watch-{os.getpid()}", daemon=True).start()
