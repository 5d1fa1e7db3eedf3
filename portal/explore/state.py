"""What Explore shows, all of it in the URL: the queries, which of them are hidden, the tab, the step, sorting and the
search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.http import QueryDict

from core.ui.time_range import TimeRange, duration
from portal.promapi.parameters import MAX_POINTS, BadParameter, duration_seconds

TABS = {"graph": "Graph", "table": "Table", "meaning": "What does this mean", "history": "History"}
LETTERS = "ABCDEFGH"
# The page's own parts of the URL, which each link keeps.
KEPT = ("range", "from", "to", "workspace")


@dataclass(frozen=True)
class Asked:
    """One query as it was typed. `place` is its number from 0, which gives it its letter and its colours."""

    place: int
    text: str
    is_hidden: bool = False

    @property
    def letter(self) -> str:
        """What it is called on the page."""
        return LETTERS[self.place]


@dataclass(frozen=True)
class ExploreState:
    """All that a URL of Explore says; `kept` is range and workspace."""

    queries: tuple[Asked, ...]
    tab: str
    step: str
    sort: str
    find: str
    kept: tuple[tuple[str, str], ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not any(asked.text for asked in self.queries)

    @property
    def visible(self) -> list[Asked]:
        """The queries that are answered."""
        return [asked for asked in self.queries if asked.text and not asked.is_hidden]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Its parts of a URL, in the form's order; what is as by default is left out."""
        found = [("q", asked.text) for asked in self.queries]
        found += [("hide", asked.letter) for asked in self.queries if asked.is_hidden]
        found += [("step", self.step)] if self.step else []
        found += [("tab", self.tab)] if self.tab != "graph" else []
        found += [("sort", self.sort)] if self.sort else []
        found += [("find", self.find)] if self.find else []
        return [*found, *self.kept]

    @property
    def query_string(self) -> str:
        """The URL's query."""
        return urlencode(self.pairs)

    @property
    def asked_string(self) -> str:
        """The URL's query without what answers nothing: boxes left empty at the end, so that another one changes no
        graph."""
        used = max((asked.place for asked in self.queries if asked.text), default=0)
        return replace(self, queries=self.queries[: used + 1]).query_string

    @property
    def rest(self) -> str:
        """The part of the URL that another query keeps: step, range and workspace."""
        return urlencode([*([("step", self.step)] if self.step else []), *self.kept])

    def with_tab(self, tab: str) -> ExploreState:
        """The same on another tab."""
        return replace(self, tab=tab, sort="", find="")

    def with_text(self, asked: Asked, text: str) -> ExploreState:
        """The same with another text for one query."""
        return replace(self, queries=tuple(replace(one, text=text) if one is asked else one for one in self.queries))

    def alone(self, text: str) -> ExploreState:
        """One query in place of all."""
        return replace(self, queries=(Asked(0, text),), sort="")

    def changed(self, actions: Sequence[str]) -> ExploreState:
        """After buttons: `add`, `hide-B`, `show-B`, `remove-B` by today's letters, `tab-table`. Anything else changes
        nothing."""
        hidden = {asked.letter for asked in self.queries if asked.is_hidden}
        hidden |= {letter for verb, letter in _parts(actions) if verb == "hide"}
        hidden -= {letter for verb, letter in _parts(actions) if verb == "show"}
        removed = {letter for verb, letter in _parts(actions) if verb == "remove"}
        kept = [replace(one, is_hidden=one.letter in hidden) for one in self.queries if one.letter not in removed]
        kept += [Asked(0, "") for verb, _ in _parts(actions) if verb == "add"]
        placed = [replace(one, place=place) for place, one in enumerate(kept[: len(LETTERS)] or [Asked(0, "")])]
        tab = next((name for verb, name in _parts(actions) if verb == "tab" and name in TABS), None)
        after = replace(self, queries=tuple(placed))
        return after.with_tab(tab) if tab else after


def _parts(actions: Sequence[str]) -> list[tuple[str, str]]:
    """Each button's verb and what it is of."""
    return [(verb, of) for verb, _, of in (action.partition("-") for action in actions)]


def parse_state(params: QueryDict) -> ExploreState:
    """The state of a URL. There is always a query, if an empty one."""
    # Postgres stores no NUL.
    texts = [text.replace("\r\n", "\n").replace("\0", "").strip() for text in params.getlist("q")][: len(LETTERS)] or [
        ""
    ]
    hidden = set(params.getlist("hide"))
    tab = params.get("tab", "")
    return ExploreState(
        tuple(Asked(place, text, LETTERS[place] in hidden) for place, text in enumerate(texts)),
        tab if tab in TABS else "graph",
        params.get("step", "").strip(),
        params.get("sort", ""),
        params.get("find", "").strip(),
        tuple((name, value) for name in KEPT if (value := params.get(name, ""))),
    )


@dataclass(frozen=True)
class Step:
    """The distance of a graph's points in milliseconds. `problem` gives the reason the given one is not used."""

    ms: int
    is_auto: bool = True
    problem: str = ""

    @property
    def description(self) -> str:
        """As PromQL writes it: 5m."""
        return duration(self.ms) if self.ms >= 1000 else f"{self.ms}ms"


def step_of(text: str, time_range: TimeRange) -> Step:
    """The step that was given, or the one that suits the range."""
    auto = time_range.step_ms
    if not text or text == "auto":
        return Step(auto)
    try:
        ms = round(duration_seconds(text, "step") * 1000)
    except BadParameter:
        return Step(auto, problem=f"“{text}” is no step; write 30s, 5m, 1h or a number of seconds.")
    if ms <= 0:
        return Step(auto, problem="A step is longer than nothing.")
    points = time_range.span_ms // ms + 1
    if points > MAX_POINTS:
        least = -(-time_range.span_ms // (MAX_POINTS - 1)) // 1000 + 1
        problem = (
            f"A step of {text} makes {points:,} points of this range, and at most {MAX_POINTS:,} are allowed:"
            f" take {least} s or more, or a shorter range."
        )
        return Step(auto, problem=problem)
    return Step(ms, is_auto=False)
