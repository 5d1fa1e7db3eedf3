"""Heavy pages and queries answer 503 with Retry-After while all slots are taken; ingest has none to wait for."""

from collections.abc import Callable

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import resolve

from core.heavy import Slots, heavy, is_heavy
from portal.shell.slots import SAID, SlotsMiddleware


@heavy
def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse("done")


@pytest.fixture
def middleware() -> SlotsMiddleware:
    found = SlotsMiddleware(lambda request: HttpResponse())
    found.slots = Slots(1, 2, seconds=0)
    return found


def test_a_heavy_view_runs_in_a_slot(middleware: SlotsMiddleware) -> None:
    answer = middleware.process_view(RequestFactory().get("/"), view, (), {})
    assert answer is not None
    assert answer.content == b"done"
    light: Callable[..., HttpResponse] = lambda request: HttpResponse()  # noqa: E731 - a view without a mark
    assert middleware.process_view(RequestFactory().get("/"), light, (), {}) is None


@pytest.mark.parametrize(("accept", "text"), [("*/*", SAID), ("text/html,*/*", "Too many queries at once")])
def test_without_a_free_slot_the_client_is_asked_to_come_back(
    middleware: SlotsMiddleware, accept: str, text: str
) -> None:
    with middleware.slots.taken():
        answer = middleware.process_view(RequestFactory().get("/", headers={"Accept": accept}), view, (), {})
    assert answer is not None
    assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert text in answer.content.decode()


@pytest.mark.parametrize(
    ("path", "marked"),
    [
        ("/explore/", True),
        ("/explore/figure.json", True),
        ("/panels/overview/latency.json", True),
        ("/api/v1/query", True),
        ("/api/v1/query_range", True),
        ("/rules/1/", True),
        ("/api/v1/usage", False),
        ("/", False),
        ("/alerts/", False),
    ],
)
def test_what_takes_any_query_is_heavy_and_ingest_is_not(path: str, marked: bool) -> None:
    assert is_heavy(resolve(path).func) is marked
