"""What a rule would have done, asked and answered in JSON."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from alerts.evaluation.schedule import milliseconds
from alerts.evaluation.series import portal_source
from alerts.evaluation.states import holding_of
from alerts.models import Rule, WithoutData
from alerts.rules.edits import MAX_FLAP_LIMIT
from alerts.rules.expression import ExpressionError, check
from alerts.rules.judgement import JUDGED, check_judgement
from alerts.rules.thresholds import MAX_ROWS, rows_problem
from alerts.trial.backtest import backtest, step_of
from alerts.trial.caught import Window, would_catch
from alerts.trial.episodes import Episode
from alerts.trial.suggestion import suggested_threshold
from core.api.fields import SampleValue, Texts
from promql import PromQLError, snapshot_of

HOUR = 3_600_000
SPANS = {"1h": HOUR, "6h": 6 * HOUR, "24h": 24 * HOUR, "7d": 7 * 24 * HOUR, "30d": 30 * 24 * HOUR}
LONGEST_FOR = 30 * 86_400
MAX_EPISODES = 500


class BacktestQuestion(serializers.Serializer[Any]):
    """A rule that need not exist, and how far back to look."""

    expr = serializers.CharField(max_length=20_000, trim_whitespace=False)
    threshold = serializers.FloatField(required=False, allow_null=True, default=None)
    for_seconds = serializers.IntegerField(min_value=0, max_value=LONGEST_FOR, default=0)
    keep_firing_seconds = serializers.IntegerField(min_value=0, max_value=LONGEST_FOR, default=0)
    recovery_threshold = serializers.FloatField(required=False, allow_null=True, default=None)
    min_events = serializers.FloatField(min_value=0, default=0)
    no_data = serializers.ChoiceField(choices=WithoutData.choices, default=WithoutData.OK)
    flap_limit = serializers.IntegerField(min_value=0, max_value=MAX_FLAP_LIMIT, default=0)
    thresholds = serializers.ListField(child=serializers.DictField(), required=False, default=list, max_length=MAX_ROWS)
    interval_seconds = serializers.IntegerField(min_value=15, max_value=86_400, default=60)
    alerts_per_week = serializers.FloatField(min_value=0, max_value=10_000, default=1)
    span = serializers.ChoiceField(choices=list(SPANS), default="24h")
    window_from = serializers.DateTimeField(
        required=False,
        help_text="With `window_to`: when something was wrong. `caught` says what would have fired then.",
    )
    window_to = serializers.DateTimeField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A window has two ends."""
        ends = [attrs.pop(name, None) for name in ("window_from", "window_to")]
        if ends == [None, None]:
            return attrs
        if None in ends:
            raise serializers.ValidationError({"window_from": "needs window_to, and the other way round"})
        window = Window(*(milliseconds(end) for end in ends))
        if window.problem:
            raise serializers.ValidationError({"window_to": window.problem})
        return {**attrs, "window": window}


class EpisodeSerializer(serializers.Serializer[Any]):
    """One alert that would have fired."""

    labels = Texts()
    pending_at = serializers.DateTimeField()
    fired_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="null: it still fires at the end.")
    seconds = serializers.FloatField()
    peak = SampleValue()


class CaughtSerializer(serializers.Serializer[Any]):
    """Whether the rule would have fired in the window."""

    count = serializers.IntegerField(help_text="Alerts that would have fired in it.")
    after_seconds = serializers.FloatField(
        allow_null=True, help_text="From its start to the first of them; 0: it fired already."
    )
    episodes = EpisodeSerializer(many=True, help_text="The first 20.")
    threshold = serializers.FloatField(
        allow_null=True, help_text="Where none would have: another threshold that alone would have caught it."
    )
    for_seconds = serializers.IntegerField(allow_null=True, help_text="The same of `for`.")


class BacktestAnswer(serializers.Serializer[Any]):
    """What would have happened. `episodes` are the newest 500."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    step_seconds = serializers.FloatField()
    firing_now = serializers.IntegerField()
    pending_now = serializers.IntegerField()
    firing_seconds = serializers.FloatField()
    count = serializers.IntegerField()
    suggested_threshold = serializers.FloatField(
        allow_null=True,
        help_text="At which it would have fired about `alerts_per_week` times a week; null: not to be said.",
    )
    episodes = EpisodeSerializer(many=True)
    caught = CaughtSerializer(allow_null=True, help_text="null: no window was asked about.")


def backtest_of(asked: dict[str, Any], workspaces: Collection[str] | None, now: datetime) -> dict[str, Any]:
    """The answer to a checked question. Raises ValidationError."""
    try:
        rule = Rule(**{name: asked[name] for name in JUDGED})
        check(rule.expr, rule.threshold)
        if problem := rows_problem(rule.thresholds):
            raise ExpressionError(problem, "thresholds")
        check_judgement(rule)
        end, span = milliseconds(now), SPANS[asked["span"]]
        step = step_of(span, asked["interval_seconds"])
        with snapshot_of(portal_source(workspaces)) as source:
            done = backtest(rule, source, span_ms=(end - span, end), step_ms=step)
            window = asked.get("window")
            catch = would_catch(rule, source, window, asked["interval_seconds"]) if window is not None else None
    except ExpressionError as error:
        raise ValidationError({error.field: str(error)}) from error
    except PromQLError as error:
        raise ValidationError({"expr": str(error)}) from error
    return {
        "start": _at(int(done.times[0])),
        "end": _at(int(done.times[-1])),
        "step_seconds": step / 1000,
        "firing_now": done.firing_now,
        "pending_now": done.pending_now,
        "firing_seconds": done.firing_seconds,
        "count": len(done.episodes),
        "suggested_threshold": suggested_threshold(done, holding_of(rule), asked["alerts_per_week"]),
        "episodes": [_episode(one) for one in done.episodes[: -MAX_EPISODES - 1 : -1]],
        "caught": None
        if catch is None
        else {
            "count": catch.count,
            "after_seconds": catch.after_seconds,
            "episodes": [_episode(one) for one in catch.episodes],
            "threshold": catch.threshold,
            "for_seconds": catch.for_seconds,
        },
    }


def _episode(one: Episode) -> dict[str, Any]:
    return {
        "labels": one.labels,
        "pending_at": _at(one.pending_ms),
        "fired_at": _at(one.fired_ms),
        "ended_at": _at(one.ended_ms) if one.ended_ms is not None else None,
        "seconds": one.seconds,
        "peak": one.peak,
    }


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
