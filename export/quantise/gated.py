"""Lower ends of ranges before x * sigmoid(x): of what it makes nothing of, nothing need be kept.

An image of a thousand values below -10 and one of 40 has a step of 0.3 between its 8-bit numbers if all of
them are kept; yet whatever lies below -10 comes out as zero. So where nothing else reads a value, the lower
end of its range is searched for that has the least squared error after the activation. The upper end stays:
the rarest large values are what a detector finds things by, and cut off they lower its scores (measured in
``docs/decisions``). Searching for ranges by squared error is Banner et al., "Post training 4-bit quantization
of convolutional networks", 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from export.quantise.graphs import Array, Feed, probed, users

_KEPT = 2000  # values of each tensor and sample
_LOWER = (-20.0, -12.0, -8.0, -6.0, -5.0, -4.0, -3.0)
"""Lower ends that are tried; the activation is -0.14 at -3 and -0.003 at -8."""


def gated(model: Any) -> list[str]:
    """Values that nothing but fused x * sigmoid(x) reads, in the order they are made."""
    readers, outputs = users(model), {value.name for value in model.graph.output}
    made = (value for node in model.graph.node for value in node.output)
    return [
        name
        for name in made
        if name in readers
        and name not in outputs
        and all(node.op_type == "QuickGelu" for node in readers[name])
    ]


def lower_ends(
    model: Any, names: Sequence[str], samples: Sequence[Feed], ends: Sequence[tuple[float, float]]
) -> list[float]:
    """Where the ranges of gated values had better begin.

    Args:
        model: an ``onnx.ModelProto``.
        names: of the values.
        samples: inputs, one feed each.
        ends: smallest and largest of each value, as calibrated.
    """
    some = picked(model, names, samples)
    return [lower_end(values, *pair) for values, pair in zip(some, ends, strict=True)]


def picked(model: Any, names: Sequence[str], samples: Sequence[Feed]) -> list[Array]:
    """Some numbers of each value over all samples, evenly spread and the same each time."""
    random = np.random.default_rng(0)
    kept: list[list[Array]] = [[] for _ in names]
    for values in probed(model, names, samples):
        for parts, value in zip(kept, values, strict=True):
            flat = value.reshape(-1)
            step = max(1, flat.size // _KEPT)
            parts.append(flat[int(random.integers(step)) :: step].copy())
    return [np.concatenate(parts) for parts in kept]


def lower_end(values: Array, low: float, high: float) -> float:
    """The lower end with the least squared error after x * sigmoid(x): the given one or a nearer one."""
    want = _silu(values)
    tried = [low, *(end for end in _LOWER if end > low)]
    errors = [float(np.square(_silu(rounded(values, end, high)) - want).mean()) for end in tried]
    return tried[int(np.argmin(errors))]


def rounded(values: Array, low: float, high: float) -> Array:
    """Values as 8 bits between two ends hold them; zero is always one of the numbers."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = max((high - low) / 255, float(np.finfo(np.float32).tiny))
    zero = np.rint(-low / step)
    numbers: Array = (np.clip(np.rint(values / step) + zero, 0, 255) - zero) * step
    return numbers


def _silu(values: Array) -> Array:
    return np.asarray(values / (1 + np.exp(-np.clip(values, -60, 60))))
