"""Django's admin of records, series, keys and prices."""

import json

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.accounts import keys
from tests.people import People, browser_of, make_people
from usage.ingest import pipeline
from usage.models import Price, Record
from usage.store import downsampling

READ_ONLY = (
    "record",
    "receipt",
    "rollup15s",
    "rollup5m",
    "rollup1h",
    "gaugesample",
    "dimension",
    "total",
    "deadletter",
)


@pytest.fixture
def people(tables: None) -> People:
    return make_people()


def send(people: People, count: int) -> None:
    """Records of now."""
    key, _ = keys.create_key("app", people.production)
    caller = keys.Caller(key.pk, people.production.pk, "production", frozenset({"ingest"}))
    record = {"kind": "llm_call", "provider": "openai", "model": "gpt-5", "outcome": "success", "prompt_tokens": 5}
    now = timezone.now()
    pipeline.ingest(json.dumps([record] * count).encode(), caller, now.timestamp())
    downsampling.downsample(now)


def test_every_model_is_there_and_opens(people: People) -> None:
    send(people, 3)
    browser = browser_of(people.admin)
    for model in apps.get_app_config("usage").get_models():
        assert admin.site.is_registered(model), model
        page = browser.get(f"/admin/usage/{model._meta.model_name}/")
        assert page.status_code == 200, model


@pytest.mark.parametrize("name", READ_ONLY)
def test_what_the_portal_writes_cannot_be_changed_here(people: People, name: str) -> None:
    assert browser_of(people.admin).get(f"/admin/usage/{name}/add/").status_code == 403


def test_a_growing_table_is_listed_without_counting_it(people: People) -> None:
    send(people, 60)
    with CaptureQueriesContext(connection) as found:
        page = browser_of(people.admin).get("/admin/usage/record/")
    assert page.context["cl"].result_count == Record.objects.count() == 60
    assert not [query["sql"] for query in found if "COUNT(*)" in query["sql"] and "usage_record" in query["sql"]]


def test_a_price_that_is_changed_here_is_used_at_once(people: People) -> None:
    browser = browser_of(people.admin)
    fields = {"provider": "acme", "model": "m", "input_usd": "2", "output_usd": "0"}
    browser.post("/admin/usage/price/add/", {**fields, "valid_from_0": "2026-01-01", "valid_from_1": "00:00"})
    assert Price.objects.get().created_by == people.admin


def test_a_key_shows_neither_digest_nor_an_add_button(people: People) -> None:
    key, _ = keys.create_key("app", people.production)
    browser = browser_of(people.admin)
    assert key.digest not in browser.get(f"/admin/accounts/apikey/{key.pk}/change/").content.decode()
    assert browser.get("/admin/accounts/apikey/add/").status_code == 403


def test_only_staff_comes_in(people: People) -> None:
    for person in (people.owner, people.outsider):
        assert browser_of(person).get("/admin/usage/record/").status_code == 302
    assert Client().get("/admin/").status_code == 302
