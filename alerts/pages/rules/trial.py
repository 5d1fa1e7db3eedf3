"""What a typed rule would have done: its chart over the past, and whether it would have caught what one marks there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils import timezone

from alerts.evaluation.schedule import milliseconds
from alerts.evaluation.series import portal_source
from alerts.evaluation.states import holding_of
from alerts.evidence import alert_figures
from alerts.incidents.queries import IncidentRow, recent_incidents
from alerts.models import Rule, RuleGroup
from alerts.rules.expression import ExpressionError
from alerts.rules.judgement import JUDGED
from alerts.trial.backtest import Backtest, backtest, step_of
from alerts.trial.caught import Catch, Window, would_catch
from alerts.trial.example import ExampleMessage, example_message
from alerts.trial.suggestion import suggested_threshold
from core.charts import overlays
from core.charts.figures import Figure
from core.ui.time_range import DAY, instant
from promql import PromQLError, snapshot_of
from usage.boards.queries import colours_by_value
from usage.marks.queries import marks_between

SPANS = {"24h": ("24 h", DAY), "7d": ("7 d", 7 * DAY), "30d": ("30 d", 30 * DAY)}
MAX_MARKS, MAX_INCIDENTS = 20, 20
UNREACHED = 1e300


@dataclass(frozen=True)
class Asked:
    """What of the past is looked at: a span until now, and the window that somebody marked, if any."""

    span: str
    window: Window | None = None
    problem: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> Asked:
        """What a request says. A window in the URL without a span takes the shortest span that shows it."""
        given = request.POST if request.method == "POST" else request.GET
        start, end = given.get("window_from", ""), given.get("window_to", "")
        window, problem = None, ""
        if start and end:
            try:
                window = Window(instant(start), instant(end))
                problem = window.problem
            except (ValueError, OverflowError):
                problem = "The times of the window cannot be read."
        span = request.POST.get("span") or request.GET.get("span", "")
        if span not in SPANS:
            age = milliseconds(timezone.now()) - window.start_ms if window is not None else 0
            span = next((name for name, (_, length) in SPANS.items() if age <= length), "30d")
        return cls(span, window, problem)


@dataclass(frozen=True)
class Shown:
    """What a rule would have done, or why that cannot be said. `suggested` is a threshold for about one alert a week;
    `saved` is what the saved version would have done, where another one is typed; `catch` whether it would have caught
    what was marked; `is_deferred`: the page asks for it once it is there."""

    test: Backtest | None = None
    figure: Figure | None = None
    rows: int = 0
    example: ExampleMessage | None = None
    suggested: float | None = None
    error: str = ""
    saved: Backtest | None = None
    catch: Catch | None = None
    is_deferred: bool = False
    typed: Rule | None = None
    stored: Rule | None = None

    @property
    def differences(self) -> list[tuple[str, object, object]]:
        """The fields by which it judges that the saved version has otherwise: name, saved, typed."""
        if self.typed is None or self.stored is None:
            return []
        pairs = ((name, getattr(self.stored, name), getattr(self.typed, name)) for name in JUDGED)
        return [(name.replace("_", " "), old, new) for name, old, new in pairs if old != new]

    @property
    def level(self) -> float | None:
        """The rule's own threshold, where the chart has a line for it."""
        comparison = self.test.comparison if self.test else None
        return comparison.number if comparison else None

    @property
    def only_saved(self) -> int:
        """How many alerts only the saved version would have raised."""
        return self.saved.only_here(self.test) if self.saved and self.test else 0

    @property
    def only_typed(self) -> int:
        """How many alerts only what is typed would have raised."""
        return self.test.only_here(self.saved) if self.saved and self.test else 0


def readable(rule: Rule, workspaces: Collection[str] | None) -> Collection[str] | None:
    """What the rule reads of what the person may see."""
    return workspaces if rule.workspace is None else {rule.workspace.slug}


def try_out(
    rule: Rule, group: RuleGroup | None, asked: Asked, workspaces: Collection[str] | None, stored: Rule | None = None
) -> Shown:
    """Evaluate over the past what the reader may see of it; beside it the stored rule, where that is judged
    otherwise."""
    end = milliseconds(timezone.now())
    bounds, interval = (end - SPANS[asked.span][1], end), group.interval_seconds if group else 60
    try:
        step_ms = step_of(SPANS[asked.span][1], interval)
        with snapshot_of(portal_source(workspaces)) as source:
            test = backtest(rule, source, span_ms=bounds, step_ms=step_ms)
            differs = stored is not None and any(getattr(stored, name) != getattr(rule, name) for name in JUDGED)
            saved = backtest(stored, source, span_ms=bounds, step_ms=step_ms) if stored and differs else None
            usable = asked.window is not None and not asked.problem
            catch = would_catch(rule, source, asked.window, interval) if asked.window and usable else None
    except PromQLError as error:
        return Shown(error=str(error))
    drawn = alert_figures.rule_figure(test, rule, bounds, colours_by_value("model"))
    draw_over(drawn, bounds, asked, workspaces)
    example = None if rule.record else example_message(test, rule)
    suggested = suggested_threshold(test, holding_of(rule)) if rule.threshold is not None else None
    suggested = None if suggested == rule.threshold else suggested
    return Shown(
        test,
        drawn,
        len(alert_figures.state_rows(test)[0]),
        example,
        suggested,
        saved=saved,
        catch=catch,
        typed=rule,
        stored=stored,
    )


def likely_threshold(rule: Rule, workspaces: Collection[str] | None) -> float | None:
    """A threshold for about one alert a week, from the last day; None where none can be said."""
    end, day = milliseconds(timezone.now()), SPANS["24h"][1]
    try:
        if rule.threshold is None:
            rule.threshold = UNREACHED
        with snapshot_of(portal_source(workspaces)) as source:
            test = backtest(rule, source, span_ms=(end - day, end), step_ms=step_of(day, 60))
        return suggested_threshold(test, holding_of(rule))
    except (PromQLError, ExpressionError):
        return None


def draw_over(drawn: Figure, bounds: tuple[int, int], asked: Asked, workspaces: Collection[str] | None) -> None:
    """The marked window, and the marks of the time, over a rule's figure."""
    layout = drawn["layout"]
    if asked.window is not None:
        start_ms = max(asked.window.start_ms, bounds[0])
        layout["shapes"].append(overlays.span(start_ms, asked.window.end_ms, "--accent/.14"))
    start, end = (dt.datetime.fromtimestamp(ms / 1000, dt.UTC) for ms in bounds)
    for mark in marks_between(start, end, workspaces)[:MAX_MARKS]:
        layout["shapes"].append(overlays.change(milliseconds(mark.at)))
        layout["annotations"].append(overlays.label(milliseconds(mark.at), mark.title))


@dataclass(frozen=True)
class PastIncident:
    """An incident as a window to try a rule on."""

    name: str
    start_ms: int
    end_ms: int

    @classmethod
    def of(cls, row: IncidentRow, now: dt.datetime) -> PastIncident:
        """From when its first alert's condition held until it closed."""
        start = min(row.lead.active_at, row.incident.opened_at)
        return cls(row.title, milliseconds(start), milliseconds(row.incident.closed_at or now))


def past_incidents(workspaces: Collection[str] | None, now: dt.datetime) -> list[PastIncident]:
    """The newest of the last 30 days that the reader may see."""
    rows = recent_incidents(workspaces, now - dt.timedelta(milliseconds=SPANS["30d"][1]), MAX_INCIDENTS)
    return [PastIncident.of(row, now) for row in rows]
