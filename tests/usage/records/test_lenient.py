"""2: null is absent, and numbers and times are taken in other forms where nothing can be misread."""

from typing import Any

import msgspec
import pytest

from tests.records import NOW, Sender, call, rows
from usage.records.records import AnyRecord, LlmCall, decode

pytestmark = pytest.mark.usefixtures("fixed_time")

EVERY_KIND: list[dict[str, Any]] = [
    {"kind": "llm_call"},
    {"kind": "tool_call"},
    {"kind": "execution"},
    {"kind": "gateway_request"},
    {"kind": "registry_lookup"},
    {"kind": "factory_create"},
    {"kind": "gauge", "metric": "gateway_active_connections", "labels": {"gateway_id": "g"}, "value": 1},
]


def kept() -> list[tuple[Any, ...]]:
    return rows(
        "SELECT d.labels - 'workspace', r.trace_id, r.prompt_tokens, r.duration_seconds, r.at FROM usage_record r"
        " JOIN usage_dimension d ON d.id = r.dimension_id ORDER BY r.id"
    )


@pytest.mark.parametrize("record", EVERY_KIND, ids=lambda record: record["kind"])
def test_every_field_that_is_null_is_as_one_that_is_not_there(sender: Sender, record: dict[str, Any]) -> None:
    [kind] = [one for one in AnyRecord.__args__ if one.__struct_config__.tag == record["kind"]]  # type: ignore[attr-defined]
    nulls = {name: None for name in kind.__struct_encode_fields__ if name not in record}
    at = {"at": NOW.timestamp()}
    answer = sender.post([{**record, **at}, {**record, **nulls, **at}]).json()
    assert (answer["accepted"], answer["rejected"]) == (2, [])
    first, second = kept()
    assert first == second


def test_null_where_a_value_is_required_is_refused(sender: Sender) -> None:
    answer = sender.post([{"kind": "gauge", "metric": None, "value": 1}, {"kind": None}]).json()
    assert [one["field"] for one in answer["rejected"]] == ["metric", "kind"]


@pytest.mark.parametrize(
    "at",
    [
        NOW.timestamp(),
        str(int(NOW.timestamp())),
        f"{NOW.timestamp()}",
        int(NOW.timestamp() * 1e3),
        int(NOW.timestamp() * 1e6),
        str(int(NOW.timestamp())) + "000000000",
        "2026-03-02T10:07:30Z",
        "2026-03-02 10:07:30.000000000+00:00",
        "20260302T110730+0100",
        "2026-03-02T10:07:30+00",
        "Mon, 02 Mar 2026 10:07:30 GMT",
    ],
    ids=str,
)
def test_a_time_in_every_usual_form_is_taken(sender: Sender, at: Any) -> None:
    answer = sender.post(call(at=at)).json()
    assert answer["rejected"] == []
    assert kept()[0][-1] == NOW


@pytest.mark.parametrize(
    "at", ["2026-03-02T10:07:30", "2026-03-02", "02/03/2026 10:07 Z", "now", "", "Mon, 02 Mar 2026 10:07:30"]
)
def test_a_time_that_may_mean_two_moments_is_refused(sender: Sender, at: str) -> None:
    answer = sender.post(call(at=at)).json()
    assert [one["field"] for one in answer["rejected"]] == ["at"]


def test_numbers_as_digits_are_taken_and_the_records_beside_them_too(sender: Sender) -> None:
    answer = sender.post([call(), call(prompt_tokens="7", duration_seconds="0.25", cost_usd="1e-3"), call()]).json()
    assert answer["accepted"] == 3
    assert sorted(row[2:4] for row in kept()) == [(7, 0.25), (100, 1.5), (100, 1.5)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("prompt_tokens", value) for value in ("1,000", "1.5", "-1", "+1", " 1", "0x10", "", "many", "9" * 30, "٣")),
        *(("cost_usd", value) for value in ("1,5", "nan", "inf", "$1", "1e999", "-1", "1_0")),
    ],
)
def test_what_is_no_number_for_sure_is_refused(sender: Sender, name: str, value: str) -> None:
    answer = sender.post([call(**{name: value}), call()]).json()
    assert answer["accepted"] == 1
    assert [one["field"] for one in answer["rejected"]] == [name]


def test_texts_of_digits_stay_texts() -> None:
    record = {"kind": "llm_call", "model": "4", "prompt_tokens": "5", "attributes": {"n": "6"}}
    [read] = decode(msgspec.json.encode(record)).records
    assert isinstance(read, LlmCall)
    assert (read.model, read.prompt_tokens, read.attributes) == ("4", 5, {"n": "6"})
