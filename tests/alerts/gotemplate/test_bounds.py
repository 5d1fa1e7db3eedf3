"""No text and no labels cost much or raise anything."""

import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.gotemplate import TemplateError, expand, parse, uses_value
from alerts.gotemplate.bounds import MAX_DEPTH, MAX_OUTPUT, MAX_SECONDS, MAX_STEPS, MAX_TEXT
from alerts.gotemplate.functions.prometheus import FUNCTIONS
from alerts.gotemplate.functions.signature import Function

TOO_LONG = "<error expanding template: the text is longer than 65536 characters>"
TOO_DEEP = f"<error expanding template: the template is nested more than {MAX_DEPTH} deep>"
TOO_MANY = f"<error expanding template: the template takes more than {MAX_STEPS} steps>"
TOO_SLOW = f"<error expanding template: the template takes more than {MAX_SECONDS} seconds>"
LEEWAY = 3.0
"""Seconds for parsing, for the longest step, and for a machine that has other things to do."""


def quickly(text: str, labels: dict[str, str] | None = None) -> str:
    begun = time.thread_time()
    found = expand(text, labels or {}, 0.5, query=lambda query: [])
    assert time.thread_time() - begun < MAX_SECONDS + LEEWAY
    return found


def test_a_long_result_is_cut_and_says_so() -> None:
    label = "é" * 40_000
    assert quickly("{{ $labels.a }}{{ $labels.a }}", {"a": label}) == label + "é" * (MAX_OUTPUT - 40_000) + TOO_LONG
    assert quickly("x" * 70_000) == "x" * MAX_OUTPUT + TOO_LONG


@pytest.mark.parametrize(
    "text",
    [
        '{{ printf "%4000000d" 1 }}',
        '{{ printf "%1000000s" "" }}',
        '{{ len (printf "%70000s" "") }}',
        "{{ $x := `aaaaaaaaaaaaaaaa` }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}",
        "{{ $x := args }}{{ range 60 }}{{ $x = args $x $x }}{{ end }}{{ print $x }}",
        "{{ html (printf `%60000s` ``) (printf `%60000s` ``) }}",
        "{{ reReplaceAll `` `0123456789` (printf `%60000s` ``) }}",
        "{{ html $labels.quotes }}",
    ],
)
def test_no_string_on_the_way_is_longer(text: str) -> None:
    assert quickly(f"before {text}", {"quotes": '"' * 60_000}) == f"before {TOO_LONG}"


@pytest.mark.parametrize(
    "text",
    [
        '{{ printf "%10000000d" 1 }}',
        '{{ printf "%-10000000s" "" }}',
        '{{ printf "%.10000000f" 1.5 }}',
        "{{ reReplaceAll `` (printf `%600s` ``) (printf `%60000s` ``) }}",
        "{{ range 50000 }}{{ $labels.a }}{{ end }}",
    ],
)
def test_memory_is_bounded(text: str) -> None:
    labels = {"a": "x" * 30_000}
    tracemalloc.start()
    try:
        assert quickly(text, labels).endswith(TOO_LONG)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_width_that_go_does_not_take_pads_nothing() -> None:
    assert quickly('{{ printf "%400000000d" 1 }}') == "%!(NOVERB)%!(EXTRA int=1)"


def test_what_a_nested_template_wrote_is_kept_when_the_result_is_cut() -> None:
    text = "a{{ define `t` }}b{{ printf `%70000s` `` }}{{ end }}{{ tmpl `t` . }}"
    assert quickly(text) == f"ab{TOO_LONG}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ range 100000000000 }}{{ end }}",
        "{{ range 1000 }}{{ range 1000 }}{{ end }}{{ end }}",
        "{{ range 1000 }}" + "{{ $x := 1 }}" * 200 + "{{ end }}",
        "{{ range 1000 }}" + "{{ if 0 }}{{ end }}" * 200 + "{{ end }}",
        "{{ range 1000 }}{{ $x := 1 " + "| and 1 " * 200 + "}}{{ end }}",
        "{{ define `t` }}{{ end }}{{ range 1000 }}" + "{{ template `t` }}" * 200 + "{{ end }}",
    ],
)
def test_steps_are_counted(text: str) -> None:
    assert quickly(text) in (TOO_MANY, TOO_SLOW)


