"""The functions of text/template and of Prometheus."""

import math

import pytest

from alerts.gotemplate import FUNCTIONS, expand
from alerts.gotemplate.bounds import MAX_QUERIES

LABELS = {"host": "a.example.org:8080", "html": "<a href=\"x\">'&'</a>", "word": "héllo wörld"}
SAMPLES = [({"instance": "b", "job": "x"}, 2.0), ({"instance": "a", "job": "x", "__value__": "1"}, 1.5)]


def expanded(text: str, value: float = 0.5) -> str:
    return expand(text, LABELS, value, query=lambda query: SAMPLES if query == "up" else [], at=1435065584.128)


def failed(error: str) -> str:
    return f"<error expanding template: {error}>"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("{{ and 1 0 2 }} {{ and 1 2 }} {{ or 0 `` 3 }} {{ or 0 `` }}|{{ not 0 }} {{ not 1 }}", "0 2 3 |true false"),
        ("{{ and false (index 1 2) }} {{ or 1 (nil) }} {{ 5 | and 1 }} {{ 5 | or 1 }}", "false 1 5 1"),
        ("{{ eq 1 1 }} {{ eq 1 2 3 1 }} {{ eq `a` `b` }} {{ eq 0.5 $value }} {{ eq true true }}", "true true false true true"),
        ("{{ ne 1 2 }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt 1 2 }} {{ ge 2 2 }} {{ lt `a` `b` }}", "true true true false true true"),
        ("{{ eq (index `a` 0) 97 }} {{ lt (index `a` 0) 98 }} {{ eq 'a' (index `a` 0) }}", "true true true"),
        ("{{ eq nil 1 }} {{ eq (args).x nil }}", "false true"),
        ("{{ len `é` }} {{ len $labels }} {{ len (args 1 2) }}", "2 3 2"),
        ("{{ index `abc` 1 }} {{ index (args `x`) `arg0` }} {{ (index (query `up`) 1).Value }} {{ index 5 }}", "98 x 1.5 5"),
        ("{{ slice `abcde` 1 3 }} {{ slice `abc` 1 }} {{ slice `abc` }} {{ len (slice (query `up`) 1) }}", "bc bc abc 1"),
        ("{{ html $labels.html }}", "&lt;a href=&#34;x&#34;&gt;&#39;&amp;&#39;&lt;/a&gt;"),
        ("{{ js `'\"<a>&=\n\u2028é\\` }}", r"\'\"\u003Ca\u003E\u0026\u003D\u000A\u2028é\\"),
        ("{{ urlquery `a b&c=é~-_.` 1 2 }}", "a+b%26c%3D%C3%A9~-_.1+2"),
        ("{{ html nil 1 }}", "&lt;no value&gt;1"),
        ("{{ println 1 `a` }}", "1 a\n"),
    ],
)  # fmt: skip
def test_go_s_functions(text: str, written: str) -> None:
    assert expanded(text) == written


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{{ eq 1 1.0 }}", "error calling eq: incompatible types for comparison"),
        ("{{ eq 1 }}", "error calling eq: missing argument for comparison"),
        ("{{ eq $labels $labels }}", "error calling eq: non-comparable type map[]: map[string]string"),
        ("{{ lt true false }}", "error calling lt: invalid type for comparison"),
        ("{{ lt $labels 1 }}", "error calling lt: invalid type for comparison"),
        ("{{ len 1 }}", "error calling len: len of type int"),
        ("{{ index `a` 1 }}", "error calling index: reflect: string index out of range"),
        ("{{ index `a` 2 }}", "error calling index: index out of range: 2"),
        ("{{ index `a` `b` }}", "error calling index: cannot index slice/array with type string"),
        ("{{ index $labels 1 }}", "error calling index: value has type int; should be string"),
        ("{{ index 1 1 }}", "error calling index: can't index item of type int"),
        ("{{ index nil 1 }}", "error calling index: index of untyped nil"),
        ("{{ slice `abc` 2 1 }}", "error calling slice: invalid slice index: 2 > 1"),
        ("{{ slice `abc` 1 2 3 }}", "error calling slice: cannot 3-index slice a string"),
        ("{{ slice 1 }}", "error calling slice: can't slice item of type int"),
        ("{{ call 1 }}", "error calling call: non-function of type int"),
        ("{{ call nil }}", "error calling call: call of nil"),
    ],
)
def test_go_s_functions_fail_as_in_go(text: str, error: str) -> None:
    assert expand(text, {}, 0.5) == failed(error)


