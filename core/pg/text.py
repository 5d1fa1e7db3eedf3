"""Text that Postgres can keep: it stores neither NUL nor a lone surrogate, which PromQL and
templates can make of bytes that are no UTF-8."""

from __future__ import annotations

import re
from collections.abc import Mapping

REPLACEMENT = "\ufffd"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with U+FFFD in place of each character that Postgres refuses."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def storable_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels or annotations whose names and values can be kept."""
    return {storable(name): storable(value) for name, value in labels.items()}
