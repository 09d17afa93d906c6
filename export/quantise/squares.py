"""Ranges of least squared error: what a value's rounding does to whoever reads it, kept as small as it gets.

The largest value that calibration saw is a poor end of a range where a few values are ten times as large as
the others: one step then is larger than most of what is to be told apart. So the ends are searched for. Where
only x * sigmoid(x) reads a value, the error is taken after it, and what it makes zero of needs no numbers.
(Ranges by least squared error: Banner et al., "Post training 4-bit quantization of convolutional networks",
2019.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.quantise.graphs import Array, Feed, probed, users

_KEPT = 2000  # values of each tensor and sample
_SHARES = tuple(np.round(np.arange(1.0, 0.25, -0.05), 2))
_LOWER = (-np.inf, -20.0, -12.0, -8.0, -6.0, -5.0, -4.0, -3.0)
"""Lower ends that are tried for what x * sigmoid(x) reads; it is -0.14 at -3 and -0.003 at -8."""


@dataclass(frozen=True)
class Seen:
    """What was seen of a value: its ends, and some of its numbers, picked evenly."""

    low: float
    high: float
    some: Array


def collected(model: Any, names: Sequence[str], samples: Sequence[Feed]) -> dict[str, Seen]:
    """Run samples and keep what some float values were.

    Args:
        model: an ``onnx.ModelProto``.
        names: of the values.
        samples: inputs, one feed each.
    """
    random = np.random.default_rng(0)
    ends: dict[str, tuple[float, float]] = {}
    some: dict[str, list[Array]] = {name: [] for name in names}
    for values in probed(model, names, samples):
        for name, value in zip(names, values, strict=True):
            flat = value.reshape(-1)
            low, high = ends.get(name, (np.inf, -np.inf))
            ends[name] = (min(low, float(flat.min())), max(high, float(flat.max())))
            step = max(1, flat.size // _KEPT)
            some[name].append(flat[int(random.integers(step)) :: step].copy())
    return {name: Seen(*ends[name], np.concatenate(some[name])) for name in names}


def fitted(model: Any, seen: Mapping[str, Seen]) -> dict[str, tuple[float, float]]:
    """Smallest and largest number that int8 should hold of each value."""
    readers = users(model)
    return {name: _fit(each, gated=_is_gated(name, readers)) for name, each in seen.items()}


def has_silu(model: Any) -> bool:
    """Whether a graph has x * sigmoid(x) anywhere, fused or not."""
    return any(node.op_type in ("QuickGelu", "Sigmoid") for node in model.graph.node)


def _is_gated(name: str, readers: Mapping[str, Sequence[Any]]) -> bool:
    nodes = readers.get(name, ())
    return bool(nodes) and all(node.op_type == "QuickGelu" for node in nodes)


def _fit(seen: Seen, *, gated: bool) -> tuple[float, float]:
    read: Callable[[Array], Array] = _silu if gated else _same
    want = read(seen.some)
    lowers = {max(seen.low, end) for end in _LOWER} if gated else {seen.low}
    tried = [
        (low if gated else low * share, seen.high * share) for low in sorted(lowers) for share in _SHARES
    ]
    errors = [float(np.square(read(rounded(seen.some, *ends)) - want).mean()) for ends in tried]
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


def _same(values: Array) -> Array:
    return values