@pytest.mark.parametrize(
    "text",
    [
        "{{ range 100000 }}{{ $x := $labels.a | toUpper | title | html }}{{ end }}",
        "{{ range 100000 }}{{ $x := match `(x+x+)+y` $labels.a }}{{ end }}",
        "{{ range 100000 }}{{ $x := printf `%q` $labels.a }}{{ end }}",
        "{{ range $i := 100000 }}{{ $x := match (printf `x{99}%d|(é.)+$` $i) $labels.a }}{{ end }}",
        "{{ range 100000 }}{{ $x := reReplaceAll `` `` $labels.a }}{{ end }}",
    ],
)
def test_time_is_bounded(text: str) -> None:
    assert quickly(text, {"a": "xé" * 10_000}) == TOO_SLOW


@pytest.mark.parametrize(
    "text",
    [
        "{{ if 1 }}" * 101 + "{{ end }}" * 101,
        "{{ " + "(" * 101 + "1" + ")" * 101 + " }}",
        "{{ with 1 }}" * 5000,
        "{{ " + "(" * 60_000,
        "{{ if 0 }}" + "{{ else if 0 }}" * 4000 + "{{ end }}",
    ],
)
def test_nesting_is_bounded(text: str) -> None:
    assert quickly(text) == TOO_DEEP
    with pytest.raises(TemplateError):
        parse(text)


def test_nesting_up_to_the_bound_is_taken() -> None:
    for opening, closing in (
        ("{{ if 1 }}", "{{ end }}"),
        ("{{ range 1 }}", "{{ end }}"),
        ("{{ with 1 }}", "{{ end }}"),
    ):
        assert quickly(opening * MAX_DEPTH + "x" + closing * MAX_DEPTH) == "x"
    assert quickly("{{ " + "(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH + " }}") == "1"
    assert quickly("{{ 1 " + "| print " * 5000 + "}}") == "1"


@pytest.mark.parametrize(
    "text",
    [
        "{{ define `t` }}{{ template `t` . }}{{ end }}{{ template `t` . }}",
        "{{ define `t` }}{{ template `t` . }}{{ template `t` . }}{{ end }}{{ template `t` . }}",
        "{{ define `t` }}{{ tmpl `t` . }}{{ end }}{{ tmpl `t` . }}",
        "{{ define `a` }}{{ if 1 }}{{ template `b` }}{{ end }}{{ end }}{{ define `b` }}{{ template `a` }}{{ end }}"
        "{{ template `a` }}",
    ],
)
def test_templates_that_call_themselves_end(text: str) -> None:
    assert quickly(text) == f"<error expanding template: exceeded maximum template depth ({MAX_DEPTH})>"


def test_a_deep_value_is_not_printed() -> None:
    found = quickly("{{ $x := args }}{{ range 1000 }}{{ $x = args $x }}{{ end }}{{ $x }}")
    assert found == f"<error expanding template: the value is nested more than {MAX_DEPTH} deep>"


def test_a_long_text_is_not_parsed() -> None:
    found = quickly("{{ 1 }}" + "x" * MAX_TEXT)
    assert found == f"<error expanding template: the template is longer than {MAX_TEXT} characters>"


@pytest.mark.parametrize(
    "text", ["{{ $value }}" * 5000, "{{ " + "1 " * 32_000, "{{ print " + "1 " * 30_000 + "}}", "{{ $" + ".a" * 30_000]
)
def test_a_text_of_the_greatest_length_is_parsed_in_time(text: str) -> None:
    quickly(text)


def test_odd_labels_and_texts_come_out_as_text_that_can_be_stored() -> None:
    labels = {"a\0b": "\0", "s": "a\ud800b\udcff", "\ud83d": "x"}
    assert quickly("{{ $labels.s }}{{ len $labels.s }}", labels) == "a\ufffdb\ufffd6"
    assert quickly('{{ index $labels "a\\x00b" }}', labels) == "\0"
    assert quickly("{{ $labels }}\0{{ 1 }}", labels).encode()
    assert quickly("\ud800{{ \ud800 }}").encode()
    assert quickly('{{ slice "é" 1 }}{{ slice "é" 0 1 }}{{ "\\xff" | toUpper }}').encode()


def test_what_is_no_label_at_all_raises_nothing() -> None:
    for labels in ({"a": 5}, {1: 2}, None, 3, []):
        assert isinstance(expand("{{ $labels.a }}{{ $labels }}{{ range $labels }}{{ . }}{{ end }}", labels, 1), str)  # type: ignore[arg-type]
    assert expand("{{ $value }}", {}, "x") == "<error expanding template: panic: ValueError>"  # type: ignore[arg-type]


