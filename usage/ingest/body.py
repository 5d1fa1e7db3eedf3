"""1 ingest: a request's body, bounded and unpacked."""

from __future__ import annotations

import zlib
from typing import Protocol

from django.conf import settings


class Readable(Protocol):
    """What a request's body is read from."""

    def read(self, size: int, /) -> bytes: ...


class TooLarge(ValueError):
    """The body, unpacked, or the number of its records is past its bound."""


def read_body(stream: Readable, length: int | None, encoding: str) -> bytes:
    """A request's body, unpacked. Raises TooLarge (without unpacking further), or ValueError for what is no gzip."""
    config = settings.PORTAL
    if length is not None and length > config.body_max_bytes:
        raise TooLarge(f"the body is larger than {config.body_max_bytes} bytes")
    body = read_up_to(stream, config.body_max_bytes)
    if encoding.strip().lower() in ("", "identity"):
        return body
    if encoding.strip().lower() != "gzip":
        raise ValueError("the Content-Encoding may be gzip or identity")
    return gunzip(body, config.body_max_unpacked_bytes)


def read_up_to(stream: Readable, most: int) -> bytes:
    """All of a stream of unknown length. Raises TooLarge past `most` bytes."""
    parts: list[bytes] = []
    left = most + 1
    while left > 0 and (part := stream.read(min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    if left <= 0:
        raise TooLarge(f"the body is larger than {most} bytes")
    return b"".join(parts)


def gunzip(data: bytes, most: int) -> bytes:
    """Unpacked gzip of one or more members. Raises TooLarge as soon as more than `most` bytes have come out."""
    parts: list[bytes] = []
    left = most
    try:
        while data:
            member = zlib.decompressobj(wbits=31)
            part = member.decompress(data, left + 1)
            left -= len(part)
            if left < 0:
                raise TooLarge(f"the body unpacks to more than {most} bytes")
            if not member.eof:
                raise ValueError("the gzip body is cut off")
            parts.append(part)
            data = member.unused_data
    except zlib.error as error:
        raise ValueError("the body is not gzip") from error
    return b"".join(parts)
