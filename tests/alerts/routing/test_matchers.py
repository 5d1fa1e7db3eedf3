"""Matchers: the forms that Alertmanager takes, and what they match."""

import pytest

from alerts.routing.matchers import Matcher, MatcherError, all_match, parse_matcher, parse_matchers, written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{foo="bar"}', [("foo", "=", "bar")]),
        ("foo=bar", [("foo", "=", "bar")]),
        ("foo = bar , baz != qux,", [("foo", "=", "bar"), ("baz", "!=", "qux")]),
        ('{foo=~"a|b", bar!~"c.*"}', [("foo", "=~", "a|b"), ("bar", "!~", "c.*")]),
        ('"foo bar"="x"', [("foo bar", "=", "x")]),
        ("größe=🙂", [("größe", "=", "🙂")]),
        (r'foo="a\"b\\c\nd"', [("foo", "=", 'a"b\\c\nd')]),
        (r'"\u00fc"="\x41"', [("ü", "=", "A")]),
        ('foo="a,b",bar=c', [("foo", "=", "a,b"), ("bar", "=", "c")]),
        ("foo=", [("foo", "=", "")]),
        ("foo=bar baz", [("foo", "=", "bar baz")]),
        (r"foo=~\d+", [("foo", "=~", r"\d+")]),
        ("{}", []),
    ],
)
def test_every_form_is_read(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert [(matcher.name, matcher.op, matcher.value) for matcher in parse_matchers(text)] == expected


@pytest.mark.parametrize(
    "text", ["foo", "=bar", '{foo="bar"', "foo=~(", '"a"="b" "c"="d"', 'foo="bar', 'foo==bar baz"']
)
def test_what_is_no_matcher_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(MatcherError, match=r"\w"):
        parse_matchers(text)


def test_one_matcher_is_asked_for_where_one_is_meant() -> None:
    assert str(parse_matcher("a=b")) == 'a="b"'
    with pytest.raises(MatcherError, match="must be one matcher"):
        parse_matcher("a=b,c=d")


def test_regexes_are_fully_anchored_and_a_missing_label_is_empty() -> None:
    assert not Matcher("a", "=~", "b").matches({"a": "abc"})
    assert Matcher("a", "=~", "b|abc").matches({"a": "abc"})
    assert Matcher("a", "=", "").matches({})
    assert Matcher("a", "=~", ".*").matches({})
    assert not Matcher("a", "=~", ".+").matches({})
    assert Matcher("a", "!=", "x").matches({})
    assert Matcher("a", "!~", "x").matches({})
    assert all_match(parse_matchers("a=1,b!=2"), {"a": "1"})


def test_they_are_written_sorted_and_names_that_need_it_are_quoted() -> None:
    assert written(parse_matchers('z=1,"a b"=~"x"')) == '{"a b"=~"x",z="1"}'
