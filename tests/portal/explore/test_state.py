"""What the URL says, and what the buttons make of it."""

import pytest
from django.http import QueryDict

from core.ui.time_range import HOUR, TimeRange
from portal.explore.state import parse_state, step_of

DAY = TimeRange(0, 24 * HOUR)


def test_a_state_reads_back_from_its_own_url() -> None:
    text = "q=a&q=b%0A%2B+c&hide=B&step=5m&tab=table&sort=-value&range=7d&workspace=production"
    assert parse_state(QueryDict(text)).query_string == text


def test_there_is_always_a_query_and_never_more_than_letters() -> None:
    assert [one.text for one in parse_state(QueryDict("")).queries] == [""]
    assert len(parse_state(QueryDict("&".join("q=x" for _ in range(30)))).queries) == 8


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("add", "q=a&q=b&q=&hide=B"),
        ("hide-A", "q=a&q=b&hide=A&hide=B"),
        ("show-B", "q=a&q=b"),
        ("remove-A", "q=b&hide=A"),
        ("remove-Z", "q=a&q=b&hide=B"),
        ("nonsense", "q=a&q=b&hide=B"),
        ("tab-table", "q=a&q=b&hide=B&tab=table"),
        ("tab-nonsense", "q=a&q=b&hide=B"),
    ],
)
def test_a_button_changes_the_state(action: str, expected: str) -> None:
    assert parse_state(QueryDict("q=a&q=b&hide=B")).changed([action]).query_string == expected


def test_buttons_pressed_one_after_the_other_mean_the_letters_that_were_shown() -> None:
    state = parse_state(QueryDict("q=a&q=b&q=c&hide=B"))
    assert state.changed(["remove-A", "show-B", "hide-C", "add"]).query_string == "q=b&q=c&q=&hide=B"
    assert state.changed(["remove-A", "remove-B", "remove-C"]).query_string == "q="


def test_an_empty_box_at_the_end_changes_no_answer() -> None:
    assert parse_state(QueryDict("q=a&q=&q=")).asked_string == "q=a"
    assert parse_state(QueryDict("q=&q=b&q=")).asked_string == "q=&q=b"


@pytest.mark.parametrize(
    ("text", "ms"), [("", 300_000), ("auto", 300_000), ("1m", 60_000), ("90", 90_000), ("1h30m", 5_400_000)]
)
def test_a_step_that_can_be_used(text: str, ms: int) -> None:
    assert (step_of(text, DAY).ms, step_of(text, DAY).problem) == (ms, "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("often", "“often” is no step; write 30s, 5m, 1h or a number of seconds."),
        ("-5", "A step is longer than nothing."),
        (
            "1s",
            "A step of 1s makes 86,401 points of this range, and at most 11,000 are allowed: take 8 s or more, or a"
            " shorter range.",
        ),
    ],
)
def test_a_step_that_cannot_be_used_says_why(text: str, problem: str) -> None:
    step = step_of(text, DAY)
    assert (step.ms, step.problem) == (300_000, problem)


def test_the_step_that_is_advised_is_allowed() -> None:
    assert step_of("8s", DAY).problem == ""
    assert step_of("7s", DAY).problem != ""
