"""Long lists: searched and paged by the URL."""

from django.http import QueryDict

from core.ui.listing import Listing, listing

ROWS = [f"model-{number:03}" for number in range(60)]


def asked(query: str) -> Listing[str]:
    return listing(ROWS, QueryDict(query), lambda row: row)


def test_a_page_holds_25_rows_and_says_which() -> None:
    page = asked("page=3&sort=cost&part=live")
    assert (page.rows, page.first, page.last, page.total) == (ROWS[50:], 51, 60, 60)
    assert (page.previous, page.following, page.is_long) == (2, None, True)
    assert page.kept == [("sort", "cost")]


def test_text_finds_rows_whatever_its_case() -> None:
    page = asked("text=+MODEL-01+")
    assert (page.rows, page.matching, page.following) == (ROWS[10:20], 10, None)
    assert asked("text=nothing").rows == []


def test_a_page_that_is_not_there_is_the_nearest_one() -> None:
    assert [asked(f"page={page}").number for page in ("0", "-1", "x", "9", "9" * 40)] == [1, 1, 1, 3, 1]
