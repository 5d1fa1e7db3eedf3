"""docs/promql.md says what the code does."""

from dataclasses import fields
from pathlib import Path

import promql

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "promql.md").read_text()


def test_every_limit_is_documented_with_its_default() -> None:
    for field in fields(promql.Limits):
        assert f"| `{field.name}` | {field.default:,g} |" in PAGE or f"| `{field.name}` | {field.default:,} |" in PAGE


def test_every_public_name_is_documented() -> None:
    missing = [name for name in promql.__all__ if name not in PAGE]
    assert not missing
