"""Sending batches to the HTTP API until each has its receipt."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx
import msgspec

PATH = "/api/v1/usage"
BACKOFF_SECONDS, LONGEST_SECONDS = 0.5, 60.0
TRY_AGAIN = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY}
REASONS = 5


class SendError(Exception):
    """The portal did not take a batch; the message says why."""


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

    def words(self) -> str:
        """One line for people."""
        spooled = f" ({self.spooled} spooled)" if self.spooled else ""
        return (
            f"{self.sent:,} records sent in {self.receipts:,} receipts{spooled}: {self.accepted:,} accepted,"
            f" {self.duplicates:,} duplicates, {self.rejected:,} rejected"
        )


class Sender:
    """Sends batches to the portal at `url` with an API key; `tries` per batch, then SendError."""

    def __init__(self, url: str, key: str, tries: int = 10, sleep: Callable[[float], None] = time.sleep) -> None:
        self.client = httpx.Client(timeout=60, headers={"Authorization": f"Bearer {key}"})
        self.url = url.rstrip("/") + PATH
        self.tries = tries
        self.sleep = sleep

    def send(self, batch: list[dict[str, Any]]) -> Receipt:
        """The receipt of a batch. Sending it again after a lost answer is safe: records count once by their event ids."""
        body = gzip.compress(msgspec.json.encode(batch), compresslevel=1)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        reason = ""
        for number in range(self.tries):
            try:
                answer = self.client.post(self.url, content=body, headers=headers)
            except httpx.TransportError as error:
                reason, wait = f"{self.url} cannot be reached: {error}", backoff(number)
            else:
                if answer.status_code == HTTPStatus.OK:
                    return msgspec.json.decode(answer.content, type=Receipt)
                reason = f"{self.url} answered {answer.status_code}: {answer.text[:200].strip()}"
                if answer.status_code not in TRY_AGAIN:
                    raise SendError(reason)
                wait = retry_after(answer.headers.get("Retry-After", ""), backoff(number))
            if number + 1 < self.tries:
                self.sleep(wait)
        raise SendError(f"{reason} (tried {self.tries} times)")


def backoff(number: int) -> float:
    """Seconds to wait after the failed try `number`, counted from 0."""
    return min(BACKOFF_SECONDS * 2.0**number, LONGEST_SECONDS)


def retry_after(text: str, otherwise: float) -> float:
    """What Retry-After asks, in seconds; `otherwise` where it asks nothing readable."""
    return min(float(text), LONGEST_SECONDS) if text.isdecimal() else otherwise


def send_all(
    sender: Sender,
    batches: Iterable[tuple[float, list[dict[str, Any]]]],
    wait_until: Callable[[float], None],
    progress: Callable[[int], None],
) -> Summary:
    """Send each batch once its time has come; `progress` hears how many records are sent. Raises SendError."""
    summary = Summary()
    for due, batch in batches:
        wait_until(due)
        summary.add(len(batch), sender.send(batch))
        progress(summary.sent)
    return summary