def test_what_python_raises_is_an_error_in_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(value: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setitem(FUNCTIONS, "humanize", Function(broken, ("any",)))
    assert expand("{{ $value | humanize }} ", {}, 1) == "<error expanding template: panic: ZeroDivisionError>"


BASE = [
    *FUNCTIONS,
    *["if", "else", "end", "range", "with", "define", "template", "block", "break", "continue", "nil", "true"],
    *[
        "$",
        "$labels",
        "$value",
        "$x",
        "$x := ",
        "$x = ",
        ".",
        ".Labels",
        ".Value",
        ".a",
        "$labels.a",
        "|",
        "(",
        ")",
        ",",
    ],
    *['"a"', '"%*d%[1]v%x"', "`%070000d`", "'a'", "1", "-1", "1.5", "0x1p4", "99999999999999999999", "{{", "}}", "-}}"],
]
OPERANDS = st.sampled_from(["1", "2.5", '"a"', "`%v%d%s`", "$labels", "$value", ".", "$labels.a", "nil", "true", "$x"])
FUNCTION = st.sampled_from(sorted(FUNCTIONS))
COMMANDS = st.recursive(
    st.builds(lambda name, operands: " ".join([name, *operands]), FUNCTION, st.lists(OPERANDS, max_size=3)) | OPERANDS,
    lambda inner: (
        st.builds(lambda name, first: f"{name} ({first})", FUNCTION, inner)
        | st.builds(lambda first, name: f"{first} | {name}", inner, FUNCTION)
    ),
    max_leaves=6,
)
KINDS = st.sampled_from(["if", "with", "range", "range $i, $x :=", "define `t`", "block `t`"])
NODES: st.SearchStrategy[str] = st.recursive(
    st.text(max_size=5) | COMMANDS.map("{{{{ {} }}}}".format) | COMMANDS.map("{{{{- $x := {} -}}}}".format),
    lambda inner: st.builds(
        lambda kind, command, body, other: f"{{{{ {kind} {command} }}}}{body}{{{{ else }}}}{other}{{{{ end }}}}",
        KINDS, COMMANDS, inner, inner,
    )
    | st.lists(inner, max_size=4).map("".join),
    max_leaves=12,
)  # fmt: skip
JUNK = st.lists(st.sampled_from(BASE) | st.text(max_size=3), max_size=25).map(" ".join)
TEXTS = NODES | JUNK | JUNK.map("{{{{ {} }}}}".format) | st.text() | NODES.map(lambda text: "{{ $x := 1 }}" + text)
CHARACTERS = st.characters(codec=None, exclude_categories=())
LABELS = st.dictionaries(st.sampled_from(["a", "b"]) | st.text(CHARACTERS), st.text(CHARACTERS), max_size=3)


@settings(max_examples=600, deadline=None)
@given(TEXTS, LABELS, st.floats())
def test_any_text_with_any_labels_gives_a_text_of_bounded_length_in_time(
    text: str, labels: dict[str, str], value: float
) -> None:
    begun = time.thread_time()
    found = expand(text, labels, value, query=lambda query: [(labels, value)], at=0.0, name="summary")
    assert time.thread_time() - begun < MAX_SECONDS + LEEWAY
    assert isinstance(found, str)
    assert len(found) <= MAX_OUTPUT + 100
    assert "panic" not in found or "panic" in text
    assert isinstance(uses_value(text), bool)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_a_text_parses_or_says_where_it_does_not(text: str) -> None:
    place = 0
    try:
        parse(text)
    except TemplateError as error:
        place = -1 if error.position is None else error.position
    assert 0 <= place <= len(text)


@settings(max_examples=300, deadline=None)
@given(NODES, LABELS, st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_what_does_not_use_the_value_is_the_same_at_any_value(
    text: str, labels: dict[str, str], one: float, other: float
) -> None:
    expanded: Callable[[float], str] = lambda value: expand(text, labels, value)  # noqa: E731
    if not uses_value(text):
        assert expanded(one) == expanded(other)


def test_many_alerts_are_expanded_quickly() -> None:
    text = "{{ $labels.model }} at {{ $value | humanizePercentage }}"
    begun = time.thread_time()
    for number in range(10_000):
        expand(text, {"model": "gpt-5"}, number / 10_000)
    assert time.thread_time() - begun < 1
