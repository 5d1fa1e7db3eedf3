"""All HTTP that the portal sends: with a limit on the whole time, on the size of the answer, and on where it may go.

A name is resolved once and the connection made to the address that was checked, so an answer that changes between check
and connection gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpcore
from django.conf import settings

from core.net.tracing import context_headers, span

SECONDS = 10.0
ANSWER_BYTES = 65_536
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Unreachable(Exception):
    """No answer: the name does not resolve, the connection fails, or the time is over. Trying again may help."""


class Forbidden(Exception):
    """The address may not be called: it is private, or no http(s) URL."""


@dataclass(frozen=True)
class Response:
    """What the other side said: `body` is the beginning of it where it was `cut`; `retry_after` is in seconds."""

    status: int
    body: bytes
    cut: bool
    retry_after: float | None

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode("utf-8", "replace")


def post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    *,
    seconds: float = SECONDS,
    max_bytes: int = ANSWER_BYTES,
    private: bool = False,
) -> Response:
    """POST and read at most `max_bytes` of the answer, all within `seconds`. Raises Forbidden or Unreachable.

    `private` lets it go to private addresses and without TLS whatever the setting is: for a URL that the operator
    configured.
    """
    private = private or settings.PORTAL.outbound_private
    check_url(url, private=private)
    deadline = time.monotonic() + seconds
    timeout = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds)}
    lines = [("User-Agent", "llm-usage-portal"), ("Accept-Encoding", "identity"), *headers.items()]
    try:
        with (
            span("POST", client=True, host=urlsplit(url).netloc),
            httpcore.ConnectionPool(network_backend=_Guarded(deadline, private), ssl_context=tls()) as pool,
            pool.stream(
                "POST", url, headers=[*lines, *context_headers().items()], content=body, extensions=timeout
            ) as response,
        ):
            found, cut = _read(response.iter_stream(), max_bytes)
            after = {name.lower(): value for name, value in response.headers}.get(b"retry-after", b"").decode("latin-1")
            return Response(response.status, found, cut, retry_seconds(after, dt.datetime.now(dt.UTC)))
    except (httpcore.TimeoutException, TimeoutError):
        raise Unreachable(f"no answer within {seconds:g} s") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise Unreachable(str(error) or type(error).__name__) from None


@cache
def tls() -> ssl.SSLContext:
    """What verifies the other side; made once, as reading the certificates takes longer than most answers."""
    return ssl.create_default_context()


def check_url(url: str, *, private: bool | None = None) -> None:
    """Forbidden unless it is an absolute http(s) URL with a host and without a user; plain http only where private
    targets are allowed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Forbidden("not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise Forbidden("not an http(s) URL")
    if parts.username is not None or any(ord(letter) <= 32 or ord(letter) > 126 for letter in url):
        raise Forbidden("a URL here has no user, no spaces and only ASCII letters")
    if parts.scheme == "http" and not (settings.PORTAL.outbound_private if private is None else private):
        raise Forbidden("only https is allowed (PORTAL_OUTBOUND_PRIVATE=true allows http and private addresses)")


def is_public(address: str) -> bool:
    """Whether the IP address is one of the public Internet, also when it carries an IPv4 address inside."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ipaddress.ip_address(ip.packed[-4:]) if ip in NAT64 else None)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def retry_seconds(text: str, now: dt.datetime) -> float | None:
    """A Retry-After header, seconds or a date, as seconds from `now`; None when it is missing or unreadable."""
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def resolve(host: str, port: int, private: bool) -> str:
    """An address of the host that may be called. Raises Unreachable when there is none, Forbidden when all are
    private."""
    try:
        found = [str(item[4][0]) for item in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        raise Unreachable(f"the name {host} does not resolve") from None
    for address in found:
        if private or is_public(address):
            return address
    raise Forbidden(f"{host} is a private address (PORTAL_OUTBOUND_PRIVATE=true allows these)")


def _read(chunks: Iterable[bytes], max_bytes: int) -> tuple[bytes, bool]:
    """The answer, no more of it than the limit, and whether there was more."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > max_bytes:
            break
    return bytes(data[:max_bytes]), len(data) > max_bytes


class _Guarded(httpcore.NetworkBackend):
    """Connects only to checked addresses, and ends everything at the deadline (monotonic seconds)."""

    def __init__(self, deadline: float, private: bool) -> None:
        self.deadline, self.private = deadline, private
        self.inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        address = resolve(host, port, self.private)
        left = remaining(self.deadline)
        return _Timed(self.inner.connect_tcp(address, port, left, local_address, socket_options), self.deadline)


class _Timed(httpcore.NetworkStream):
    """A connection whose every step gets only what is left of the time, so that a slow drip cannot outlast it."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self.inner = inner
        self.deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.inner.read(max_bytes, remaining(self.deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.inner.write(buffer, remaining(self.deadline))

    def close(self) -> None:
        self.inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Timed(self.inner.start_tls(ssl_context, server_hostname, remaining(self.deadline)), self.deadline)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


def remaining(deadline: float) -> float:
    """Seconds until the deadline; TimeoutError when it is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
