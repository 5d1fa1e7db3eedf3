"""What reading and storing a body raises, as the answer that a client gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from telemetry.otlp.answers import Problem
from telemetry.otlp.callers import RETRY_SECONDS
from telemetry.otlp.signals import Unreadable
from usage.ingest.body import TooLarge
from usage.ingest.spool import SpoolFull


@contextmanager
def refusals() -> Iterator[None]:
    """Raise Problem in place of what `bodies.take` and `read_body` raise."""
    try:
        yield
    except TooLarge as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from error
    except (Unreadable, ValueError) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from error
    except SpoolFull as error:
        message = f"nothing can be stored now: {error}"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, message, RETRY_SECONDS) from error
