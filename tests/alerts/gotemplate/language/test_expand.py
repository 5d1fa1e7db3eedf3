"""Actions, variables, literals: text/template's language."""

import pytest

from alerts.gotemplate import expand

LABELS = {"b": "2", "a": "1", "c": ""}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        # comments and trimming
        ("a{{/* a comment }} with braces */}}b", "ab"),
        ("a \n{{- /* trims */ -}}\t b", "ab"),
        ("a {{- 1 }} b {{ 2 -}} c", "a1 b 2c"),
        ("a {{-1}} b", "a -1 b"),
        ("\u00a0{{- 1 -}}\u00a0", "\u00a01\u00a0"),
        # literals
        ("{{ 0x1F }} {{ 017 }} {{ 0o17 }} {{ 0b11 }} {{ 1_000 }} {{ -5 }} {{ +5 }}", "31 15 15 3 1000 -5 5"),
        ("{{ 1e3 }} {{ 1.0 }} {{ .5 }} {{ 5. }} {{ 0x1p4 }} {{ 1_000.5 }} {{ 1e6 }}", "1000 1 0.5 5 16 1000.5 1e+06"),
        (r"{{ 'a' }} {{ '\n' }} {{ '\'' }} {{ 'é' }} {{ '\x41' }} {{ '\u00e9' }}", "97 10 39 233 65 233"),
        (r'{{ "\a\b\f\n\r\t\v\\\"" }}', '\a\b\f\n\r\t\v\\"'),
        (r'{{ "\x41\101\u00e9\U0001F600" }}', "AAé😀"),
        (r'{{ "\xc3\xa9" }}{{ len "\xff" }}', "é1"),
        ("{{ `a\r\\n\n` }}", "a\\n\n"),
        ("{{ true }} {{ false }}", "true false"),
        # pipelines
        ('{{ "a" | printf "%s%s" "b" }}', "ba"),
        ("{{ (print 1 2 | len) }}", "3"),
        ("{{ print (print 1) (print (print 2)) }}", "12"),
        ("{{ print nil }} {{ print true 1 2.5 }}", "<nil> true 1 2.5"),
        # variables
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ $x }}{{ end }}{{ $x }}", "32"),
        ("{{ $value = 5 }}{{ $value }}{{ .Value }}", "50.5"),
        ("{{ $labels := 1 }}{{ $labels }}{{ .Labels.a }}", "11"),
        ("{{ if $x := $labels.a }}{{ $x }}{{ else }}{{ $x }}{{ end }}", "1"),
        ("{{ with $x := $labels.c }}{{ else }}[{{ $x }}]{{ end }}", "[]"),
        ("{{ $.Labels.a }}{{ range .Labels }}{{ $.Labels.b }}{{ end }}", "1222"),
        # if and with
        ("{{ if $labels.c }}a{{ else if $labels.a }}b{{ else }}c{{ end }}", "b"),
        ("{{ if 0 }}a{{ else if 0.0 }}b{{ else if `` }}c{{ else if args }}d{{ else }}e{{ end }}", "e"),
        ("{{ with .Labels.a }}{{ . }}{{ end }}", "1"),
        ("{{ with .Labels.c }}{{ else with .Labels.b }}{{ . }}{{ else }}no{{ end }}", "2"),
        ("{{ with .Labels.c }}{{ else }}{{ .Value }}{{ end }}", "0.5"),
        # range
        ("{{ range $labels }}[{{ . }}]{{ end }}", "[1][2][]"),
        ("{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}", "a=1;b=2;c=;"),
        ("{{ range $v := $labels }}{{ $v }}{{ end }}", "12"),
        ("{{ range 3 }}{{ . }}{{ end }}{{ range $i := 2 }}{{ $i }}{{ end }}", "01201"),
        ("{{ range 0 }}x{{ else }}none{{ end }}{{ range args }}{{ else }}nor here{{ end }}", "nonenor here"),
        ("{{ range nil }}{{ end }}", "<error expanding template: nil is not a command>"),
        ("{{ range 5 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ if eq . 3 }}{{ break }}{{ end }}{{ . }}{{ end }}!", "02!"),
        ("{{ range 2 }}{{ range 5 }}{{ break }}{{ end }}{{ . }}{{ end }}", "01"),
        ("{{ $k := 0 }}{{ $v := 0 }}{{ range $k, $v = $labels }}{{ end }}{{ $k }}{{ $v }}", "c"),
        ("{{ $x := 0 }}{{ range 3 }}{{ $x = . }}{{ $y := 1 }}{{ end }}{{ $x }}", "2"),
        # templates
        ('{{ define "t" }}<{{ . }}>{{ end }}{{ template "t" 1 }}{{ template "t" .Labels.b }}', "<1><2>"),
        ('{{ template "t" }}{{ define "t" }}[{{ . }}{{ .a.b }}]{{ end }}', "[<no value><no value>]"),
        ('{{ block "b" .Labels }}{{ .a }}{{ end }}{{ template "b" .Labels }}', "11"),
        ('{{ define "t" }}{{ $.a }}{{ end }}{{ with 5 }}{{ template "t" $labels }}{{ end }}', "1"),
        ('{{ define "n" }}{{ if . }}{{ index . 0 }}{{ template "n" (slice . 1) }}{{ end }}{{ end }}{{ template "n" `ab` }}',
         "9798"),
        ('{{ define "t" }}{{ end }}{{ define "t" }}x{{ end }}{{ define "t" }} {{ end }}{{ template "t" }}', "x"),
        ('{{ define "t" }}a{{ . }}{{ end }}{{ tmpl "t" 5 | len }}{{ tmpl "t" 6 }}', "2a6"),
        # missing keys
        ("{{ (args 1).arg0 }}{{ (args 1).arg1 }}{{ print (args 1).arg1 }}", "1<no value><nil>"),
        ("{{ .Labels.nothing }}{{ len .Labels.nothing }}", "0"),
    ],
)  # fmt: skip
def test_the_language_is_go_s(text: str, expanded: str) -> None:
    assert expand(text, LABELS, 0.5) == expanded


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{{/* a", "unclosed comment"),
        ("{{/* a */ b}}", "comment ends before closing delimiter"),
        ("{{ (1 }}", "unclosed left paren"),
        ("{{ 1) }}", "unexpected \")\" in command"),
        ("{{ 1:1 }}", "expected :="),
        ('{{ "a }}', "unterminated quoted string"),
        ("{{ `a }}", "unterminated raw quoted string"),
        ("{{ 'a }}", "unterminated character constant"),
        ("{{ 'ab' }}", "malformed character constant: 'ab'"),
        (r'{{ "\z" }}', "invalid syntax"),
        ("{{ 1x }}", 'bad number syntax: "1x"'),
        ("{{ 08 }}", 'integer overflow: "08"'),
        ("{{ 1__0 }}", 'illegal number syntax: "1__0"'),
        ("{{ 1e400 }}", 'illegal number syntax: "1e400"'),
        ("{{ 9223372036854775808 }}", "9223372036854775808 overflows int"),
        ("{{ 1i }}", "complex numbers are not supported: 1i"),
        ("{{ 1+2i }}", "complex numbers are not supported: 1+2i"),
        ("{{ é# }}", "bad character U+0023 '#'"),
        ("{{ \u20ac }}", "unrecognized character in action: U+20AC '€'"),
        ("{{ # }}", 'unexpected "#" in command'),
        ("{{ else }}", "unexpected {{else}}"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ if 1 }}{{ else }}{{ else }}{{ end }}", "expected end; found {{else}}"),
        ("{{ if }}{{ end }}", "missing value for if"),
        ("{{ range 1 }}{{ end }}{{ break }}", "{{break}} outside {{range}}"),
        ('{{ range 1 }}{{ block "b" . }}{{ continue }}{{ end }}{{ end }}', "{{continue}} outside {{range}}"),
        ("{{ $a, $b := 1 }}", "too many declarations in command"),
        ("{{ range $a, 1 }}{{ end }}", "range can only initialize variables"),
        ("{{ 1 | 2 }}", "non executable command in pipeline stage 2"),
        ("{{ | 1 }}", 'unexpected "|" in command'),
        ("{{ print | | 1 }}", 'unexpected "|" in command'),
        ("{{ 1.x }}", 'bad number syntax: "1.x"'),
        ("{{ true.x }}", 'unexpected . after term "true"'),
        ("{{ template x }}", 'unexpected "x" in template clause'),
        ('{{ define "a" }}{{ $value }}{{ end }}', 'undefined variable "$value"'),
        ('{{ define "a" }}x{{ end }}{{ define "a" }}y{{ end }}', 'multiple definition of template "a"'),
        ('{{ template "zz" }}', 'template "zz" not defined'),
        ('{{ tmpl "zz" 1 }}', 'no template "zz" associated with this template'),
        ("{{ nil }}", "nil is not a command"),
        ("{{ nil.x }}", 'unexpected . after term "nil"'),
        ("{{ $zz = 1 }}", "undefined variable: $zz"),
        ("{{ .Value.x }}", "can't evaluate field x in type float64"),
        ("{{ .Labels.a 1 }}", "a is not a method but has arguments"),
        ("{{ 1 | .Value }}", "Value has arguments but cannot be invoked as function"),
        ('{{ ("a") 1 }}', "can't give argument to non-function \"a\""),
        ("{{ range .Value }}{{ end }}", "range can't iterate over 0.5"),
        ("{{ range $a, $b := 3 }}{{ end }}", "can't use 3 to iterate over more than one variable"),
        ("{{ toUpper 1 }}", "expected string; found 1"),
        ("{{ toUpper .Value }}", "wrong type for value; expected string; got float64"),
        ("{{ .Value | toUpper }}", "wrong type for value; expected string; got float64"),
        ("{{ toUpper nil }}", "cannot assign nil to string"),
        ("{{ (args).x | toUpper }}", "invalid value; expected string"),
        ("{{ value 1 }}", "can't handle 1 for arg of type *template.sample"),
        ("{{ safeHtml `a` | toUpper }}", "wrong type for value; expected string; got template.HTML"),
        ("{{ printf }}", "wrong number of args for printf: want at least 1 got 0"),
        ("{{ 1 | match `a` `b` }}", "wrong number of args for match: want 2 got 3"),
    ],
)  # fmt: skip
def test_errors_are_go_s(text: str, error: str) -> None:
    assert expand(text, LABELS, 0.5) == f"<error expanding template: {error}>"