def test_gt_is_the_inverse_of_le_also_where_a_value_is_nan() -> None:
    assert expanded("{{ gt $value 1.0 }} {{ lt $value 1.0 }} {{ eq $value $value }}", math.nan) == "true false false"


@pytest.mark.parametrize(
    ("text", "value", "written"),
    [
        ("humanize", 0, "0"),
        ("humanize", 12345.678, "12.35k"),
        ("humanize", 0.00123, "1.23m"),
        ("humanize", -1.5e9, "-1.5G"),
        ("humanize", 1e30, "1e+06Y"),
        ("humanize", 1e-30, "1e-06y"),
        ("humanize", 999.96, "1000"),
        ("humanize", math.inf, "+Inf"),
        ("humanize", math.nan, "NaN"),
        ("humanize1024", 2048, "2ki"),
        ("humanize1024", 3 * 1024**3, "3Gi"),
        ("humanize1024", 1, "1"),
        ("humanize1024", 1000, "1000"),
        ("humanize1024", 0.5, "0.5"),
        ("humanizeDuration", 0, "0s"),
        ("humanizeDuration", 12.5, "12.5s"),
        ("humanizeDuration", 3723, "1h 2m 3s"),
        ("humanizeDuration", 90061, "1d 1h 1m 1s"),
        ("humanizeDuration", 0.0125, "12.5ms"),
        ("humanizeDuration", -61, "-1m 1s"),
        ("humanizeDuration", -math.inf, "-Inf"),
        ("humanizePercentage", 0.1234, "12.34%"),
        ("humanizePercentage", math.nan, "NaN%"),
        ("humanizeTimestamp", 1435065584.128, "2015-06-23 13:19:44.128 +0000 UTC"),
        ("humanizeTimestamp", -0.5, "1969-12-31 23:59:59.5 +0000 UTC"),
        ("humanizeTimestamp", math.inf, "+Inf"),
        ("toTime", 253402300800, "<error expanding template: error calling toTime: 2.534023008e+11 cannot be represented "
         "as a nanoseconds timestamp since it overflows int64>"),
        ("toTime", math.nan, "<error expanding template: error calling toTime: value is NaN or Inf>"),
        ("toTime", 9223372036, "2262-04-11 23:47:16 +0000 UTC"),
        ("toDuration", 3723.5, "1h2m3.5s"),
        ("toDuration", 0.0015, "1.5ms"),
        ("toDuration", -90, "-1m30s"),
    ],
)  # fmt: skip
def test_numbers_for_people(text: str, value: float, written: str) -> None:
    assert expand(f"{{{{ $value | {text} }}}}", {}, value) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("{{ humanize `1234.5` }} {{ humanize 5 }} {{ humanize `0x1p4` }} {{ humanize `inf` }}", "1.234k 5 16 +Inf"),
        ("{{ humanizeDuration (parseDurationTime `1h`) }}", "1h 0m 0s"),
        ("{{ humanize true }}", failed("error calling humanize: can't convert bool to float")),
        ("{{ humanize ` 1` }}", failed('error calling humanize: strconv.ParseFloat: parsing " 1": invalid syntax')),
        ("{{ humanize `1e999` }}", failed('error calling humanize: strconv.ParseFloat: parsing "1e999": value out of range')),
        ("{{ now }} {{ now | toTime }}", "1.435065584128e+09 2015-06-23 13:19:44.128 +0000 UTC"),
        ("{{ parseDuration `1h30m` }} {{ parseDuration `1y2w3d4h5m6s7ms` }} {{ parseDuration `0` }}",
         "5400 3.3019506007e+07 0"),
        ("{{ parseDurationTime `90s` }}", "1m30s"),
        ("{{ parseDuration `` }}", failed("error calling parseDuration: empty duration string")),
        ("{{ parseDuration `1s1h` }}", failed('error calling parseDuration: not a valid duration string: "1s1h"')),
        ("{{ parseDuration `999999y` }}", failed("error calling parseDuration: duration out of range")),
        ("{{ title `aa bB-cC_dd éé` }} {{ title $labels.word }}", "Aa BB-CC_dd Éé Héllo Wörld"),
        ("{{ toUpper `straße é` }} {{ toLower `ÀΣ İ` }}", "STRAßE É àσ i"),
        ("{{ match `h.l+o` $labels.word }} {{ match `^x` $labels.word }}", "true false"),
        ("{{ match `(` `a` }}", failed("error calling match: error parsing regexp: missing ): (")),
        ("{{ reReplaceAll `(.*):(\\d+)` `$2 of ${1}` $labels.host }}", "8080 of a.example.org"),
        ("{{ reReplaceAll `(?P<n>l+)` `<$n>$$${n}$nn$x$9$` $labels.word }}", "hé<ll>$ll$o wör<l>$l$d"),
        ("{{ reReplaceAll `x*` `-` `axbé` }}", "-a-b-é-"),
        ("{{ reReplaceAll `` `-` `é` }}", "-é-"),
        ("{{ stripPort $labels.host }} {{ stripPort `[::1]:80` }} {{ stripPort `::1` }} {{ stripPort `a` }}",
         "a.example.org ::1 ::1 a"),
        ("{{ stripDomain $labels.host }} {{ stripDomain `a.b` }} {{ stripDomain `1.2.3.4:80` }} {{ stripDomain `[::1]:80` }}",
         "a:8080 a 1.2.3.4:80 [::1]:80"),
        ("{{ graphLink `up{a=\"b\"}` }}", "/graph?g0.expr=up%7Ba%3D%22b%22%7D&g0.tab=0"),
        ("{{ tableLink `up` }}", "/graph?g0.expr=up&g0.tab=1"),
        ("{{ urlUnescape `a%20b+c%C3%A9` }}", "a b cé"),
        ("{{ urlUnescape `%zz` }}", failed('error calling urlUnescape: invalid URL escape "%zz"')),
        ("{{ safeHtml `<b>` }} {{ (args 1 `x`).arg1 }} {{ args 1 }}", "<b> x map[arg0:1]"),
    ],
)  # fmt: skip
def test_prometheus_s_functions(text: str, written: str) -> None:
    assert expanded(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("{{ range query `up` }}{{ .Labels.instance }}={{ .Value }};{{ end }}", "b=2;a=1.5;"),
        ("{{ range query `up` | sortByLabel `instance` }}{{ .Labels.instance }}{{ end }}", "ab"),
        ("{{ with query `up` }}{{ . | first | value }} {{ . | first | label `instance` }}{{ end }}", "2 b"),
        ("{{ (index (query `up`) 1) | strvalue }}", "1"),
        ("{{ query `up` | first }}", "{map[instance:b job:x] 2}"),
        ("{{ with query `none` }}x{{ else }}none{{ end }}", "none"),
        ("{{ query `none` | first }}", failed("error calling first: first() called on vector with no elements")),
        ("{{ label `a` nil }}", failed("error calling label: runtime error: invalid memory address or nil pointer "
                                       "dereference")),
        ("{{ query `up` | value }}",
         failed("wrong type for value; expected *template.sample; got template.queryResult")),
    ],
)  # fmt: skip
def test_queries(text: str, written: str) -> None:
    assert expanded(text) == written


def test_a_query_that_fails_is_an_error_in_the_text() -> None:
    def query(text: str) -> list[tuple[dict[str, str], float]]:
        raise RuntimeError(f"no such metric: {text}")

    assert expand("{{ query `up` }}", {}, 1, query=query) == failed("error calling query: no such metric: up")


def test_queries_are_counted() -> None:
    asked: list[str] = []

    def query(text: str) -> list[tuple[dict[str, str], float]]:
        asked.append(text)
        return []

    found = expand("{{ range 100 }}{{ $x := query `up` }}{{ end }}", {}, 1, query=query)
    assert found == failed(f"error calling query: more than {MAX_QUERIES} queries in one template")
    assert len(asked) == MAX_QUERIES


def test_every_function_can_be_called_by_anybody_without_a_panic() -> None:
    operands = ["1", "1.5", "`a`", "nil", "true", ".", "$labels", "(query `up`)", "(first (query `up`))", "(args 1)"]
    for name in FUNCTIONS:
        for count in range(4):
            for operand in operands:
                found = expanded(f"{{{{ {name}{f' {operand}' * count} }}}}")
                assert "panic" not in found, (name, operand, count)
