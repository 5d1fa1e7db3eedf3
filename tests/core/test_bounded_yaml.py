"""A small text cannot become a large document."""

import pytest
import yaml

from alerts.rulefiles.document import Document, FileError
from alerts.rules.simple import SimpleRuleError, parse_rules
from core.bounded_yaml import BoundedLoader

BOMB = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{number}: &a{number}\n  <<: [{', '.join([f'*a{number - 1}'] * 6)}]\n" for number in range(1, 12)
)


def test_merge_keys_are_followed() -> None:
    assert yaml.load("a: &a {x: 1}\nb: {<<: *a, y: 2}", BoundedLoader)["b"] == {"x": 1, "y": 2}  # noqa: S506 - it is safe


def test_merge_keys_cannot_multiply_without_end() -> None:
    with pytest.raises(yaml.YAMLError, match="merge keys make more than"):
        yaml.load(BOMB, BoundedLoader)  # noqa: S506 - it is safe


def test_files_of_rules_with_such_keys_are_refused() -> None:
    with pytest.raises(FileError, match="merge keys make more than"):
        Document(BOMB, "rules.yml").data()
    with pytest.raises(SimpleRuleError, match="merge keys make more than"):
        parse_rules(BOMB)
    with pytest.raises(SimpleRuleError, match="not YAML"):
        parse_rules("- name: 2024-13-45")
