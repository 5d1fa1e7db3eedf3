"""Of the spans that describe one call one counts, whatever their order and batches."""

import random

import pytest

from telemetry.counting import reasons
from telemetry.counting.lineage import Node, decide


def decided(*nodes: Node) -> dict[int, str]:
    return decide([*nodes])


def test_the_lowest_of_nested_calls_counts() -> None:
    wrapper, between, call = Node(1, None, "llm"), Node(2, 1, ""), Node(3, 2, "llm")
    assert decided(wrapper, between, call) == {1: reasons.COUNTED_BELOW, 2: reasons.OTHER, 3: ""}


def test_siblings_count_each() -> None:
    assert decided(Node(1, None, "agent", "a"), Node(2, 1, "llm"), Node(3, 1, "llm")) == {1: "", 2: "", 3: ""}


def test_a_wrapper_that_was_counted_before_its_call_came_stays_the_one() -> None:
    wrapper = Node(1, None, "llm", decided=True, counted=True)
    assert decided(wrapper, Node(2, 1, "llm"), Node(3, 1, "llm")) == {
        2: reasons.COUNTED_ABOVE,
        3: reasons.COUNTED_ABOVE,
    }


def test_a_call_that_was_counted_before_its_wrapper_came_stays_the_one_and_its_siblings_count_too() -> None:
    call = Node(2, 1, "llm", decided=True, counted=True)
    assert decided(call, Node(1, None, "llm")) == {1: reasons.COUNTED_BELOW}
    wrapper = Node(1, None, "llm", decided=True)
    assert decided(call, wrapper, Node(3, 1, "llm")) == {3: ""}


def test_both_ends_of_a_tool_call_and_the_framework_s_span_are_one_call() -> None:
    assert decided(Node(1, None, "tool", "add"), Node(2, 1, "tool", "add"), Node(3, 2, "tool", "add")) == {
        1: reasons.COUNTED_BELOW,
        2: reasons.COUNTED_BELOW,
        3: "",
    }


def test_a_tool_that_runs_an_agent_that_calls_the_same_tool_is_another_call() -> None:
    nodes = [Node(1, None, "tool", "t"), Node(2, 1, "agent", "a"), Node(3, 2, "tool", "t"), Node(4, 3, "agent", "a")]
    assert decided(*nodes) == {1: "", 2: "", 3: "", 4: ""}
    assert decided(Node(1, None, "tool", "a"), Node(2, 1, "tool", "b")) == {1: "", 2: ""}


def test_a_server_s_span_is_a_gateway_s_where_a_model_is_called_below_it() -> None:
    assert decided(Node(1, None, "server", "web"), Node(2, 1, ""), Node(3, 2, "llm")) == {
        1: "",
        2: reasons.OTHER,
        3: "",
    }
    assert decided(Node(1, None, "server", "web"), Node(2, 1, "tool", "t")) == {1: reasons.NO_CALL_BELOW, 2: ""}
    proxy = [Node(1, None, "server", "proxy"), Node(2, 1, "gateway", "proxy"), Node(3, 2, "llm")]
    assert decided(*proxy) == {1: reasons.COUNTED_BELOW, 2: "", 3: ""}


def test_a_span_that_repeats_usage_and_is_no_call_is_a_wrapper() -> None:
    assert decided(Node(1, None, "", has_usage=True)) == {1: reasons.WRAPPER}


def test_spans_in_a_circle_and_very_deep_ones_end() -> None:
    assert set(decided(Node(1, 2, "llm"), Node(2, 1, "llm"))) == {1, 2}
    chain = [Node(number, number - 1, "llm") for number in range(1, 5_000)]
    assert decided(*chain)[4_999] == ""


@pytest.mark.parametrize("seed", range(40))
def test_sums_are_the_same_in_any_order_and_batches_of_wrappers_and_calls(seed: int) -> None:
    """Wrappers repeat the sum of the calls below them; as long as each span's parent is
    known, each call counts once."""
    draw = random.Random(seed)
    parents: dict[int, int | None] = {1: None}
    for number in range(2, 12):
        parents[number] = draw.randrange(1, number)
    children = set(parents.values())
    usage = {number: 1 for number in parents if number not in children}
    for number in sorted(parents, reverse=True):
        usage[number] = usage.get(number, 0) or sum(usage[below] for below in parents if parents[below] == number)
    # A tree's spans come children first within a process; here batches are cut anywhere, and whole lines may come late.
    order = sorted(parents, reverse=draw.random() < 0.5)
    known: list[Node] = []
    total = 0
    while order:
        size = draw.randint(1, len(order))
        batch, order = [Node(number, parents[number], "llm") for number in order[:size]], order[size:]
        why = decide([*known, *batch])
        for node in batch:
            node.decided, node.counted = True, not why[node.span_id]
            total += usage[node.span_id] if node.counted else 0
        known += batch
    assert total == usage[1]
