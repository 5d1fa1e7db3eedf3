"""Label sets, interned: each process remembers the ids of those it has met, Postgres has them all.

A kind's number of label sets is bounded; past it a new one counts under `__overflow__` in place of each label that
clients choose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from django.conf import settings
from django.db import connection, transaction

from core.pg.locks import AdvisoryLock
from core.process_cache import ProcessCache
from usage.catalog import KINDS, OVERFLOW
from usage.records.columns import DimensionKey
from usage.relabelling.applying import Relabel, relabelled, rules

LOCK = AdvisoryLock(7_310_002)


@dataclass
class Interned:
    """A dimension's id, the earliest bucket known to hold a record of it (epoch seconds), and whether it is an overflow
    one."""

    id: int
    first_at: float
    overflow: bool


@dataclass
class Applied:
    """The rules of labels under which the known ids were found."""

    rules: Sequence[Relabel] = ()


_applied = Applied()
# Bounded, since there is no end of label sets past the bound of their kind.
_known: ProcessCache[DimensionKey, Interned] = ProcessCache(200_000)


def labels_of(key: DimensionKey) -> dict[str, str]:
    """The labels that a key stands for; empty ones are left out, as Prometheus does."""
    kind, values = key[0], key[1:]
    if kind == "gauge":
        labels = {"workspace": values[0], "metric": values[1], **dict(zip(values[2::2], values[3::2], strict=True))}
    else:
        labels = dict(zip(KINDS[kind].labels, values, strict=True))
    return {name: value for name, value in labels.items() if value}


def digest_of(kind: str, labels: Mapping[str, str]) -> bytes:
    """16 bytes for a kind and its labels."""
    return hashlib.blake2b(msgspec.json.encode([kind, sorted(labels.items())]), digest_size=16).digest()


def overflow_key(key: DimensionKey) -> DimensionKey:
    """The key under which a label set past the bound counts."""
    kind = KINDS[key[0]]
    if kind.name == "gauge":
        named = [OVERFLOW if index % 2 and index > 1 else value for index, value in enumerate(key[1:])]
        return ("gauge", *named)
    return (
        kind.name,
        *(OVERFLOW if name in kind.open_labels else value for name, value in zip(kind.labels, key[1:], strict=True)),
    )


def intern(first: Mapping[DimensionKey, float]) -> dict[DimensionKey, Interned]:
    """The dimensions of the keys of `first` under the rules of labels, made where they are new; its values are their
    first buckets in this batch (epoch seconds)."""
    applied = rules.current()
    if applied != _applied.rules:
        _applied.rules = applied
        _known.forget()
    known = _known.known(first)
    missing = {key: at for key, at in first.items() if key not in known}
    if missing:
        under = {key: relabelled(key, applied) for key in missing}
        first_of: dict[DimensionKey, float] = {}
        for key, at in missing.items():
            first_of[under[key]] = min(at, first_of.get(under[key], at))
        made = _learn(first_of)
        learned = {key: made[under[key]] for key in missing}
        _known.keep(learned)
        if _applied.rules != applied:
            _known.forget()  # another thread has seen other rules meanwhile
        known |= learned
    return known


def _learn(missing: Mapping[DimensionKey, float]) -> dict[DimensionKey, Interned]:
    learned: dict[DimensionKey, Interned] = {}
    by_kind: dict[str, list[DimensionKey]] = {}
    for key in missing:
        by_kind.setdefault(key[0], []).append(key)
    # Its own transaction: a dimension without rows harms nothing, and its id must not be lost when storing the batch
    # fails.
    with transaction.atomic():
        for kind in sorted(by_kind):
            found = _find(kind, by_kind[kind])
            fresh = [key for key in by_kind[kind] if key not in found]
            if fresh:
                found |= _make(kind, {key: missing[key] for key in fresh})
            learned |= found
    return learned


def _find(kind: str, keys: Iterable[DimensionKey]) -> dict[DimensionKey, Interned]:
    digests = {digest_of(kind, labels_of(key)): key for key in keys}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT digest, id, extract(epoch FROM first_at)::float8 FROM usage_dimension WHERE digest = ANY(%s)",
            [list(digests)],
        )
        return {
            digests[bytes(digest)]: Interned(pk, at, OVERFLOW in digests[bytes(digest)]) for digest, pk, at in cursor
        }


def _make(kind: str, fresh: Mapping[DimensionKey, float]) -> dict[DimensionKey, Interned]:
    with connection.cursor() as cursor:
        # One maker at a time and kind, so that the bound is exact; makers are rare once the label sets are known.
        LOCK.take(cursor, kind)
        found = _find(kind, fresh)
        cursor.execute("SELECT count(*) FROM usage_dimension WHERE kind = %s", [kind])
        room = max(0, settings.PORTAL.dimensions_per_kind - cursor.fetchone()[0])
        new = [key for key in fresh if key not in found]
        for key in new[:room]:
            found[key] = _insert(kind, key, fresh[key])
        for key in new[room:]:
            over = overflow_key(key)
            known = _find(kind, [over]).get(over) or _insert(kind, over, fresh[key])
            found[key] = Interned(known.id, known.first_at, True)
    return found


def _insert(kind: str, key: DimensionKey, at: float) -> Interned:
    labels = labels_of(key)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO usage_dimension (kind, labels, digest, first_at, created_at) VALUES (%s, %s, %s, %s, now())"
            " RETURNING id",
            [kind, msgspec.json.encode(labels).decode(), digest_of(kind, labels), datetime.fromtimestamp(at, UTC)],
        )
        return Interned(cursor.fetchone()[0], at, OVERFLOW in key)
