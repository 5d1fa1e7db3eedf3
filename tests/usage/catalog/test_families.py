"""The catalog against the specification of every metric."""

from pathlib import Path
from typing import Any

import yaml

from usage.catalog import BY_NAME, BY_SERIES, DEFAULT_BUCKETS, FAMILIES, KINDS

SPEC = Path(__file__).resolve().parents[2] / "documents/metrics.yaml"

# Offsets are part of what is stored: they may only be appended to. Whoever changes this list breaks every stored
# rollup.
LAYOUTS = {
    "llm_call": (
        "count prompt_tokens completion_tokens cached_tokens reasoning_tokens cost_usd unpriced duration "
        "rate_limit_delay latency"
    ),
    "tool_call": "count duration",
    "execution": "count duration",
    "gateway_request": "count duration",
    "registry_lookup": "count duration",
    "factory_create": "count duration",
    "gauge": "",
    "persist": "count duration",
}


def test_families_are_those_of_the_specification() -> None:
    spec: list[dict[str, Any]] = yaml.safe_load(SPEC.read_text())["families"]
    # Beside them what the portal measures of itself.
    named = [family.name for family in FAMILIES if not family.name.startswith("portal_")]
    assert named == [one["name"] for one in spec]
    for one in spec:
        family = BY_NAME[one["name"]]
        assert (family.type, list(family.labels)) == (one["type"], one["labels"]), one["name"]
        if family.type == "histogram":
            assert list(family.buckets) == one.get("buckets", list(DEFAULT_BUCKETS)), one["name"]
        if "help" in one:
            assert family.help == one["help"]
        for label in ("outcome", "error_type", "error_kind", "direction", "factory_type"):
            if label in one:
                assert list(family.values[label]) == one[label], one["name"]
        if "type_values" in one:
            assert list(family.values["type"]) == one["type_values"]


def test_stored_layouts_never_change() -> None:
    found = {
        name: " ".join(measure if isinstance(measure, str) else measure.name for measure in kind.measures)
        for name, kind in KINDS.items()
    }
    assert found == LAYOUTS
    assert KINDS["llm_call"].offsets["latency"] == 7 + 12 + 10
    assert KINDS["llm_call"].width == 43


def test_a_histogram_has_the_three_series_of_prometheus() -> None:
    assert BY_SERIES["mcp_tool_execute_seconds_bucket"].name == "mcp_tool_execute_seconds"
    assert "mcp_tool_execute_seconds" not in BY_SERIES
    assert len(BY_SERIES) == sum(3 if family.type == "histogram" else 1 for family in FAMILIES)
