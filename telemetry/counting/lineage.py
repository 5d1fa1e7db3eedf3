"""Which spans of a trace count: of the spans that tell of one call, one.

A call has several spans where instrumented libraries wrap each other (LangChain around OpenAI's client), where a client
and a server both send spans (an application and its LLM proxy, both ends of MCP), and where an agent's span repeats the
sum of its calls. Such spans lie in one line of descent:

- an `llm` span tells of the same call as every llm span above it;
- a `tool` span as the tool spans of the same name above it, up to a model call or an agent's run between them,
  which made a call of its own;
- an `agent` span as the agent spans of the same name above it, up to a call between them;
- a `gateway` span as the gateway spans of the same service above it. A server's span is a gateway's where an llm
  span is below it.

Of each line the lowest span counts, as it is the nearest to the work: whether a span counts depends on the spans
below it only. Spans of one trace may come in several batches, in any order, and a span is decided once those below
it have had time to arrive (telemetry.deciding). What has been counted stays counted: whoever comes later still to a
line that counts already does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from telemetry.conventions.kinds import Kind
from telemetry.counting import reasons

DEEPEST = 200  # levels of spans that are looked through: real traces have some dozens


class Node(msgspec.Struct, gc=False):
    """A span among those of its trace. `name` tells calls of one kind apart; `counted`
    is what one became that is `decided`."""

    span_id: int
    parent_id: int | None
    kind: Kind
    name: str = ""
    has_usage: bool = False
    decided: bool = False
    counted: bool = False


def decide(nodes: Sequence[Node]) -> dict[int, str]:
    """For each span of a trace that is not decided why it does not count, "" for those that do; by span id."""
    by_id = {node.span_id: node for node in nodes}
    calls = [node for node in nodes if node.kind]
    covered: set[int] = set()  # spans of whose call a span below them counts
    for node in calls:
        if node.counted:
            covered.update(one.span_id for one in same_call(node, by_id, covered))
    with_model = above_models(calls, by_id)
    found: dict[int, str] = {}
    # The lowest first: what it counts covers the spans above it.
    for node in lowest_first([node for node in nodes if not node.decided], by_id):
        if not node.kind:
            found[node.span_id] = reasons.WRAPPER if node.has_usage else reasons.OTHER
        elif node.kind == "server" and node.span_id not in with_model:
            found[node.span_id] = reasons.NO_CALL_BELOW
        elif node.span_id in covered:
            found[node.span_id] = reasons.COUNTED_BELOW
        else:
            above = [*same_call(node, by_id, covered)]
            counts = not any(one.counted for one in above)
            found[node.span_id] = "" if counts else reasons.COUNTED_ABOVE
            if counts:
                covered.update(one.span_id for one in above)
    return found


def ancestors(node: Node, by_id: Mapping[int, Node]) -> Iterator[Node]:
    """The spans above a span, as far as they are known; each once, also where ids go in a circle."""
    seen = {node.span_id}
    while node.parent_id is not None and node.parent_id not in seen and len(seen) < DEEPEST:
        above = by_id.get(node.parent_id)
        if above is None:
            return
        seen.add(above.span_id)
        yield above
        node = above


def lowest_first(nodes: Sequence[Node], by_id: Mapping[int, Node]) -> Sequence[Node]:
    """Spans by how many spans are known to lie above them, most first."""
    depths: dict[int, int] = {}
    for node in nodes:
        line = [node]
        for above in ancestors(node, by_id):
            if above.span_id in depths:
                break
            line.append(above)
        known = depths.get(line[-1].parent_id or 0, -1)
        for place, one in enumerate(reversed(line), known + 1):
            depths.setdefault(one.span_id, place)
    return sorted(nodes, key=lambda one: -depths[one.span_id])


def above_models(calls: Sequence[Node], by_id: Mapping[int, Node]) -> set[int]:
    """The spans below which a model is called; looked for where a server's span asks."""
    found: set[int] = set()
    if any(node.kind == "server" for node in calls):
        for node in calls:
            if node.kind == "llm":
                for above in ancestors(node, by_id):
                    if above.span_id in found:
                        break
                    found.add(above.span_id)
    return found


GATEWAYS = ("gateway", "server")


def same_call(node: Node, by_id: Mapping[int, Node], covered: set[int]) -> Iterator[Node]:
    """The spans above a span that describe the same call, up to the first one that is
    covered: those above it are too."""
    gateway = node.kind in GATEWAYS
    for above in ancestors(node, by_id):
        same = above.kind in GATEWAYS if gateway else above.kind == node.kind
        if same and above.name == node.name:
            if above.span_id in covered:
                return
            yield above
        elif node.kind in ("tool", "agent") and above.kind in ("llm", "tool", "agent"):
            return
