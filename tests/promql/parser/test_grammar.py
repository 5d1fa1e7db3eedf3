"""The grammar: what is read how, where every node stands, and what is refused with which words."""

import math

import pytest

import promql
from promql import syntax


def parsed(text: str) -> syntax.Node:
    return promql.parse(text, experimental=True).expr


def canonical(text: str) -> str:
    return promql.format_node(parsed(text))


def grouped(text: str) -> str:
    """The query with parentheses around every operator."""

    def write(node: syntax.Node) -> str:
        match node:
            case syntax.Binary():
                return f"({write(node.left)} {node.op} {write(node.right)})"
            case syntax.Unary():
                return f"({node.op}{write(node.expr)})"
            case _:
                return promql.format_node(node)

    return write(parsed(text))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a + b * c", "(a + (b * c))"),
        ("a - b - c", "((a - b) - c)"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("-a ^ 2", "(-(a ^ 2))"),
        ("-1 ^ 2", "(-(1 ^ 2))"),
        ("2 ^ -a * b", "((2 ^ (-a)) * b)"),
        ("-a * b", "((-a) * b)"),
        ("a or b and c unless d", "(a or ((b and c) unless d))"),
        ("a > b == c + 1", "((a > b) == (c + 1))"),
        ("a atan2 b % c", "((a atan2 b) % c)"),
        ("a AND b OR c", "((a and b) or c)"),
        ("a + b offset 5m", "(a + b offset 5m)"),
        ("-a[5m:]", "-a[5m:]"),
        ("a offset 5m + 1", "(a offset 5m + 1)"),
        ("a offset -2 ^ 2", "(a offset -2s ^ 2)"),
        ("a @ -5 ^ 2", "(a @ -5.000 ^ 2)"),
    ],
)
def test_operators_bind_as_in_prometheus(text: str, meant: str) -> None:
    if text == "-a[5m:]":
        with pytest.raises(promql.ParseError, match="unary expression only allowed"):
            parsed(text)
        return
    assert grouped(text) == meant


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-.5", -0.5),
        ("1e3", 1000),
        ("1_000.5", 1000.5),
        ("0x1F", 31),
        ("0x1p-2", 0.25),
        ("0755", 493),
        ("089", 89),
        ("+Inf", math.inf),
        ("-inf", -math.inf),
        ("5m", 300),
        ("-1h30m", -5400),
        ("1y2w3d4h5m6s7ms", 365 * 86400 + 17 * 86400 + 4 * 3600 + 306.007),
    ],
)
def test_numbers_have_many_notations(text: str, value: float) -> None:
    node = parsed(text)
    assert isinstance(node, syntax.Number)
    assert node.value == pytest.approx(value)
    assert (node.start, node.end) == (0, len(text))


@pytest.mark.parametrize("text", ["1x", "5mm", "5m5", "1s1h", "0xz", "1__", "1.2.3", "9" * 500, "300y"])
def test_what_is_no_number_is_refused(text: str) -> None:
    if text == "1__":
        assert isinstance(parsed(text), syntax.Number)
        return
    with pytest.raises(promql.ParseError):
        parsed(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\"b\n\t\\"', 'a"b\n\t\\'),
        (r"'it\'s'", "it's"),
        (r"`raw\n`", r"raw\n"),
        (r'"\x41\101é\U0001F600"', "AAé😀"),
        (r'"\xc3\xa9"', "é"),
        (r'"\xff"', "\ufffd"),
        ('"日本 # no comment"', "日本 # no comment"),
    ],
)
def test_strings_are_gos(text: str, value: str) -> None:
    node = parsed(text)
    assert isinstance(node, syntax.String)
    assert node.value == value
    assert node.is_utf8 == (value != "\ufffd")


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        (r'"a\q"', "unknown escape sequence", 2),
        ('"it' + "\\'" + 's"', "unknown escape sequence", 3),
        (r'"\777"', "octal escape value", 1),
        (r'"\ud800"', "not a Unicode character", 1),
        ('"a\nb"', "unterminated quoted string", 0),
    ],
)
def test_what_is_no_string_says_where(text: str, message: str, position: int) -> None:
    with pytest.raises(promql.ParseError, match=message) as caught:
        parsed(text)
    assert caught.value.position == position


