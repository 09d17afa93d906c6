from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from export.graph import GraphBuilder
from export.quantise import Material, flow, quantised, scheme_for, static
from export.quantise.flow import rounded_once
from export.quantise.graphs import copied, sort, users
from export.quantise.scheme import GATED
from tests.export.quantise.toys import SIDE, images, nodes, outputs

SCHEME = replace(scheme_for("x86"), operations=GATED)


def branched() -> Any:
    """A convolution whose result is added to its own convolution and joined with it, before a last one."""
    random = np.random.default_rng(3)
    graph = GraphBuilder("branched")
    value = graph.input("images", np.float32, ("batch", 3, SIDE, SIDE))

    def convolved(value: str, name: str, channels: int) -> str:
        weight = random.normal(0, 0.3, (4, channels, 3, 3)).astype(np.float32)
        made = graph.node("Conv", [value, graph.constant(f"{name}/weight", weight)], name, pads=[1, 1, 1, 1])
        gate = graph.node("Sigmoid", [made], f"{name}/gate")
        return graph.node("Mul", [made, gate], f"{name}/silu")

    first = convolved(value, "first", 3)
    second = convolved(first, "second", 4)
    total = graph.node("Add", [first, second], "sum")
    inner = graph.node("Concat", [total, second], "inner", axis=1)
    joined = graph.node("Concat", [first, inner], "joined", axis=1)
    last = convolved(joined, "last", 12)
    graph.output(last, np.float32, ("batch", 4, SIDE, SIDE))
    return graph.model()


def form() -> Any:
    """It in int8 for processors."""
    return quantised(Material(branched(), images(8)).ranges(), SCHEME)


def makers(model: Any) -> dict[str, Any]:
    """Nodes by the values that they make."""
    return {value: node for node in model.graph.node for value in node.output}


def test_sums_read_exact_values() -> None:
    """What is added in float comes straight from the activations, not from their rounded forms."""
    model = form()
    (total,) = nodes(model, "Add")
    made = makers(model)
    assert {made[name].op_type for name in total.input} <= {"QuickGelu", "Mul"}


def test_joins_before_int8_join_bytes() -> None:
    """Every value that a join takes is rounded by one scale, through a join of joins too."""
    model = form()
    made, joins = makers(model), nodes(model, "Concat")
    sources = [made[name] for join in joins for name in join.input]
    assert len(joins) == 2
    assert {node.op_type for node in sources} == {"QuantizeLinear", "Concat"}
    assert len({tuple(node.input[1:]) for node in sources if node.op_type == "QuantizeLinear"}) == 1


def test_a_join_that_is_read_unrounded_stays() -> None:
    """A join whose result is also an output of the graph goes on joining floats."""
    graph = GraphBuilder("small")
    value = graph.input("images", np.float32, ("batch", 3, SIDE, SIDE))
    joined = graph.node("Concat", [value, value], "joined", axis=1)
    step = [graph.constant("step", np.float32(0.01)), graph.constant("zero", np.uint8(0))]
    graph.output(joined, np.float32, ("batch", 6, SIDE, SIDE))
    graph.output(graph.node("QuantizeLinear", [joined, *step], "bytes"), np.uint8, ("batch", 6, SIDE, SIDE))
    model = graph.model()
    again = copied(model)
    rounded_once(again, GATED)
    assert again == model


def raw() -> Any:
    """The quantiser's own form, each value read as it was rounded."""
    ranges = Material(branched(), images(8)).ranges()
    made = static._with_qdq(copied(ranges.model), ranges.tensors, SCHEME, [])
    sort(made)
    return made


def test_joining_bytes_changes_no_result() -> None:
    """Rounding before a join in place of after it gives the very same outputs."""
    exact = raw()
    flow._read_unrounded(exact, GATED)
    whole = raw()
    rounded_once(whole, GATED)
    np.testing.assert_array_equal(outputs(exact, images(3, seed=9)), outputs(whole, images(3, seed=9)))


def test_nothing_is_made_that_nobody_reads() -> None:
    """No node is left whose result has no reader."""
    model = form()
    readers, wanted = users(model), {value.name for value in model.graph.output}
    assert all(any(name in readers or name in wanted for name in node.output) for node in model.graph.node)
