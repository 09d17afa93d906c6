"""all-MiniLM-L6-v2 (a BERT of six layers, Devlin et al., 2018, distilled) from its tensors to ONNX.

Token ids in, one L2-normalised sentence embedding out: the mean of the last layer's tokens under the mask.
Built straight from the checkpoint; query, key and value are one matrix, with the attention's scale folded
into the query's part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.graph import GraphBuilder

Tensors = Mapping[str, NDArray[Any]]
HIDDEN, HEADS, LAYERS = 384, 12, 6
MAX_TOKENS = 256
EPSILON = 1e-12
IDS, MASK, OUTPUT = "input_ids", "attention_mask", "embedding"
_MASKED = -1e4  # far below any score, and still a number in half precision


def build(tensors: Tensors) -> Any:
    """The text tower as an ``onnx.ModelProto``.

    Inputs ``input_ids`` and ``attention_mask``: int64, batch x length (at most 256). Output ``embedding``:
    float32, batch x 384, L2-normalised.
    """
    graph = GraphBuilder("minilm")
    ids = graph.input(IDS, np.int64, ("batch", "length"))
    mask = graph.input(MASK, np.int64, ("batch", "length"))
    layers = _Layers(graph, tensors)
    keep = graph.node("Cast", [mask], "mask/float", to=1)
    hidden, bias = layers.embed(ids), layers.attention_bias(keep)
    for number in range(LAYERS):
        hidden = layers.layer(hidden, bias, f"encoder.layer.{number}")
    layers.pool(hidden, keep)
    graph.output(OUTPUT, np.float32, ("batch", HIDDEN))
    return graph.model()


class _Layers:
    def __init__(self, graph: GraphBuilder, tensors: Tensors) -> None:
        self.graph = graph
        self.tensors = tensors

    def ints(self, name: str, *values: int) -> str:
        return self.graph.constant(name, np.array(values, np.int64))

    def embed(self, ids: str) -> str:
        """Word, position and (always the first) segment embedding, summed and normalised."""
        graph = self.graph
        words = graph.constant("words", self.tensors["embeddings.word_embeddings.weight"])
        places = self.tensors["embeddings.position_embeddings.weight"][:MAX_TOKENS]
        segment = self.tensors["embeddings.token_type_embeddings.weight"][0]
        table = graph.constant("positions", (places + segment).astype(np.float32))
        word = graph.node("Gather", [words, ids], "word", axis=0)
        length = graph.node("Shape", [ids], "length", start=1, end=2)
        ends = [self.ints("zero", 0), length, self.ints("first", 0)]
        position = graph.node("Slice", [table, *ends], "position")
        total = graph.node("Add", [word, position], "embedded")
        return self.normalise(total, "embeddings.LayerNorm")

    def attention_bias(self, keep: str) -> str:
        """0 where a token counts and far below 0 where it is padding; batch x 1 x 1 x length."""
        graph = self.graph
        one = graph.constant("one", np.float32(1))
        padding = graph.node("Sub", [keep, one], "mask/padding")
        low = graph.constant("mask/low", np.float32(-_MASKED))
        bias = graph.node("Mul", [padding, low], "mask/bias")
        return graph.node("Unsqueeze", [bias, self.ints("mask/axes", 1, 2)], "mask/wide")

    def layer(self, hidden: str, bias: str, name: str) -> str:
        graph = self.graph
        attended = self.attention(hidden, bias, f"{name}.attention")
        total = graph.node("Add", [attended, hidden], f"{name}/attended")
        middle = self.normalise(total, f"{name}.attention.output.LayerNorm")
        wide = self.linear(middle, f"{name}.intermediate.dense")
        active = graph.node("Gelu", [wide], f"{name}/gelu")
        narrow = self.linear(active, f"{name}.output.dense")
        total = graph.node("Add", [narrow, middle], f"{name}/fed")
        return self.normalise(total, f"{name}.output.LayerNorm")

    def attention(self, hidden: str, bias: str, name: str) -> str:
        graph = self.graph
        packed = self.matmul(hidden, f"{name}/qkv", *self.packed(name))
        split = self.ints("heads", 0, 0, 3, HEADS, HIDDEN // HEADS)
        apart = graph.node("Reshape", [packed, split], f"{name}/apart")
        first = graph.node("Transpose", [apart], f"{name}/first", perm=[2, 0, 3, 1, 4])
        parts = [f"{name}/{part}" for part in ("query", "key", "value")]
        for number, part in enumerate(parts):
            index = graph.constant(f"index/{number}", np.int64(number))
            graph.node("Gather", [first, index], part, axis=0)
        query, key, value = parts
        turned = graph.node("Transpose", [key], f"{key}/turned", perm=[0, 1, 3, 2])
        scores = graph.node("MatMul", [query, turned], f"{name}/scores")
        masked = graph.node("Add", [scores, bias], f"{name}/masked")
        weights = graph.node("Softmax", [masked], f"{name}/weights", axis=-1)
        context = graph.node("MatMul", [weights, value], f"{name}/context")
        order = graph.node("Transpose", [context], f"{name}/order", perm=[0, 2, 1, 3])
        joined = graph.node("Reshape", [order, self.ints("joined", 0, 0, HIDDEN)], f"{name}/joined")
        return self.linear(joined, f"{name}.output.dense")

    def packed(self, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Query, key and value as one matrix and one bias, the query divided by the root of its width."""
        scale = np.float32((HIDDEN // HEADS) ** -0.5)
        factors = {"query": scale, "key": np.float32(1), "value": np.float32(1)}
        weights = [self.tensors[f"{name}.self.{part}.weight"].T * f for part, f in factors.items()]
        biases = [self.tensors[f"{name}.self.{part}.bias"] * f for part, f in factors.items()]
        return np.concatenate(weights, axis=1), np.concatenate(biases)

    def linear(self, value: str, name: str) -> str:
        weight, bias = self.tensors[f"{name}.weight"].T, self.tensors[f"{name}.bias"]
        return self.matmul(value, name, weight, bias)

    def matmul(self, value: str, name: str, weight: NDArray[Any], bias: NDArray[Any]) -> str:
        matrix = self.graph.constant(f"{name}/weight", weight)
        product = self.graph.node("MatMul", [value, matrix], f"{name}/product")
        return self.graph.node("Add", [product, self.graph.constant(f"{name}/bias", bias)], name)

    def normalise(self, value: str, name: str) -> str:
        weight = self.graph.constant(f"{name}.weight", self.tensors[f"{name}.weight"])
        bias = self.graph.constant(f"{name}.bias", self.tensors[f"{name}.bias"])
        return self.graph.node(
            "LayerNormalization", [value, weight, bias], f"{name}/out", axis=-1, epsilon=EPSILON
        )

    def pool(self, hidden: str, keep: str) -> None:
        """The mean over the tokens that count, L2-normalised (its length cancels the mean's divisor)."""
        graph = self.graph
        row = graph.node("Unsqueeze", [keep, self.ints("pool/axis", 1)], "pool/row")
        total = graph.node("MatMul", [row, hidden], "pool/total")
        flat = graph.node("Squeeze", [total, self.ints("pool/squeeze", 1)], "pool/flat")
        graph.node("LpNormalization", [flat], OUTPUT, axis=-1, p=2)
