"""Transformer towers as plain numbers: what every CLIP, SigLIP and sentence encoder comes down to.

A loader of any framework fills these in; :mod:`export.clip.graphs` makes ONNX of them. Weights are float32,
matrices are input x output.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LARGEST = 2**31 - 2**24
"""Bytes that fit into one ONNX file, which protobuf limits to 2 GiB, beside the graph itself."""
Activation = Literal["gelu", "gelu_tanh", "quick_gelu"]


@dataclass(frozen=True)
class Linear:
    """``x @ weight + bias``; weight is input x output."""

    weight: Array
    bias: Array | None = None


@dataclass(frozen=True)
class Norm:
    """Layer normalisation over the last axis."""

    weight: Array
    bias: Array
    epsilon: float


@dataclass(frozen=True)
class Layer:
    """One layer: attention and a feed-forward network, each with its normalisation.

    Attributes:
        query, key, value: three projections, width x width.
        out: of the attention.
        first, second: normalisations: before attention and feed-forward, or behind them (:class:`Sentence`).
        wide, narrow: the feed-forward network.
    """

    query: Linear
    key: Linear
    value: Linear
    out: Linear
    first: Norm
    second: Norm
    wide: Linear
    narrow: Linear


@dataclass(frozen=True)
class Encoder:
    """Layers one behind the other; ``heads`` share the width."""

    layers: tuple[Layer, ...]
    heads: int
    activation: Activation


@dataclass(frozen=True)
class Probe:
    """SigLIP's attention pooling: one learned query over all patches, then a feed-forward network.

    Attributes:
        query: width; the learned query behind its projection, before the scale.
        key, value, out: projections.
        norm: before the feed-forward network, which is added to its input.
        wide, narrow: the feed-forward network.
    """

    query: Array
    key: Linear
    value: Linear
    out: Linear
    norm: Norm
    wide: Linear
    narrow: Linear


@dataclass(frozen=True)
class Vision:
    """A Vision Transformer (Dosovitskiy et al., 2021) as CLIP uses it.

    Attributes:
        size: side of the square image in pixels.
        patch: width x 3 x side x side, the patch convolution, for normalised pixels.
        patch_bias: width.
        token: width, the class token; None where ``probe`` pools.
        positions: (1 +) patches x width.
        before: normalisation ahead of the first layer.
        after: behind the last, before ``projection`` or ``probe``.
        projection: to the shared space.
    """

    size: int
    patch: Array
    patch_bias: Array | None
    token: Array | None
    positions: Array
    before: Norm | None
    encoder: Encoder
    after: Norm
    projection: Linear | None
    probe: Probe | None = None


@dataclass(frozen=True)
class Prompt:
    """A text tower that reads one token's place: CLIP's, or SigLIP's.

    Attributes:
        words: vocabulary x width.
        positions: tokens x width.
        causal: a token sees only those before it; then any length up to ``positions`` will do.
        end: whose place is read: the first token with this id; the largest id (None); or the ``"last"``.
        after: normalisation behind the last layer.
        projection: to the shared space.
    """

    words: Array
    positions: Array
    encoder: Encoder
    causal: bool
    end: int | Literal["last"] | None
    after: Norm
    projection: Linear | None


@dataclass(frozen=True)
class Sentence:
    """A text tower that takes the mean of its tokens: BERT and its kin with a projection behind it.

    Attributes:
        words: vocabulary x width.
        positions: tokens x width, from the first token on, with the segment's embedding added.
        before: normalisation ahead of the first layer.
        heads: projections behind the mean, each with whether tanh follows.
    """

    words: Array
    positions: Array
    before: Norm
    encoder: Encoder
    heads: tuple[tuple[Linear, bool], ...]


def size(part: object) -> int:
    """Bytes of a tower's numbers, or of any part of one."""
    if isinstance(part, np.ndarray):
        return part.nbytes
    if isinstance(part, tuple):
        return sum(size(each) for each in part)
    if is_dataclass(part):
        return sum(size(getattr(part, field.name)) for field in fields(part))
    return 0
