"""What rules have in their labels and annotations."""

import math

import pytest

from alerts.gotemplate import TemplateError, expand, parse, uses_value

LABELS = {"model": "gpt-5", "provider": "openai", "quote": 'a"b'}


@pytest.mark.parametrize(
    ("text", "value", "expanded"),
    [
        ("plain { text }", 1, "plain { text }"),
        ("{{ $labels.model }} of {{$labels.provider}}", 1, "gpt-5 of openai"),
        ("{{ .Labels.model }} {{ .Value }}", 2.5, "gpt-5 2.5"),
        ('{{ index $labels "model" }}', 1, "gpt-5"),
        ("[{{ $labels.nothing }}]", 1, "[]"),
        ("a {{- $value -}} b", 3, "a3b"),
        ("{{ $value }}", 999999, "999999"),
        ("{{ $value }}", 1e6, "1e+06"),
        ("{{ $value }}", 1e21, "1e+21"),
        ("{{ $value }}", 0.1, "0.1"),
        ("{{ $value }}", -0.0, "-0"),
        ("{{ $value }}", math.nan, "NaN"),
        ("{{ $value }}", math.inf, "+Inf"),
        ('{{ printf "%.2f" $value }}', 3.14159, "3.14"),
        ('{{ $value | printf "%.1f %%" }}', 3.14159, "3.1 %"),
        ('{{ printf "%s has %d" $labels.model 7 }}', 1, "gpt-5 has 7"),
        ('{{ printf "%d" $value }}', 7, "%!d(float64=7)"),
        ('{{ printf "%q" $labels.quote }}', 1, '"a\\"b"'),
        ("{{ $labels.model | toUpper }}", 1, "GPT-5"),
        ('{{ `raw` }} {{ "a\\"b" }}', 1, 'raw a"b'),
        ("{{ . }}", 1, 'map[model:gpt-5 provider:openai quote:a"b] map[] '),
    ],
)
def test_expansion(text: str, value: float, expanded: str) -> None:
    found = expand(text, LABELS, value)
    assert found == (f"{{{expanded} 1}}" if text == "{{ . }}" else expanded)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{{ $value | shout }}", 'function "shout" not defined'),
        ("{{ $vlaue }}", 'undefined variable "$vlaue"'),
        ("{{ $labels.model | humanize }}", 'error calling humanize: strconv.ParseFloat: parsing "gpt-5": invalid syntax'),
        ("{{ humanize }}", "wrong number of args for humanize: want 1 got 0"),
        ("{{ $value", "unclosed action"),
        ("{{ }}", "missing value for command"),
        ("{{ $value $value }}", "can't give argument to non-function $value"),
        ("{{ if $value }}x", "unexpected EOF"),
        ("{{ gt $value 1 }}", "error calling gt: incompatible types for comparison"),
        ("{{ .Foo }}", "can't evaluate field Foo in type struct { Labels map[string]string; "
         "ExternalLabels map[string]string; ExternalURL string; Value float64 }"),
        ('{{ query "up" }}', "error calling query: no queries can be run here"),
    ],
)  # fmt: skip
def test_what_cannot_be_expanded_says_so_in_the_text(text: str, error: str) -> None:
    assert expand(f"before {text}", LABELS, 1) == f"<error expanding template: {error}>"


def test_an_error_names_the_text_it_is_in() -> None:
    assert expand("{{ $x }}", {}, 1, name="summary") == '<error expanding template: summary: undefined variable "$x">'


def test_a_label_s_text_is_never_taken_for_a_template() -> None:
    assert expand("{{ $labels.model }}", {"model": "{{ $value }}"}, 1) == "{{ $value }}"


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("é {{ $x }}", 5),
        ("a\n{{ nothing }}", 5),
        ("{{ if 1 }}{{ end }}{{ end }}", 22),
        ("{{ 1 | 2 }}", 7),
        ("{{ 0x }}", 3),
        ("{{ # }}{{ $y }}", 3),
    ],
)
def test_a_parse_error_has_its_place_in_the_text(text: str, position: int) -> None:
    with pytest.raises(TemplateError) as raised:
        parse(text)
    assert raised.value.position == position


def test_external_labels_and_url_are_there() -> None:
    text = "{{ $externalLabels.region }} {{ $externalURL }} {{ externalURL }} {{ pathPrefix }} {{ .ExternalURL }}"
    found = expand(text, {}, 1, external_labels={"region": "eu"}, external_url="https://host/portal")
    assert found == "eu https://host/portal https://host/portal /portal https://host/portal"


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("$value", False),
        ("{{ $labels.value }}", False),
        ("{{ $value }}", True),
        ("{{ .Value }}", True),
        ("{{ $.Value }}", True),
        ("{{ . }}", True),
        ("{{ $ }}", True),
        ("{{ .Labels.Value }}", False),
        ("{{/* $value */}}{{ `$value` }}", False),
        ("{{ if eq $labels.model `a` }}{{ $value | humanize }}{{ end }}", True),
        ("{{ range .Labels }}{{ . }}{{ .Value }}{{ end }}", False),
        ("{{ range .Labels }}{{ else }}{{ . }}{{ end }}", True),
        ("{{ with .Labels }}{{ .Value }}{{ end }}", False),
        ("{{ with .Value }}{{ end }}", True),
        ("{{ (.).Value }}", True),
        ('{{ define "t" }}{{ . }}{{ end }}{{ template "t" .Labels }}', False),
        ('{{ define "t" }}{{ . }}{{ end }}{{ template "t" . }}', True),
        ('{{ query "up" | first | value }}', True),
        ("{{ now }}", True),
        ("{{ $value", False),
    ],
)
def test_a_text_uses_the_value_where_its_expansion_can_change_while_the_labels_stay(text: str, uses: bool) -> None:
    assert uses_value(text) is uses
