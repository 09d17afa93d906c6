"""Towers to ONNX: :mod:`export.clip.towers` in, a checked ``onnx.ModelProto`` out.

Pixels go in as bytes: the patch convolution is a matrix over 3 x side x side bytes, with mean and standard
deviation folded into it, so that dynamic quantisation finds bytes where it would make some. Every output is
L2-normalised. Constants are float32; the mask's "never" is a number that half precision still has.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from export.clip.blocks import Blocks, Picker
from export.clip.towers import Array, Linear, Probe, Prompt, Sentence, Vision
from export.graph import GraphBuilder

PIXELS, IDS, MASK, OUTPUT = "pixels", "input_ids", "attention_mask", "embedding"
_NEVER = -1e4


def vision(tower: Vision, mean: tuple[float, ...], std: tuple[float, ...]) -> Any:
    """An image tower.

    Input ``pixels``: uint8, batch x size x size x 3, RGB. Output ``embedding``: float32, batch x dimension.

    Args:
        tower: the network, for pixels normalised as ``(x - mean) / std``.
        mean: per RGB channel, 0 to 255.
        std: likewise.
    """
    graph = GraphBuilder("visual")
    pixels = graph.input(PIXELS, np.uint8, ("batch", tower.size, tower.size, 3))
    blocks = Blocks(graph, tower.encoder)
    value = _patches(blocks, pixels, tower, np.array(mean), np.array(std))
    if tower.before is not None:
        value = blocks.normalise(value, tower.before, "before")
    *rest, last = tower.encoder.layers
    for number, layer in enumerate(rest):
        value = blocks.layer(value, layer, f"layer.{number}")
    name = f"layer.{len(rest)}"
    if tower.probe is None:
        first = Picker(graph, blocks.ints("class/place", 0), same=True)
        value = blocks.normalise(blocks.last(value, first, last, name), tower.after, "after")
    else:
        value = blocks.normalise(blocks.layer(value, last, name), tower.after, "after")
        value = _probe(blocks, value, tower.probe, tower.encoder.heads)
    return _finish(blocks, value, tower.projection, len(tower.patch))


def prompt(tower: Prompt, length: int | None = None) -> Any:
    """A text tower that reads one token's place.

    Input ``input_ids``: int64, batch x length; any length up to the tower's positions where ``length`` is
    None. Output ``embedding``: float32, batch x dimension.
    """
    graph = GraphBuilder("text")
    ids = graph.input(IDS, np.int64, ("batch", length or "length"))
    blocks = Blocks(graph, tower.encoder)
    value, tokens = _words(blocks, ids, tower.words, tower.positions)
    picked, place = _place(blocks, ids, tower)
    bias = last_bias = None
    if tower.causal:
        bias = _causal(blocks, tokens, len(tower.positions))
        last_bias = _row(blocks, bias, place)
    *rest, last = tower.encoder.layers
    for number, layer in enumerate(rest):
        value = blocks.layer(value, layer, f"layer.{number}", bias)
    value = blocks.last(value, picked, last, f"layer.{len(rest)}", last_bias)
    value = blocks.normalise(value, tower.after, "after")
    return _finish(blocks, value, tower.projection, tower.words.shape[1])


def sentence(tower: Sentence) -> Any:
    """A text tower that takes the mean of its tokens.

    Inputs ``input_ids`` and ``attention_mask``: int64, batch x length. Output ``embedding``: float32,
    batch x dimension.
    """
    graph = GraphBuilder("text")
    ids = graph.input(IDS, np.int64, ("batch", "length"))
    mask = graph.input(MASK, np.int64, ("batch", "length"))
    blocks = Blocks(graph, tower.encoder)
    keep = graph.node("Cast", [mask], "mask/float", to=1)
    value, _ = _words(blocks, ids, tower.words, tower.positions)
    value, bias = blocks.normalise(value, tower.before, "before"), _padding(blocks, keep)
    for number, layer in enumerate(tower.encoder.layers):
        value = blocks.layer_behind(value, layer, f"layer.{number}", bias)
    value = _mean(blocks, value, keep)
    for number, (linear, squashed) in enumerate(tower.heads):
        value = blocks.linear(value, linear, f"head.{number}")
        value = graph.node("Tanh", [value], f"head.{number}/tanh") if squashed else value
    dimension = (tower.heads[-1][0].weight if tower.heads else tower.words).shape[1]
    return _normalised(graph, value, dimension)


def _patches(blocks: Blocks, pixels: str, tower: Vision, mean: Array, std: Array) -> str:
    """Bytes to batch x tokens x width, class token and positions in place."""
    graph, side = blocks.graph, tower.patch.shape[-1]
    grid = tower.size // side
    cut = blocks.ints("patch/cut", -1, grid, side, grid, side * 3)
    order = graph.node("Reshape", [pixels, cut], "patch/rows")
    order = graph.node("Transpose", [order], "patch/order", perm=[0, 1, 3, 2, 4])
    flat = blocks.ints("patch/flat", -1, grid * grid, side * side * 3)
    value = graph.node("Cast", [graph.node("Reshape", [order, flat], "patch/bytes")], "patch/floats", to=1)
    weight, bias = fold(tower.patch, tower.patch_bias, mean, std)
    value = blocks.linear(value, Linear(weight), "patch")
    places = tower.positions.astype(np.float64)
    if tower.token is None:
        table = places + bias
    else:
        ahead = blocks.ints("class/ahead", 1, 0)
        axis = blocks.ints("class/axis", 1)
        value = graph.node("Pad", [value, ahead, "", axis], "class/room")
        table = np.vstack([places[:1] + tower.token, places[1:] + bias])
    return graph.node("Add", [value, graph.constant("positions", table.astype(np.float32))], "embedded")


def fold(patch: Array, bias: Array | None, mean: Array, std: Array) -> tuple[Array, Array]:
    """The patch convolution for bytes.

    Args:
        patch: width x 3 x side x side, for ``(x - mean) / std``.
        bias: width, or None.
        mean: 3, of 0 to 255.
        std: likewise.

    Returns:
        a float32 matrix, rows by line, column and channel of the patch, width columns; and a float64 bias.
    """
    wide = patch.astype(np.float64) / std[:, None, None]
    shift = (wide * mean[:, None, None]).sum((1, 2, 3))
    matrix = wide.transpose(2, 3, 1, 0).reshape(-1, len(patch)).astype(np.float32)
    return matrix, (0 if bias is None else bias.astype(np.float64)) - shift


def _probe(blocks: Blocks, value: str, probe: Probe, heads: int) -> str:
    """Attention pooling. A learned query times the keys' projection is one narrow matrix, known beforehand.

    The keys' bias adds the same to every patch's score, which the softmax takes out again.
    """
    graph, width = blocks.graph, len(probe.query)
    each = width // heads
    query = probe.query.reshape(heads, each).astype(np.float64) * each**-0.5
    keys = probe.key.weight.astype(np.float64).reshape(width, heads, each)
    asking = np.einsum("whe,he->wh", keys, query).astype(np.float32)
    scores = blocks.linear(value, Linear(asking), "probe/scores")
    weights = graph.node("Softmax", [scores], "probe/weights", axis=1)
    turned = graph.node("Transpose", [weights], "probe/heads", perm=[0, 2, 1])
    rows = graph.node("Unsqueeze", [turned, blocks.ints("probe/axis", 2)], "probe/rows")
    values = blocks.linear(value, probe.value, "probe/value")
    apart = graph.node("Reshape", [values, blocks.ints("heads", 0, 0, heads, each)], "probe/value/apart")
    order = graph.node("Transpose", [apart], "probe/value/heads", perm=[0, 2, 1, 3])
    context = graph.node("MatMul", [rows, order], "probe/context")
    joined = graph.node("Reshape", [context, blocks.ints("probe/joined", -1, 1, width)], "probe/joined/out")
    out = blocks.linear(joined, probe.out, "probe/out")
    normal = blocks.normalise(out, probe.norm, "probe/norm")
    return graph.node("Add", [out, blocks.network(normal, probe.wide, probe.narrow, "probe")], "probed")


def _words(blocks: Blocks, ids: str, words: Array, positions: Array) -> tuple[str, str]:
    """Token and position embeddings, summed; and the number of tokens, of shape (1,)."""
    graph = blocks.graph
    word = graph.node("Gather", [graph.constant("words", words), ids], "word", axis=0)
    tokens = graph.node("Shape", [ids], "tokens", start=1, end=2)
    table = graph.constant("positions", positions)
    ends = [blocks.ints("from", 0), tokens, blocks.ints("axis/0", 0)]
    return graph.node("Add", [word, graph.node("Slice", [table, *ends], "position")], "embedded"), tokens


def _place(blocks: Blocks, ids: str, tower: Prompt) -> tuple[Picker, str]:
    """Which token is read: its picker, and its index (batch x 1, or a constant)."""
    graph = blocks.graph
    if tower.end == "last":
        last = blocks.ints("end/last", -1)
        return Picker(graph, last, same=True), last
    marked = ids
    if tower.end is not None:
        marked = graph.node("Equal", [ids, graph.constant("end/id", np.int64(tower.end))], "end/same")
    marks = graph.node("Cast", [marked], "end/marks", to=6)
    place = graph.node("ArgMax", [marks], "end/place", axis=1, keepdims=1)
    deep = graph.node("Unsqueeze", [place, blocks.ints("end/axis", 2)], "end/deep")
    return Picker(graph, deep, same=False), place


def _causal(blocks: Blocks, tokens: str, most: int) -> str:
    """What keeps a token from those behind it: tokens x tokens, 0 or far below."""
    graph = blocks.graph
    full = np.triu(np.full((most, most), _NEVER, np.float32), 1)
    both = graph.node("Concat", [tokens, tokens], "causal/ends", axis=0)
    starts, axes = blocks.ints("causal/starts", 0, 0), blocks.ints("causal/axes", 0, 1)
    return graph.node("Slice", [graph.constant("causal/full", full), starts, both, axes], "causal")


def _row(blocks: Blocks, bias: str, place: str) -> str:
    """The mask of the one token that is read: batch x 1 x 1 x tokens."""
    row = blocks.graph.node("Gather", [bias, place], "causal/row", axis=0)
    return blocks.graph.node("Unsqueeze", [row, blocks.ints("causal/axis", 1)], "causal/last")


def _padding(blocks: Blocks, keep: str) -> str:
    """0 where a token counts, far below where it is padding: batch x 1 x 1 x tokens."""
    graph = blocks.graph
    away = graph.node("Sub", [keep, graph.constant("one", np.float32(1))], "mask/away")
    bias = graph.node("Mul", [away, graph.constant("mask/low", np.float32(-_NEVER))], "mask/bias")
    return graph.node("Unsqueeze", [bias, blocks.ints("mask/axes", 1, 2)], "mask/wide")


def _mean(blocks: Blocks, value: str, keep: str) -> str:
    """The mean over the tokens that count: batch x width."""
    graph = blocks.graph
    axis = blocks.ints("mean/axis", 1)
    row = graph.node("Unsqueeze", [keep, axis], "mean/row")
    total = graph.node("Squeeze", [graph.node("MatMul", [row, value], "mean/total"), axis], "mean/flat")
    count = graph.node("ReduceSum", [keep, axis], "mean/count", keepdims=1)
    return graph.node("Div", [total, count], "mean")


def _finish(blocks: Blocks, value: str, projection: Linear | None, width: int) -> Any:
    """One token to the shared space: batch x 1 x width to ``embedding``."""
    graph = blocks.graph
    flat = graph.node("Squeeze", [value, blocks.ints("flat/axis", 1)], "flat")
    if projection is None:
        return _normalised(graph, flat, width)
    return _normalised(graph, blocks.linear(flat, projection, "projection"), projection.weight.shape[1])


def _normalised(graph: GraphBuilder, value: str, dimension: int) -> Any:
    graph.node("LpNormalization", [value], OUTPUT, axis=-1, p=2)
    graph.output(OUTPUT, np.float32, ("batch", dimension))
    return graph.model()
