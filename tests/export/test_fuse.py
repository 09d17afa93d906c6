"""Fusions for ONNX Runtime's processors."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto

from export.fuse import fuse_silu
from export.graph import GraphBuilder


def _swish(order: tuple[int, int] = (0, 1), *, gate_is_read_again: bool = False) -> ModelProto:
    graph = GraphBuilder("swish")
    image = graph.input("x", np.float32, ("n", 8))
    gate = graph.node("Sigmoid", [image], "gate")
    factors = (image, gate)
    out = graph.node("Mul", [factors[index] for index in order], "y")
    if gate_is_read_again:
        graph.output(graph.node("Add", [out, gate], "z"), np.float32, ("n", 8))
    else:
        graph.output(out, np.float32, ("n", 8))
    model: ModelProto = graph.model()
    return model


def _run(model: Any) -> Any:
    values = np.linspace(-30, 30, 32, dtype=np.float32).reshape(4, 8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": values})[0]


def _operations(model: Any) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_a_silu_becomes_one_operation_that_computes_the_same() -> None:
    """In both orders of the product's factors; the model that was given stays as it was."""
    for order in ((0, 1), (1, 0)):
        model = _swish(order)
        fused = fuse_silu(model)
        assert _operations(fused) == ["QuickGelu"]
        assert _operations(model) == ["Sigmoid", "Mul"]
        assert np.allclose(_run(fused), _run(model), atol=1e-5)


def test_a_sigmoid_that_something_else_reads_stays() -> None:
    """Fusing it would only compute it twice."""
    model = _swish(gate_is_read_again=True)
    assert _operations(fuse_silu(model)) == _operations(model)


def test_a_product_with_another_values_sigmoid_stays() -> None:
    """A gate isn't a SiLU."""
    graph = GraphBuilder("gated")
    x = graph.input("x", np.float32, ("n", 8))
    y = graph.node("Neg", [x], "y")
    graph.output(graph.node("Mul", [x, graph.node("Sigmoid", [y], "gate")], "z"), np.float32, ("n", 8))
    fused = fuse_silu(graph.model())
    assert _operations(fused) == ["Neg", "Sigmoid", "Mul"]
    assert [opset.domain for opset in fused.opset_import] == [""]
