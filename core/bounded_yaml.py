"""YAML of strangers: merge keys cannot make more of a small text than may be kept in memory."""

from __future__ import annotations

import yaml

MAX_MERGED = 100_000


class BoundedLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which fails with a YAMLError once merged mappings have more
    than `MAX_MERGED` pairs together.

    A list of aliases under `<<` has all pairs of each, so that a few lines of such lists
    in one another would make millions.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._left = MAX_MERGED

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Replace the merge keys of a mapping by the pairs that they stand for."""
        super().flatten_mapping(node)
        self._left -= len(node.value)
        if self._left < 0:
            raise yaml.YAMLError(f"its merge keys make more than {MAX_MERGED:,} values")
