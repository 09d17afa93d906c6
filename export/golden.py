"""The self-test's samples: inputs, and what the fp32 graphs make of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ExportError
from edge.vision.session import Model

Array = NDArray[Any]
Feed = Mapping[str, Array]


def run_samples(graph: Path, feed: Feed) -> dict[str, Array]:
    """Outputs of a graph for samples along axis 0, one after the other as the device runs them."""
    model = Model(graph)
    count = len(next(iter(feed.values())))
    runs = [
        model.run({name: array[i : i + 1] for name, array in feed.items()}, model.outputs)
        for i in range(count)
    ]
    return {name: np.concatenate([run[i] for run in runs]) for i, name in enumerate(model.outputs)}


def write_golden(path: Path, graphs: Mapping[str, Path], feeds: Mapping[str, Feed]) -> None:
    """Write ``golden.npz``.

    Args:
        path: of the file.
        graphs: fp32 graph by part (``detector``, ``visual``, ``text``).
        feeds: inputs by part, at least two samples along axis 0. Outputs are kept as float16, which is
            closer than any provider has to come.

    Raises:
        ExportError: an output isn't finite, or too large for float16.
    """
    content: dict[str, Array] = {}
    for part, feed in feeds.items():
        content |= {f"{part}.input.{name}": array for name, array in feed.items()}
        outputs = run_samples(graphs[part], feed)
        content |= {f"{part}.output.{name}": _short(name, array) for name, array in outputs.items()}
    np.savez_compressed(path, allow_pickle=False, **content)


def _short(name: str, array: Array) -> Array:
    if not (np.abs(array) <= np.finfo(np.float16).max).all():
        raise ExportError(
            "output can't be kept for the self-test", subject=name, hint="beyond float16, or NaN"
        )
    return array.astype(np.float16)
