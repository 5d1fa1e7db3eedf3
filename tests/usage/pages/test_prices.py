"""The pages of prices: models without one come first, and an operator's price is used from then on."""

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.accounts import keys
from tests.people import People, browser_of, make_platform_people
from usage.ingest import pipeline
from usage.models import Price
from usage.records.pricing import operator
from usage.store import downsampling


@pytest.fixture
def people(tables: None) -> People:
    return make_platform_people()


def send(people: People, *models: tuple[str, str]) -> None:
    """A call of each model in production, a million prompt tokens each."""
    key, _ = keys.create_key("app", people.production)
    caller = keys.Caller(key.pk, people.production.pk, "production", frozenset({"ingest"}))
    records = [
        {"kind": "llm_call", "provider": provider, "model": model, "outcome": "success", "prompt_tokens": 1_000_000}
        for provider, model in models
    ]
    now = timezone.now()
    pipeline.ingest(json.dumps(records).encode(), caller, now.timestamp())
    downsampling.downsample(now)


def text_of(answer: Any) -> str:
    """The page with single spaces, as a browser shows it; a no-break space stays."""
    return re.sub(r"[ \n]+", " ", answer.content.decode())


def typed(**changes: object) -> dict[str, object]:
    fields = {"provider": "acme", "model": "llama-*", "input_usd": "0.5", "output_usd": "1.5", "cached_usd": ""}
    return {**fields, "valid_from": "2026-01-01 00:00", **changes}


def test_models_without_a_price_come_first_with_their_calls(people: People) -> None:
    send(people, ("openai", "gpt-5"), ("acme", "llama-4"))
    answer = browser_of(people.teammate).get("/prices/")
    models = answer.context["models"].rows
    assert [(one.model, one.calls, one.unpriced, one.source) for one in models] == [
        ("llama-4", 1, 1, ""),
        ("gpt-5", 1, 0, "genai-prices:openai/gpt-5"),
    ]
    assert models[1].input_usd == pytest.approx(1.25)
    assert "1 model with calls that no price was known for" in text_of(answer)
    assert "Add a price" not in text_of(answer)


def test_models_of_other_workspaces_are_not_shown(people: People) -> None:
    send(people, ("acme", "secret-model"))
    assert "secret-model" in text_of(browser_of(people.owner).get("/prices/"))
    assert "secret-model" not in text_of(browser_of(people.outsider).get("/prices/"))
    assert Client().get("/prices/").status_code == 302


def test_a_price_that_is_added_prices_what_comes_next(people: People) -> None:
    owner = browser_of(people.owner)
    filled = text_of(owner.get("/prices/new/?provider=acme&model=llama-4"))
    assert 'value="llama-4"' in filled
    owner.post("/prices/new/", typed())
    price = Price.objects.get()
    assert price.created_by == people.owner
    send(people, ("acme", "llama-4"))
    model = owner.get("/prices/").context["models"].rows[0]
    assert (model.cost_usd, model.unpriced, model.price_id) == (0.5, 0, price.pk)
    assert (model.input_usd, model.cached_usd, model.output_usd) == pytest.approx((0.5, 0.5, 1.5))


def test_a_price_is_changed_and_deleted(people: People) -> None:
    owner = browser_of(people.owner)
    owner.post("/prices/new/", typed())
    price = Price.objects.get()
    owner.post(f"/prices/{price.pk}/", typed(input_usd="0.7"))
    price.refresh_from_db()
    assert (price.input_usd, price.created_by) == (0.7, people.owner)
    assert owner.get(f"/prices/{price.pk}/delete").status_code == 405
    owner.post(f"/prices/{price.pk}/delete")
    assert not Price.objects.exists()


@pytest.mark.parametrize(("field", "value"), [("input_usd", "-1"), ("input_usd", "dear"), ("valid_from", "later")])
def test_a_wrong_price_is_said_and_what_was_typed_is_kept(people: People, field: str, value: str) -> None:
    answer = browser_of(people.owner).post("/prices/new/", typed(**{field: value}))
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert f'value="{value}"' in text_of(answer)
    assert not Price.objects.exists()


def test_only_operators_change_prices(people: People) -> None:
    browser_of(people.owner).post("/prices/new/", typed())
    price = Price.objects.get()
    for path in ("/prices/new/", f"/prices/{price.pk}/", f"/prices/{price.pk}/delete"):
        assert browser_of(people.teammate).post(path, typed()).status_code == 403
        assert Client().post(path, typed()).status_code == 302
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(people.owner)
        assert strict.post(path, typed()).status_code == 403
    assert Price.objects.count() == 1


def test_who_operates_one_workspace_of_several_changes_no_shared_price(people: People) -> None:
    browser_of(people.owner).post("/prices/new/", typed())
    price, outsider = Price.objects.get(), browser_of(people.outsider)
    shown = text_of(outsider.get("/prices/"))
    assert "llama-*" in shown
    assert "/prices/new/" not in shown
    assert f"/prices/{price.pk}/" not in shown
    for path in ("/prices/new/", f"/prices/{price.pk}/", f"/prices/{price.pk}/delete"):
        answer = outsider.post(path, typed())
        assert answer.status_code == 403
        assert "operator of every workspace" in text_of(answer)
    assert Price.objects.get() == price


def test_queries_stay_flat_as_models_and_prices_grow(people: People) -> None:
    owner = browser_of(people.owner)

    def queries() -> int:
        operator.forget()
        with CaptureQueriesContext(connection) as found:
            assert owner.get("/prices/").status_code == 200
        return len(found)

    send(people, ("acme", "m0"))
    owner.post("/prices/new/", typed(model="m0"))
    few = queries()
    send(people, *(("acme", f"m{number}") for number in range(1, 9)))
    for number in range(1, 6):
        owner.post("/prices/new/", typed(model=f"m{number}"))
    assert queries() == few


def test_a_price_of_output_is_asked_for_and_not_taken_for_free(people: People) -> None:
    browser = browser_of(people.owner)
    shown = browser.get("/prices/new/")
    assert shown.context["form"]["output_usd"].value() is None
    answer = browser.post("/prices/new/", typed(output_usd=""))
    assert "This field is required" in text_of(answer)
    assert 'value="0.5"' in text_of(answer), "what was typed stays"
    assert not Price.objects.exists()
