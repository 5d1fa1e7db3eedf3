"""Charts over many label sets: the largest series, and the others together."""

import json
import math
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.records import Sender, call

pytestmark = pytest.mark.usefixtures("tables")
OTHERS = "4\u00a0others"


@pytest.fixture
def reader(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("reader"))
    return client


def many(sender: Sender) -> None:
    """Twelve models, of which the first has most calls; half of the usage of m0 is
    missing, and a third of that of m11."""
    calls, now = [], timezone.now()
    for number in range(12):
        for place in range(36 - 2 * number):
            at = now - timedelta(seconds=60 + 20 * place)
            record = call(at=at, model=f"m{number}", duration_seconds=0.2 if number < 8 else 20)
            if (number == 0 and place % 2) or (number == 11 and place % 3 == 0):
                del record["prompt_tokens"], record["completion_tokens"]
            calls.append(record)
    sender.post(calls)


def traces(reader: Client, panel: str) -> dict[str, list[float | None]]:
    """The last values of each trace of a panel's figure, by name."""
    answer = reader.get(f"/panels/{panel}.json?range=1h")
    assert answer.status_code == 200, answer.content
    return {one["name"]: one["y"] for one in json.loads(answer.content)["data"]}


def test_a_chart_draws_eight_series_and_the_true_ratio_of_the_others(sender: Sender, reader: Client) -> None:
    many(sender)
    drawn = traces(reader, "overview/coverage")
    # Where usage is missing comes first, then who has most calls.
    assert set(drawn) == {*(f"m{number}" for number in range(7)), "m11", OTHERS}
    assert {value for value in drawn[OTHERS] if value is not None} == {100.0}
    assert min(value for value in drawn["m0"] if value is not None) < 60


def test_the_others_are_the_rest_of_the_sum(sender: Sender, reader: Client) -> None:
    many(sender)
    drawn = traces(reader, "overview/tokens")
    assert len(drawn) == 9
    answer = reader.get("/panels/overview/tokens.csv?range=1h").content.decode().splitlines()
    header, last = answer[0].split(","), answer[-1].split(",")
    assert len(header) == 13, "the data have every series"
    everything = sum(float(cell) for cell in last[1:] if cell)
    assert sum(values[-1] or 0 for values in drawn.values()) == pytest.approx(everything, rel=1e-4)


def test_a_quantile_of_the_others_is_of_all_their_calls(sender: Sender, reader: Client) -> None:
    many(sender)
    drawn = traces(reader, "providers/latency")
    # m8 to m11 are slow, and no model of the eight largest is.
    assert max(value for value in drawn[OTHERS] if value is not None) > 10
    assert max(value for value in drawn["m0"] if value is not None) < 1


def test_few_series_are_drawn_as_they_are(sender: Sender, reader: Client) -> None:
    sender.post([call(at=timezone.now() - timedelta(minutes=minute), model=f"m{minute}") for minute in range(1, 9)])
    drawn = traces(reader, "overview/tokens")
    assert set(drawn) >= {"m1", "m8"}
    assert not any(math.isnan(value) for values in drawn.values() for value in values if value is not None)
    assert not any("others" in name for name in drawn)
