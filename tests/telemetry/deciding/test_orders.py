"""Of the spans of a trace the same ones count in whatever order and batches they arrive, as long as
all are there when the first is decided."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.conventions.kinds import Kind
from telemetry.counting.lineage import Node, decide
from telemetry.ingest.spans import node_of, row_of
from telemetry.otlp import protobuf
from tests.telemetry.conftest import BODIES

TRACES = sorted(path.name for path in BODIES.glob("*-traces.bin"))
KINDS: list[Kind] = ["llm", "llm", "tool", "agent", "gateway", "server", ""]
# How long an example takes says what else the machine does.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
MAX_SPLIT = 6  # spans of a trace of which every order of every split is tried: 4,683


def fresh(nodes: Sequence[Node]) -> list[Node]:
    return [Node(one.span_id, one.parent_id, one.kind, one.name, one.has_usage) for one in nodes]


def at_once(nodes: Sequence[Node]) -> set[int]:
    return {span for span, why in decide(fresh(nodes)).items() if not why}


def one_after_another(nodes: Sequence[Node], batches: Sequence[Sequence[int]]) -> set[int]:
    """What counts where the batches, places among the nodes, are decided one after another."""
    known = fresh(nodes)
    for batch in batches:
        why = decide(known)
        for place in batch:
            node = known[place]
            node.decided, node.counted = True, not why[node.span_id]
    return {node.span_id for node in known if node.counted}


def ordered_splits(places: tuple[int, ...]) -> Iterator[list[tuple[int, ...]]]:
    """Every way to cut places into batches, in every order of these."""
    if not places:
        yield []
    for chosen in range(1, 2 ** len(places)):
        first = tuple(place for number, place in enumerate(places) if chosen >> number & 1)
        for rest in ordered_splits(tuple(place for place in places if place not in first)):
            yield [first, *rest]


def captured(name: str) -> list[list[Node]]:
    """The traces of a body."""
    found: dict[bytes, list[Node]] = {}
    for raw in protobuf.spans((BODIES / name).read_bytes()):
        found.setdefault(raw.trace_id, []).append(node_of(row_of(raw)))
    return [*found.values()]


@pytest.mark.parametrize("name", TRACES)
def test_every_split_of_every_small_captured_trace_counts_as_all_of_it_at_once(name: str) -> None:
    for nodes in captured(name):
        if len(nodes) <= MAX_SPLIT:
            truth = at_once(nodes)
            for batches in ordered_splits(tuple(range(len(nodes)))):
                assert one_after_another(nodes, batches) == truth


@pytest.mark.parametrize("name", TRACES)
@PATIENT
@given(draw=st.data())
def test_any_split_of_any_captured_trace_counts_as_all_of_it_at_once(name: str, draw: st.DataObject) -> None:
    for nodes in captured(name):
        assert one_after_another(nodes, draw.draw(splits(len(nodes)))) == at_once(nodes)


def splits(count: int) -> st.SearchStrategy[list[list[int]]]:
    """Some order of some split of so many spans."""
    orders = st.permutations(range(count))
    cuts = st.lists(st.booleans(), min_size=count, max_size=count)

    def cut(given: tuple[list[int], list[bool]]) -> list[list[int]]:
        batches: list[list[int]] = []
        for place, begins in zip(*given, strict=True):
            if begins or not batches:
                batches.append([])
            batches[-1].append(place)
        return batches

    return st.tuples(orders, cuts).map(cut)


@st.composite
def trees(draw: st.DrawFn) -> list[Node]:
    """Invented traces: trees of any kinds of spans, some of whose parents never arrive."""
    count = draw(st.integers(1, 14))
    nodes = []
    for number in range(1, count + 1):
        parent = draw(st.integers(0, number - 1)) or (None if number == 1 else 99)
        kind = draw(st.sampled_from(KINDS))
        nodes.append(Node(number, parent, kind, "" if kind == "llm" else draw(st.sampled_from("ab"))))
    return nodes


@PATIENT
@given(nodes=trees(), draw=st.data())
def test_any_split_of_any_tree_counts_as_all_of_it_at_once(nodes: list[Node], draw: st.DataObject) -> None:
    assert one_after_another(nodes, draw.draw(splits(len(nodes)))) == at_once(nodes)