@pytest.mark.parametrize(
    "text",
    [
        'x{a="b", c!="d", e=~"f", g!~"h"}',
        '{"my.metric", "a.b"="c"}',
        '{"bool"}',
        '{__name__="x", __name__=~"x|y"}',
        "x[5m] offset -1h",
        "x[5m] @ 1700000000.000 offset 1w",
        "x @ start()",
        "x[5m] anchored",
        "x[1m] smoothed offset 5m",
        "x smoothed",
        'sum by (a, "b.c") (x)[1h30m:15s] @ end() offset 1d',
        "x[5m + 1m]",
        "x[5m * (2 + 1):step()]",
        "x[max_of(step(), 1m)] offset (range() / 2)",
        "x offset -step()",
        "a + on (b) group_left (c, d) e",
        "a / ignoring () group_right () e",
        "a == bool ignoring (b) c",
        "a + fill (0) b",
        "a + on (x) fill_left (-1) fill_right (NaN) b",
        "topk without (a) (5, x)",
        'count_values("v", x)',
        'info(x, {__name__="build_info", a=~".+"})',
        "info(x, {})",
        "-x ^ 2",
        "5m * 2",
        "sum",
        'avg{a="b"}',
        "offset offset 5m",
        "and and or",
        "fill + fill",
        "start + step",
    ],
)
def test_canonical_text_is_written_as_it_was_read(text: str) -> None:
    assert canonical(text) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SUM(x)BY(a,)", "sum by (a) (x)"),
        ('x{a="b",}# comment', 'x{a="b"}'),
        ('{__name__="x"}', "x"),
        ('{"x",a="b"}', 'x{a="b"}'),
        ("x[90m]", "x[1h30m]"),
        ("x[ 300 ]", "x[5m]"),
        ("x[8d:1y]", "x[8d:1y]"),
        ("x\n  +\n\ty", "x + y"),
        ("a + fill_right(1) fill_left(1) b", "a + fill (1) b"),
        ("+x", "+x"),
        ("- -5", "5"),
        ("1e-7", "0.0000001"),
        ("x OFFSET 5m @ 3", "x @ 3.000 offset 5m"),
    ],
)
def test_other_writings_have_one_canonical_text(text: str, wanted: str) -> None:
    assert canonical(text) == wanted
    assert canonical(wanted) == wanted


def test_every_node_knows_its_place() -> None:
    text = 'sum by (a) (rate(x{b="c"}[5m] offset 1m)) / (2 + -y) > bool 3'
    places = [text[node.start : node.end] for node in syntax.walk(parsed(text))]
    assert places == [
        text,
        'sum by (a) (rate(x{b="c"}[5m] offset 1m)) / (2 + -y)',
        'sum by (a) (rate(x{b="c"}[5m] offset 1m))',
        'rate(x{b="c"}[5m] offset 1m)',
        'x{b="c"}[5m] offset 1m',
        "(2 + -y)",
        "2 + -y",
        "2",
        "-y",
        "y",
        "3",
    ]


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("sum()", "no arguments for aggregate expression", 0),
        ("topk(x)", "expected 2, got 1", 0),
        ("topk(x, y)", "expected type scalar in aggregation parameter, got instant vector", 5),
        ("rate(x[5m], 1)", r'expected 1 argument\(s\) in call to "rate", got 2', 0),
        ("round(x, 1, 2)", "expected at most 2", 0),
        ('label_join(x, "a")', "expected at least 3", 0),
        ("rate(x[5m],)", "trailing commas not allowed", 10),
        ("1 > 2", "comparisons between scalars must use BOOL modifier", 2),
        ("x + bool y", "bool modifier can only be used on comparison operators", 2),
        ("x and 1", "not allowed in binary scalar expression", 2),
        ("x and on (a) group_left () y", 'no grouping allowed for "and"', 2),
        ("x and fill (1) y", "filling in missing series not allowed", 2),
        ("x + on (a) group_left (a) y", "must not occur in ON and GROUP clause at once", 2),
        ('x + "a"', "must contain only scalar and instant vector types", 4),
        ("x[5m][5m]", "ranges only allowed for vector selectors", 5),
        ("x offset 5m [5m]", "no offset modifiers allowed before range", 12),
        ("x @ 5 [5m]", "no @ modifiers allowed before range", 6),
        ("x[5m:1m][5m:]", "subquery is only allowed on instant vector, got range vector", 0),
        ("sum(x) offset 5m", "offset modifier must be preceded by", 0),
        ("x offset 5m offset 5m", "offset may not be set multiple times", 0),
        ("x @ 5 @ 5", "may not be set multiple times", 0),
        ("x[0s]", "duration must be greater than 0", 2),
        ("x[5m - 5m]", "duration must be greater than 0", 2),
        ("x[5m / (1 - 1)]", "division by zero", 2),
        ("x[]", "a duration was expected", 2),
        ("x offset", "unexpected end of the query in offset", 8),
        ("x offset 5m + 5m[1m]", "ranges only allowed", 16),
        ('{a=""}', "at least one non-empty matcher", 0),
        ("{}", "at least one non-empty matcher", 0),
        ('x{__name__="y"}', "metric name must not be set twice", 2),
        ('x{"y"}', "metric name must not be set twice", 2),
        ("x{a}", "one of = != =~ !~ was expected", 3),
        ("x{a=b}", "a string in quotes was expected", 4),
        ('x{a="b" c="d"}', "',' was expected", 8),
        ("sum by a (x)", r"'\(' was expected", 7),
        ("sum by (a:b) (x)", "a label was expected", 8),
        ("x[5m] anchored smoothed", "cannot be used together", 0),
        ("x[5m:] anchored", "not supported for subqueries", 0),
        ("deriv(x[5m] smoothed)", "can only be used with: delta, increase, rate - not with deriv", 6),
        ("info(x, target_info)", "expected label selectors only", 8),
        ("a + group_left b", "a value was expected", 4),
        ("sum(x) by (a) by (b)", "unexpected 'by'", 14),
        ("[5m]", r"unexpected '\['", 0),
        ("x ==== y", "a value was expected", 4),
        ("1 @ 5", "@ modifier must be preceded by", 0),
        ("abs(1)", "expected type instant vector", 4),
        ('-"a"', "unary expression only allowed", 0),
        ('"a"[5m:]', "got string instead", 0),
    ],
)
def test_an_error_says_what_and_where(text: str, message: str, position: int) -> None:
    with pytest.raises(promql.ParseError, match=message) as caught:
        parsed(text)
    assert caught.value.position == position


