"""Whether a template's expansion can differ while the labels stay the same."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.gotemplate.language.nodes import Branch, Dot, Field, Identifier, Node, Variable, below

CHANGING = frozenset(["query", "now"])


def depends_on_value(body: Iterable[Node]) -> bool:
    """By the value, or by what queries or the clock say. Other templates only see what they are called with."""
    waiting = [(node, True) for node in body]
    while waiting:
        node, at_root = waiting.pop()
        if _depends(node, at_root):
            return True
        if isinstance(node, Branch) and node.kind != "if":
            waiting.extend((one, False) for one in node.body)
            waiting.extend((one, at_root) for one in (node.pipeline, *(node.otherwise or [])))
        else:
            waiting.extend((one, at_root) for one in below(node))
    return False


def _depends(node: Node, at_root: bool) -> bool:
    """`at_root`: `.` is the alert's data, not what range or with set it to."""
    if isinstance(node, Variable):
        return node.name == "$value" or (node.name == "$" and node.names[:1] in ([], ["Value"]))
    if isinstance(node, Identifier):
        return node.name in CHANGING
    if isinstance(node, Field):
        return at_root and node.names[0] == "Value"
    return isinstance(node, Dot) and at_root
