"""Go's text/template with Prometheus's functions, for the labels and annotations of alert rules and for messages.

A text goes through lexer, parse (trees of nodes), compile and pipelines (closures), execute. It may come from anybody
who may write a rule, and the labels from anybody who may send records: bounds.py says what an expansion may cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from alerts.gotemplate.bounds import MAX_OUTPUT, OutOfTime, TemplateError, TooLong
from alerts.gotemplate.execute import Execution, Program, Query
from alerts.gotemplate.functions.prometheus import FUNCTIONS
from alerts.gotemplate.language.compile import compile_trees, sets_globals
from alerts.gotemplate.language.dependence import depends_on_value
from alerts.gotemplate.language.parse import parse_trees
from alerts.gotemplate.values import Data, Items, Struct, to_bytes

__all__ = ["FUNCTIONS", "Items", "Struct", "Template", "TemplateError", "expand", "fill_in", "parse", "uses_value"]

SMALL_TEXT = 4096
"""Characters up to which a text is among the many that are kept parsed."""
TOO_LONG = f"<error expanding template: the text is longer than {MAX_OUTPUT} characters>"
NO_LABELS: dict[str, str] = {}


class Template:
    """A parsed text."""

    __slots__ = ("programs", "sets_globals", "uses_value")

    def __init__(self, text: str) -> None:
        trees = parse_trees(text, FUNCTIONS)
        self.programs: Mapping[str, Program] = compile_trees(trees)
        self.sets_globals = sets_globals(trees)
        self.uses_value = depends_on_value(trees[""].body)


def parse(text: str) -> Template:
    """The template of a text. Raises TemplateError, whose position is an offset in the text."""
    found = _parsed(text) if len(text) <= SMALL_TEXT else _parsed_large(text)
    if isinstance(found, TemplateError):
        raise TemplateError(found.message, found.position)
    return found


def expand(
    text: str,
    labels: Mapping[str, str],
    value: float,
    *,
    external_labels: Mapping[str, str] | None = None,
    external_url: str = "",
    query: Query | None = None,
    at: float | None = None,
    name: str = "",
) -> str:
    """The text with its templates filled in. What goes wrong is said in the result; nothing is raised.

    `query` runs an instant query for the function of that name; `at` is the evaluation's time (Unix seconds); `name` is
    put before errors.
    """
    try:
        if "{{" not in text:
            return text if len(text) <= MAX_OUTPUT else text[:MAX_OUTPUT] + TOO_LONG
        template = _parsed(text) if len(text) <= SMALL_TEXT else _parsed_large(text)
        if isinstance(template, TemplateError):
            return _error(template.message, name)
        execution = Execution(
            Data(labels, float(value), external_labels or NO_LABELS, external_url), template.programs, query, at
        )
        return _run(execution, template, name)
    except Exception as error:
        return _error(f"panic: {type(error).__name__}", name)


def fill_in(text: str, root: Struct, labels: Mapping[str, str], value: float) -> str:
    """The text with `root` as its `.`, and with `$labels` and `$value`; no queries.

    Raises TemplateError for whatever goes wrong.
    """
    template = parse(text)
    execution = Execution(Data(labels, value, NO_LABELS, ""), template.programs, None, None)
    execution.root = root
    if template.sets_globals:
        execution.declare_globals()
    try:
        template.programs[""].run(execution, root)
    except TooLong:
        raise TemplateError(f"the result is longer than {MAX_OUTPUT} characters") from None
    except OutOfTime as error:
        raise TemplateError(str(error)) from None
    except RecursionError:
        raise TemplateError("the text is nested too deeply") from None
    return _storable("".join(execution.out))


def uses_value(text: str) -> bool:
    """Whether the expansion can differ from one evaluation to the next with the same labels."""
    try:
        return "{{" in text and parse(text).uses_value
    except TemplateError:
        return False


def _run(execution: Execution, template: Template, name: str) -> str:
    if template.sets_globals:
        execution.declare_globals()
    try:
        template.programs[""].run(execution, execution.data)
    except TooLong:
        return _storable("".join(execution.out)[:MAX_OUTPUT]) + TOO_LONG
    except (TemplateError, OutOfTime) as error:
        return _error(str(error), name)
    return _storable("".join(execution.out))


def _error(message: str, name: str) -> str:
    return _storable(f"<error expanding template: {f'{name}: ' if name else ''}{message}>"[: MAX_OUTPUT + 100])


def _storable(text: str) -> str:
    """The text with U+FFFD for what is no Unicode, which no database takes."""
    return text if text.isascii() else to_bytes(text).decode("utf-8", "replace")


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Template | TemplateError:
    return _parse(text)


@lru_cache(maxsize=16)
def _parsed_large(text: str) -> Template | TemplateError:
    return _parse(text)


def _parse(text: str) -> Template | TemplateError:
    try:
        return Template(text)
    except TemplateError as error:
        return TemplateError(error.message, error.position)