@pytest.mark.parametrize("text", ["{{schema:1}}", "x </ 2", "x >/ y"])
def test_native_histograms_are_named_as_what_is_missing(text: str) -> None:
    with pytest.raises(promql.UnsupportedError, match="native histogram"):
        parsed(text)


@pytest.mark.parametrize("text", ["x[5m + 1m]", "x offset (5m)", "x[step()]", "x[5m] anchored", "x smoothed"])
def test_what_prometheus_keeps_behind_a_flag_must_be_switched_on(text: str) -> None:
    with pytest.raises(promql.ParseError, match="experimental and not switched on"):
        promql.parse(text)
    parsed(text)


def test_long_queries_are_laid_out_over_lines() -> None:
    text = f"sum by (a) (rate({'x' * 60}[5m])) / on (a) group_left () (sum({'y' * 60}) - max({'z' * 60}))"
    assert promql.parse(text).pretty() == "\n".join(
        [
            f"  sum by (a) (rate({'x' * 60}[5m]))",
            "/ on (a) group_left ()",
            "  (",
            f"      sum({'y' * 60})",
            "    -",
            f"      max({'z' * 60})",
            "  )",
        ]
    )


@pytest.mark.parametrize(
    "text",
    [
        "x[" + "(" * 99 + "5m" + ")" * 99 + "]",
        "x[" + "-" * 400 + "5m]",
        "x[" + "1m+" * 400 + "5m]",
        "x[" + "2^" * 400 + "5m]",
        "sum(" * 99 + "x" + ")" * 99,
        "2^" * 400 + "x",
        "(" * 99 + "-" * 300 + "x" + ")" * 99,
        "x" + "[5m:]" * 16_000,
        "x{" + 'a="b",' * 8_000 + "}",
        '"' + "\\x41" * 24_000 + '"',
        "1" * 100_000,
        "1" * 50_000 + "m" * 50_000,
        "x" + " offset 5m" * 9_000,
        "by (" * 25_000,
        "rate(x[5m]) by (y) " * 5_000,
        "#" * 100_000,
        '"' * 99_999,
    ],
    ids=lambda text: text[:20],
)
def test_hostile_texts_end_in_a_tree_or_an_error(text: str) -> None:
    assert len(text) <= 100_000
    try:
        query = promql.parse(text, experimental=True)
    except promql.ParseError:
        return
    assert promql.parse(query.pretty(), experimental=True).pretty() == query.pretty()
