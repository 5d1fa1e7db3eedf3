"""docs/promql.md says what the code does."""

import re
from dataclasses import fields
from pathlib import Path

import promql
from tests.promql.casefile import read_cases

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "promql.md").read_text()


def test_every_limit_is_documented_with_its_default() -> None:
    for field in fields(promql.Limits):
        assert f"| `{field.name}` | {field.default:,g} |" in PAGE or f"| `{field.name}` | {field.default:,} |" in PAGE


def test_every_public_name_is_documented() -> None:
    missing = [name for name in promql.__all__ if name not in PAGE]
    assert not missing


def test_every_point_names_a_case_that_is_there() -> None:
    section = PAGE.partition("## Prometheus 3, point by point")[2].partition("\n## ")[0]
    named = re.findall(r"^\| [^|]+ \| `(\w+\.test)` \| `([^|]+)` \|$", section, re.M)
    cases = Path(__file__).parent / "cases"
    there = {(path.name, case.expr) for path in cases.glob("*.test") for case in read_cases(path)}
    assert len(named) > 20
    assert set(named) <= there
