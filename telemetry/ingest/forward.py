"""What arrives over OTLP, handed on to another collector as it came (`PORTAL_OTLP_FORWARD_URL`).

A body is written to a folder beside the spool and sent by a task, in order, until it is taken: so the other collector
is never in the way of who sends to us. What does not fit the folder's bound is not handed on, which is logged; ours is
stored all the same.
"""

from __future__ import annotations

import fcntl
import gzip
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from django.conf import settings

from core.net.outbound import Forbidden, Unreachable, post

log = logging.getLogger(__name__)
# The forms of bodies that are OTLP, and the paths and types under which they are sent.
TYPES = {"protobuf": "application/x-protobuf", "json": "application/json"}
SIGNALS = ("traces", "metrics", "logs")
# Answers after which another try may help, as OTLP names them.
RETRIED = (429, 502, 503, 504)
SECONDS = 60.0


def folder() -> Path:
    """Where bodies wait, made where it is missing; readable by its owner only."""
    path = settings.PORTAL.spool / "forward"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def waiting() -> list[Path]:
    """The bodies that wait, in order of arrival."""
    return sorted(path for path in folder().iterdir() if path.suffix in (".protobuf", ".json"))


def keep(form: str, body: bytes) -> None:
    """Let a body of a form (`traces.protobuf` …) be handed on, where that is asked for. Never raises."""
    signal, _, kind = form.partition(".")
    if not settings.PORTAL.otlp_forward_url or signal not in SIGNALS or kind not in TYPES:
        return
    try:
        if sum(path.stat().st_size for path in waiting()) + len(body) > settings.PORTAL.spool_max_bytes:
            log.warning("%s of %d bytes are not forwarded: the folder has reached its bound", signal, len(body))
            return
        path = folder() / f"{time.time_ns():020d}-{uuid.uuid4().hex}-{form}"
        partial = path.with_suffix(".partial")
        partial.write_bytes(body)
        partial.replace(path)
    except OSError as error:
        log.warning("%s of %d bytes are not forwarded: %s", signal, len(body), error.strerror)


def send_waiting() -> int:
    """Send what waits, in order, for up to a minute; how many bodies left the folder. Stops where the other side asks
    to wait."""
    url = settings.PORTAL.otlp_forward_url.rstrip("/")
    until, gone = time.monotonic() + SECONDS, 0
    if not url:
        return 0
    with _only_one() as mine:
        for path in waiting() if mine else []:
            if time.monotonic() > until or not _send(url, path):
                break
            path.unlink()
            gone += 1
    return gone


def _send(url: str, path: Path) -> bool:
    """Send one body; whether it is done with. One that the other side will never take is dropped, which is logged."""
    signal, kind = path.name.rpartition("-")[2].split(".")
    headers = {
        "Content-Type": TYPES[kind],
        "Content-Encoding": "gzip",
        **headers_of(settings.PORTAL.otlp_forward_headers),
    }
    try:
        answer = post(f"{url}/v1/{signal}", gzip.compress(path.read_bytes(), 1), headers, private=True)
    except (Unreachable, Forbidden) as error:
        log.warning("%s are not forwarded yet: %s", signal, error)
        return False
    if answer.status in RETRIED:
        return False
    if not 200 <= answer.status < 300:
        log.error("%s are not forwarded: HTTP %d %s", signal, answer.status, answer.text[:200])
    return True


def headers_of(text: str) -> dict[str, str]:
    """Headers as OTEL_EXPORTER_OTLP_HEADERS has them: `name=value` separated by commas, values percent-encoded."""
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs}


@contextmanager
def _only_one() -> Iterator[bool]:
    """Whether this process may send: one at a time, so that bodies keep their order."""
    with (folder() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
