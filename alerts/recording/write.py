"""What recording rules found at their slots, written as rows: in the transaction that moves the group
on, so that each slot is recorded once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from alerts.evaluation.states import Sample
from alerts.recording.models import RecordedSeries, RecordedSlot

SERIES_AT_ONCE = 5000


@dataclass(frozen=True)
class Recorded:
    """What a rule recorded at a time; no samples: what it recorded before has ended there."""

    rule_id: int
    workspace_id: int | None
    metric: str
    at: dt.datetime
    samples: list[Sample]


def write(recorded: Sequence[Recorded]) -> None:
    """Store samples, and the series that are new. A time that is written again is replaced."""
    if not recorded:
        return
    ids = _series_ids(recorded)
    rows = [
        RecordedSlot(
            rule_id=one.rule_id,
            metric=one.metric,
            at=one.at,
            series=np.array([ids[one.workspace_id, sample.fingerprint] for sample in one.samples], "<i8").tobytes(),
            values=np.array([sample.value for sample in one.samples], "<f8").tobytes(),
        )
        for one in recorded
    ]
    RecordedSlot.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["metric", "rule_id", "at"],
        update_fields=["series", "values"],
    )


def end_series(rule_id: int, workspace_id: int | None, metric: str, at: dt.datetime) -> None:
    """Say that what the rule recorded has ended, since it is off or gone."""
    write([Recorded(rule_id, workspace_id, metric, at, [])])


def _series_ids(recorded: Sequence[Recorded]) -> dict[tuple[int | None, str], int]:
    """The id of each series, by workspace and fingerprint; new ones are stored."""
    first: dict[tuple[int | None, str], tuple[Recorded, Sample]] = {}
    for one in recorded:
        for sample in one.samples:
            first.setdefault((one.workspace_id, sample.fingerprint), (one, sample))
    known = _known(first)
    # In one order, so that two writers of the same series cannot wait for each other.
    new = sorted((key for key in first if key not in known), key=lambda key: (key[0] or 0, key[1]))
    RecordedSeries.objects.bulk_create(
        [
            RecordedSeries(
                workspace_id=workspace_id,
                metric=first[workspace_id, fingerprint][0].metric,
                labels=first[workspace_id, fingerprint][1].labels,
                fingerprint=fingerprint,
                first_at=first[workspace_id, fingerprint][0].at,
            )
            for workspace_id, fingerprint in new
        ],
        ignore_conflicts=True,
        batch_size=SERIES_AT_ONCE,
    )
    return known | (_known(new) if new else {})


def _known(wanted: Iterable[tuple[int | None, str]]) -> dict[tuple[int | None, str], int]:
    rows = RecordedSeries.objects.filter(fingerprint__in=sorted({fingerprint for _, fingerprint in wanted}))
    found = rows.values_list("pk", "workspace_id", "fingerprint")
    return {(workspace, fingerprint): pk for pk, workspace, fingerprint in found}
