"""API keys: making, revoking, and telling whose a request is, also while Postgres is away.

Each request asks Postgres, so a revoked key is refused at once on every replica. What Postgres said last is kept in a
keyring file beside the spool (digests only), so that a key that worked keeps working while Postgres cannot be asked.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from core.accounts.holder import Actor, user_of
from core.accounts.models import SCOPES, ApiKey, Workspace
from core.audit.record import record, snapshot
from core.pg.statements import prepared
from core.process_cache import forgets

PREFIX = "llmu_"
AUDITED = ("name", "prefix", "scopes", "rate", "expires_at")
ALL_SCOPES = tuple(name for name, _ in SCOPES)
SENDING = frozenset({"ingest", "backfill"})


class Caller(msgspec.Struct, frozen=True):
    """Whose request it is: what of a key the rest of the way needs. A key of all workspaces has 0 and no name; it sends
    no records."""

    key_id: int
    workspace_id: int
    workspace: str
    scopes: frozenset[str]
    expires_at: float | None = None

    @property
    def workspaces(self) -> frozenset[str] | None:
        """The workspaces that it may see, None for all."""
        return frozenset({self.workspace}) if self.workspace_id else None


class Granted(NamedTuple):
    """A caller, and the seconds to wait where the key is over its rate (else 0)."""

    caller: Caller
    retry_after: int


class Refused(Exception):
    """No valid key; the message gives the reason."""


class KeyRefused(ValueError):
    """A key that is not made. `errors` maps the field to what is wrong with it."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = errors


def digest_of(plaintext: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(plaintext.encode()).hexdigest()


def create_key(
    name: str,
    workspace: Workspace | None,
    scopes: Iterable[str] = ("ingest",),
    *,
    expires_at: datetime | None = None,
    rate: int | None = None,
    created_by: Actor | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its plaintext, which is not kept; `workspace` None makes one of all workspaces. Raises
    KeyRefused."""
    wrong = set(scopes) - set(ALL_SCOPES)
    if wrong:
        raise KeyRefused({"scopes": f"no such scope: {', '.join(sorted(wrong))}"})
    if workspace is None and not SENDING.isdisjoint(scopes):
        raise KeyRefused({"scopes": "a key of all workspaces sends no records: choose a workspace"})
    plaintext = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        key = ApiKey.objects.create(
            name=name,
            workspace=workspace,
            prefix=plaintext[: len(PREFIX) + 6],
            digest=digest_of(plaintext),
            scopes=sorted(scopes),
            expires_at=expires_at,
            rate=rate,
            created_by=user_of(created_by),
        )
        record("created", key, after=snapshot(key, AUDITED), by=created_by)
    return key, plaintext


def revoke_key(key: ApiKey, now: datetime) -> None:
    """Refuse the key from now on."""
    with transaction.atomic():
        if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
            record("revoked", key)


# One round trip: the key, its requests in this minute (counted here, where there is a limit), and its last use, written
# once a minute at most.
_TAKE = """
WITH key AS (
    SELECT k.id, coalesce(k.workspace_id, 0), coalesce(w.slug, ''), k.scopes, k.expires_at, k.revoked_at, k.rate,
        k.last_used_at
    FROM accounts_apikey k LEFT JOIN accounts_workspace w ON w.id = k.workspace_id WHERE k.digest = %(digest)s
), hit AS (
    INSERT INTO accounts_request_count AS c (key_id, minute, count)
    SELECT id, %(minute)s, 1 FROM key WHERE coalesce(rate, %(rate)s) > 0
    ON CONFLICT (key_id) DO UPDATE SET
        minute = %(minute)s, count = CASE WHEN c.minute = %(minute)s THEN c.count + 1 ELSE 1 END
    RETURNING count
), used AS (
    UPDATE accounts_apikey a SET last_used_at = %(now)s FROM key
    WHERE a.id = key.id AND (key.last_used_at IS NULL OR key.last_used_at < %(stale)s)
)
SELECT key.*, coalesce((SELECT count FROM hit), 0) FROM key
"""


def as_bearer(header: str) -> str:
    """The header, basic auth whose password is the key as a bearer: promtool and older clients can send nothing
    else."""
    scheme, _, coded = header.partition(" ")
    if scheme.lower() != "basic":
        return header
    try:
        _, _, password = b64decode(coded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return header
    return f"Bearer {password}"


def authenticate(header: str, now: datetime) -> Granted:
    """The caller of an `Authorization` header. Raises Refused.

    A request is counted against the key's rate. While Postgres is away the keyring answers, without a rate.
    """
    scheme, _, plaintext = header.partition(" ")
    if scheme.lower() != "bearer" or not plaintext:
        raise Refused("send the API key as `Authorization: Bearer <key>`")
    digest = digest_of(plaintext.strip())
    stamp = now.timestamp()
    minute = int(stamp // 60)
    values: dict[str, str | int | datetime] = {
        "digest": digest,
        "minute": minute,
        "rate": settings.PORTAL.key_rate,
        "now": now,
        "stale": now - timedelta(minutes=1),
    }
    try:
        connection.ensure_connection()
        row = prepared(_TAKE, values)
    except (OperationalError, InterfaceError):
        return Granted(_from_keyring(digest, stamp), 0)
    if row is None:
        raise Refused("no such API key")
    key_id, workspace_id, slug, scopes, expires_at, revoked_at, rate, _, count = row
    if revoked_at is not None:
        keyring.revoke(digest)
        raise Refused("the API key was revoked")
    if expires_at is not None and expires_at <= now:
        raise Refused("the API key has expired")
    caller = Caller(key_id, workspace_id, slug, frozenset(scopes), expires_at.timestamp() if expires_at else None)
    keyring.remember(digest, caller)
    allowed = settings.PORTAL.key_rate if rate is None else rate
    return Granted(caller, 60 - int(stamp) % 60 if allowed and count > allowed else 0)


def _from_keyring(digest: str, stamp: float) -> Caller:
    caller = keyring.find(digest)
    if caller is None:
        raise DatabaseError("the key cannot be checked while Postgres is away")
    if caller.expires_at is not None and caller.expires_at <= stamp:
        raise Refused("the API key has expired")
    return caller


class Keyring:
    """The callers that Postgres confirmed, in memory and in a file that the web processes of this machine share."""

    def __init__(self) -> None:
        self._callers: dict[str, Caller] = {}
        self._read_at = -1.0
        forgets(self.forget_memory)

    def forget_memory(self) -> None:
        """Read the file again at the next look, as another process of this machine does."""
        self._callers, self._read_at = {}, -1.0

    @property
    def _path(self) -> Path:
        return settings.PORTAL.spool / "keyring.json"

    def remember(self, digest: str, caller: Caller) -> None:
        """Keep what Postgres said; the file is written only where something changed."""
        if self._callers.get(digest) != caller:
            self._callers = {**self._load(), digest: caller}
            self._save()

    def revoke(self, digest: str) -> None:
        """A key that was revoked."""
        callers = self._load()
        if digest in callers or digest in self._callers:
            callers.pop(digest, None)
            self._callers = callers
            self._save()

    def find(self, digest: str) -> Caller | None:
        """The caller of a key, also one that another process of this machine saw; the file is read once a second at
        most."""
        if time.monotonic() - self._read_at > 1:
            self._callers = self._load()
            self._read_at = time.monotonic()
        return self._callers.get(digest)

    def _load(self) -> dict[str, Caller]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Caller])
        except (OSError, msgspec.DecodeError):
            return {}

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".keyring")
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(self._callers))
        Path(name).replace(self._path)


keyring = Keyring()
