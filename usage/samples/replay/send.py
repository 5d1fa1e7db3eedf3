"""Sending batches to the HTTP API until each has its receipt."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx
import msgspec

from core.net.retries import retry
from usage.samples.replay import traces

PATH = "/api/v1/usage"
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0  # seconds
TRY_AGAIN = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY}
REASONS = 5


class SendError(Exception):
    """The portal did not take a batch; the message gives the reason."""


class Receipt(msgspec.Struct):
    """The portal's answer to a batch."""

    receipt: str
    accepted: int
    duplicates: int
    rejected: list[dict[str, Any]]
    spooled: bool = False


@dataclass
class Summary:
    """What the receipts say together. `reasons` are the first refusals."""

    sent: int = 0
    receipts: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    spooled: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the receipts account for every record sent, and none was refused."""
        return self.sent == self.accepted + self.duplicates and not self.rejected

    def add(self, sent: int, receipt: Receipt) -> None:
        """Count a batch and its receipt."""
        self.sent += sent
        self.receipts += 1
        self.accepted += receipt.accepted
        self.duplicates += receipt.duplicates
        self.rejected += len(receipt.rejected)
        self.spooled += receipt.spooled
        self.reasons += [f"{one['field']}: {one['error']}" for one in receipt.rejected]
        del self.reasons[REASONS:]

    def text(self) -> str:
        """One line for people."""
        spooled = f" ({self.spooled} spooled)" if self.spooled else ""
        return (
            f"{self.sent:,} records sent in {self.receipts:,} receipts{spooled}: {self.accepted:,} accepted,"
            f" {self.duplicates:,} duplicates, {self.rejected:,} rejected"
        )


class _Busy(Exception):
    """The portal asks to send the batch again; `pause` is how many seconds later, where it says so."""

    def __init__(self, message: str, pause: float | None) -> None:
        super().__init__(message)
        self.pause = pause


def _pause(error: Exception) -> float | bool:
    """Whether to try again after this error; a number is the pause that the portal asks for."""
    if isinstance(error, _Busy) and error.pause is not None:
        return error.pause
    return isinstance(error, (_Busy, httpx.TransportError))


class Sender:
    """Sends batches to the portal at `url` with an API key; `tries` per batch, then SendError."""

    def __init__(self, url: str, key: str, tries: int = 10) -> None:
        self.client = httpx.Client(timeout=60, headers={"Authorization": f"Bearer {key}"})
        self.base, self.url = url.rstrip("/"), url.rstrip("/") + PATH
        self.tries = tries

    def send(self, batch: list[dict[str, Any]]) -> Receipt:
        """The receipt of a batch. Sending it again after a lost answer is safe: records
        count once by their event ids."""
        return msgspec.json.decode(self._deliver(self.url, batch), type=Receipt)

    def send_traces(self, batch: list[dict[str, Any]]) -> None:
        """The spans and log lines around a batch of records that have ids. Raises
        SendError, also where some are refused."""
        for path, body in (("/v1/traces", traces.traces(batch)), ("/v1/logs", traces.logs(batch))):
            answer = msgspec.json.decode(self._deliver(self.base + path, body))
            if answer:
                raise SendError(f"{path} refused some: {answer['partialSuccess']['errorMessage']}")

    def _deliver(self, url: str, given: Any) -> bytes:
        """The answer to a request, tried until it has one."""
        body = gzip.compress(msgspec.json.encode(given), compresslevel=1)
        again = retry(
            on=_pause,
            attempts=self.tries,
            timeout=None,
            wait_initial=FIRST_PAUSE,
            wait_max=LONGEST_PAUSE,
            wait_jitter=0,
        )
        try:
            return again(self._post)(url, body)
        except httpx.TransportError as error:
            raise SendError(f"{url} cannot be reached: {error} (tried {self.tries} times)") from None
        except _Busy as error:
            raise SendError(f"{error} (tried {self.tries} times)") from None

    def _post(self, url: str, body: bytes) -> bytes:
        """One try. Raises _Busy or httpx.TransportError where another one may help, else SendError."""
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        answer = self.client.post(url, content=body, headers=headers)
        if answer.status_code == HTTPStatus.OK:
            return answer.content
        reason = f"{url} answered {answer.status_code}: {answer.text[:200].strip()}"
        if answer.status_code not in TRY_AGAIN:
            raise SendError(reason)
        raise _Busy(reason, retry_after(answer.headers.get("Retry-After", "")))


def retry_after(text: str) -> float | None:
    """What Retry-After asks, in seconds; None where it asks nothing readable."""
    return min(float(text), LONGEST_PAUSE) if text.isdecimal() else None


def send_all(
    sender: Sender,
    batches: Iterable[tuple[float, list[dict[str, Any]]]],
    wait_until: Callable[[float], None],
    progress: Callable[[int], None],
    with_traces: bool = False,
) -> Summary:
    """Send each batch once its time has come, and traces and logs around its calls if they are wanted; `progress` hears
    how many records are sent. Raises SendError."""
    summary = Summary()
    for due, given in batches:
        wait_until(due)
        batch = [traces.with_ids(record) for record in given] if with_traces else given
        if with_traces:
            sender.send_traces(batch)
        summary.add(len(batch), sender.send(batch))
        progress(summary.sent)
    return summary
