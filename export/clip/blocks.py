"""Transformer layers in ONNX, in the form that runs fastest on a processor.

Query, key and value are one matrix, with the attention's scale folded into the query's part; where only one
token's result is wanted, the last layer computes queries and feed-forward for that token alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from export.clip.towers import Activation, Array, Encoder, Layer, Linear, Norm
from export.graph import GraphBuilder


class Blocks:
    """Layers into a graph.

    Args:
        graph: where they go.
        encoder: heads and activation.
    """

    def __init__(self, graph: GraphBuilder, encoder: Encoder) -> None:
        self.graph = graph
        self._heads = encoder.heads
        self._activation = encoder.activation

    def ints(self, name: str, *values: int) -> str:
        """A constant of int64."""
        return self.graph.constant(name, np.array(values, np.int64))

    def layer(self, value: str, layer: Layer, name: str, bias: str | None = None) -> str:
        """A layer that normalises first: batch x tokens x width to the same."""
        normal = self.normalise(value, layer.first, f"{name}/first")
        packed = self.linear(normal, _joined(layer, self._heads), f"{name}/qkv")
        width = layer.out.weight.shape[0]
        parts = self._split(packed, f"{name}/qkv", 3, width)
        attended = self._attend(parts, layer.out, name, bias)
        return self.feed(self.graph.node("Add", [value, attended], f"{name}/attended"), layer, name)

    def last(self, value: str, picked: Picker, layer: Layer, name: str, bias: str | None = None) -> str:
        """The last layer, for one token of each sample: batch x 1 x width."""
        normal = self.normalise(value, layer.first, f"{name}/first")
        query = self.linear(picked(normal, f"{name}/asking"), _scaled(layer, self._heads), f"{name}/query")
        both = Linear(*_side_by_side(layer.key, layer.value))
        width = layer.out.weight.shape[0]
        rest = self._split(self.linear(normal, both, f"{name}/kv"), f"{name}/kv", 2, width)
        attended = self._attend([query, *rest], layer.out, name, bias)
        own = picked(value, f"{name}/own")
        return self.feed(self.graph.node("Add", [own, attended], f"{name}/attended"), layer, name)

    def feed(self, value: str, layer: Layer, name: str) -> str:
        """The feed-forward network behind its normalisation, added to its input."""
        normal = self.normalise(value, layer.second, f"{name}/second")
        fed = self.network(normal, layer.wide, layer.narrow, name)
        return self.graph.node("Add", [value, fed], f"{name}/out")

    def layer_behind(self, value: str, layer: Layer, name: str, bias: str) -> str:
        """A layer that normalises behind (BERT's): batch x tokens x width to the same."""
        packed = self.linear(value, _joined(layer, self._heads), f"{name}/qkv")
        parts = self._split(packed, f"{name}/qkv", 3, layer.out.weight.shape[0])
        attended = self._attend(parts, layer.out, name, bias)
        total = self.graph.node("Add", [value, attended], f"{name}/attended")
        middle = self.normalise(total, layer.first, f"{name}/first")
        fed = self.network(middle, layer.wide, layer.narrow, name)
        return self.normalise(
            self.graph.node("Add", [middle, fed], f"{name}/fed"), layer.second, f"{name}/second"
        )

    def network(self, value: str, wide: Linear, narrow: Linear, name: str) -> str:
        """Wide, activation, narrow."""
        inner = self.linear(value, wide, f"{name}/wide")
        active = activate(self.graph, inner, self._activation, f"{name}/active")
        return self.linear(active, narrow, f"{name}/narrow")

    def linear(self, value: str, linear: Linear, name: str) -> str:
        """A matrix, and its bias if it has one."""
        graph = self.graph
        weight = graph.constant(f"{name}/weight", linear.weight)
        if linear.bias is None:
            return graph.node("MatMul", [value, weight], name)
        product = graph.node("MatMul", [value, weight], f"{name}/product")
        return graph.node("Add", [product, graph.constant(f"{name}/bias", linear.bias)], name)

    def normalise(self, value: str, norm: Norm, name: str) -> str:
        """Layer normalisation."""
        weight = self.graph.constant(f"{name}/weight", norm.weight)
        bias = self.graph.constant(f"{name}/bias", norm.bias)
        return self.graph.node(
            "LayerNormalization", [value, weight, bias], name, axis=-1, epsilon=norm.epsilon
        )

    def _split(self, packed: str, name: str, count: int, width: int) -> list[str]:
        sizes = self.ints(f"split/{count}", *([width] * count))
        return self.graph.nodes("Split", [packed, sizes], [f"{name}/{i}" for i in range(count)], axis=-1)

    def _attend(self, parts: list[str], out: Linear, name: str, bias: str | None) -> str:
        graph, width = self.graph, out.weight.shape[0]
        apart = self.ints("heads", 0, 0, self._heads, width // self._heads)
        orders = {"query": [0, 2, 1, 3], "key": [0, 2, 3, 1], "value": [0, 2, 1, 3]}
        heads = []
        for part, (role, turn) in zip(parts, orders.items(), strict=True):
            wide = graph.node("Reshape", [part, apart], f"{name}/{role}/apart")
            heads.append(graph.node("Transpose", [wide], f"{name}/{role}/heads", perm=turn))
        scores = graph.node("MatMul", heads[:2], f"{name}/scores")
        if bias is not None:
            scores = graph.node("Add", [scores, bias], f"{name}/masked")
        weights = graph.node("Softmax", [scores], f"{name}/weights", axis=-1)
        context = graph.node("MatMul", [weights, heads[2]], f"{name}/context")
        order = graph.node("Transpose", [context], f"{name}/context/order", perm=[0, 2, 1, 3])
        joined = graph.node("Reshape", [order, self.ints("joined", 0, 0, width)], f"{name}/context/joined")
        return self.linear(joined, out, f"{name}/projected")


class Picker:
    """Picks one token of each sample: batch x tokens x width to batch x 1 x width.

    Args:
        graph: where.
        place: name of its index: a constant of shape (1,), or batch x 1 x 1.
        same: it is the same token in all samples.
    """

    def __init__(self, graph: GraphBuilder, place: str, *, same: bool) -> None:
        self._graph = graph
        self._place = place
        self._same = same

    def __call__(self, value: str, name: str) -> str:
        """The token of ``value``."""
        if self._same:
            return self._graph.node("Gather", [value, self._place], name, axis=1)
        return self._graph.node("GatherND", [value, self._place], name, batch_dims=1)


def activate(graph: GraphBuilder, value: str, activation: Activation, name: str) -> str:
    """The feed-forward network's activation; ONNX Runtime makes one kernel of QuickGELU's three nodes."""
    if activation != "quick_gelu":
        form = "tanh" if activation == "gelu_tanh" else "none"
        return graph.node("Gelu", [value], name, approximate=form)
    slope = graph.constant("quick_gelu/slope", np.float32(1.702))
    steep = graph.node("Mul", [value, slope], f"{name}/steep")
    gate = graph.node("Sigmoid", [steep], f"{name}/gate")
    return graph.node("Mul", [value, gate], name)


def _joined(layer: Layer, heads: int) -> Linear:
    return Linear(*_side_by_side(_scaled(layer, heads), layer.key, layer.value))


def _scaled(layer: Layer, heads: int) -> Linear:
    """The query's projection, divided by the root of a head's width."""
    query = layer.query
    factor = np.float32((query.weight.shape[1] // heads) ** -0.5)
    return replace(query, weight=query.weight * factor, bias=_bias(query) * factor)


def _side_by_side(*parts: Linear) -> tuple[Array, Array]:
    weights = np.concatenate([part.weight for part in parts], axis=1)
    return weights, np.concatenate([_bias(part) for part in parts])


def _bias(linear: Linear) -> Array:
    return np.zeros(linear.weight.shape[1], np.float32) if linear.bias is None else linear.bias
