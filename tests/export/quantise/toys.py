"""Small graphs that behave as real ones do, and how far one strays from another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.graph import GraphBuilder
from export.quantise import Material
from export.quantise.graphs import Feed

Array = NDArray[Any]
SIDE = 16


def convolutional(seed: int = 0, *, loud: str = "", silu: bool = True) -> Any:
    """Four convolutions with SiLU between them, one of them depthwise.

    Args:
        seed: of the weights.
        loud: a convolution one of whose inputs is a thousand times as large as the others and whose weights
            make up for it, so that in int8 nothing is left of the others.
        silu: without, the activation is ReLU.
    """
    random = np.random.default_rng(seed)
    graph = GraphBuilder("toy")
    value = graph.input("images", np.float32, ("batch", 3, SIDE, SIDE))
    channels = 3
    for name, out, groups in (("stem", 8, 1), ("middle", 8, 1), ("depthwise", 8, 8), ("head", 4, 1)):
        weight = random.normal(0, 0.5 / np.sqrt(channels / groups), (out, channels // groups, 3, 3))
        if name == loud:
            value = _loud(graph, name, value, channels, weight)
        inputs = [
            value,
            graph.constant(f"{name}/weight", weight.astype(np.float32)),
            graph.constant(f"{name}/bias", random.normal(0, 0.2, out).astype(np.float32)),
        ]
        value = graph.node("Conv", inputs, name, pads=[1, 1, 1, 1], group=groups)
        channels = out
        if name == "head":
            break
        value = _activated(graph, name, value, silu=silu)
    graph.output(value, np.float32, ("batch", 4, SIDE, SIDE))
    return graph.model()


def _activated(graph: GraphBuilder, name: str, value: str, *, silu: bool) -> str:
    if not silu:
        return graph.node("Relu", [value], f"{name}/relu")
    gate = graph.node("Sigmoid", [value], f"{name}/gate")
    return graph.node("Mul", [value, gate], f"{name}/silu")


def _loud(graph: GraphBuilder, name: str, value: str, channels: int, weight: Array) -> str:
    """Scale one channel up before the convolution, and its weights down, so that float sees no difference."""
    factor = np.ones((1, channels, 1, 1), np.float32)
    factor[0, 0] = 1000
    weight[:, 0] /= 1000
    return graph.node("Mul", [value, graph.constant(f"{name}/factor", factor)], f"{name}/louder")


def transformer(seed: int = 0, layers: int = 2, *, loud: str = "") -> Any:
    """Rows of a table through blocks of a normalisation, attention and two products, then L2-normalised.

    Args:
        seed: of the weights.
        layers: blocks.
        loud: a product one of whose inputs is a thousand times as large as the others.
    """
    random = np.random.default_rng(seed)
    graph = GraphBuilder("toy")
    ids = graph.input("ids", np.int64, ("batch", 6))
    width = 64

    def constant(name: str, *shape: int, scale: float = 1.0) -> str:
        return graph.constant(name, random.normal(0, scale, shape).astype(np.float32))

    value = graph.node("Gather", [constant("words", 100, width), ids], "looked up")
    for layer in range(layers):
        for kind in ("attention", "mlp"):
            name = f"{layer}/{kind}"
            ones = graph.constant(f"{name}/scale", np.ones(width, np.float32))
            inner = graph.node("LayerNormalization", [value, ones], f"{name}/norm")
            if kind == "attention":
                turned = graph.node("Transpose", [inner], f"{name}/keys", perm=[0, 2, 1])
                scores = graph.node("MatMul", [inner, turned], f"{name}/scores")
                inner = graph.node(
                    "MatMul", [graph.node("Softmax", [scores], f"{name}/weights"), inner], f"{name}/mix"
                )
            weight = random.normal(0, 1 / np.sqrt(width), (width, width)).astype(np.float32)
            if f"{name}/product" == loud:
                factor = np.ones(width, np.float32)
                factor[0] = 1000
                weight[0] /= 1000
                inner = graph.node("Mul", [inner, graph.constant(f"{name}/factor", factor)], f"{name}/louder")
            product = graph.node(
                "MatMul", [inner, graph.constant(f"{name}/weight", weight)], f"{name}/product"
            )
            value = graph.node("Add", [value, product], f"{name}/sum")
    flat = graph.node(
        "ReduceMean", [value, graph.constant("axes", np.array([1], np.int64))], "pooled", keepdims=0
    )
    length = graph.node(
        "ReduceL2", [flat, graph.constant("axes", np.array([1], np.int64))], "length", keepdims=1
    )
    graph.output(graph.node("Div", [flat, length], "embedding"), np.float32, ("batch", width))
    return graph.model()


def images(count: int, seed: int = 1) -> list[Feed]:
    """Inputs of the convolutional toy."""
    random = np.random.default_rng(seed)
    return [{"images": random.uniform(0, 1, (1, 3, SIDE, SIDE)).astype(np.float32)} for _ in range(count)]


def texts(count: int, seed: int = 1) -> list[Feed]:
    """Inputs of the transformer."""
    random = np.random.default_rng(seed)
    return [{"ids": random.integers(0, 100, (1, 6))} for _ in range(count)]


def material(**options: Any) -> Material:
    """The convolutional toy with samples to calibrate on."""
    return Material(convolutional(**options), images(8))


def outputs(model: Any, feeds: Sequence[Feed]) -> Array:
    """A graph's only output for each sample, put together."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, dict(feed))[0] for feed in feeds])


def error(model: Any, reference: Any, feeds: Sequence[Feed]) -> float:
    """Norm of the difference of two graphs' outputs, as a share of the reference's norm."""
    want = outputs(reference, feeds)
    return float(np.linalg.norm(outputs(model, feeds) - want) / np.linalg.norm(want))


def nodes(model: Any, operation: str) -> list[Any]:
    """A graph's nodes of one kind."""
    return [node for node in model.graph.node if node.op_type == operation]


def constants(model: Any) -> dict[str, Array]:
    """A graph's constants by name."""
    from onnx import numpy_helper  # noqa: PLC0415 - as the exporter does

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
