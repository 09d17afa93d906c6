"""How far a detector's scores stray from the reference's where they decide about boxes.

Nearly all cells of a detector are background, far below every threshold; errors there change nothing, and
a mean over all cells is made of them. So only cells count in which both graphs together see something, and
logits are compared, in which a threshold is a step of the same height everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.vision import manifest
from edge.vision.heads import KINDS

Array = NDArray[Any]
LEAST = 0.05
"""Geometric mean of both scores from which a cell counts. Were the reference's alone to choose, what it
overrates by chance would seem lost."""

_TINY = 1e-6


def scores(outputs: Mapping[str, Array], section: manifest.Detector) -> Array:
    """Scores of one image, kinds x cells, 0 to 1, classes pooled as the device pools them.

    Args:
        outputs: of the graph, by the decoder's names.
        section: which decoder, and which classes mean what.
    """
    rows = _classes(outputs, section)
    kinds = [
        [i for i, name in enumerate(section.classes) if section.class_map.get(name) == kind] for kind in KINDS
    ]
    return np.stack([np.minimum(np.sqrt(np.square(rows[some]).sum(axis=0)), 1) for some in kinds])


def _classes(outputs: Mapping[str, Array], section: manifest.Detector) -> Array:
    """Scores of classes: classes x cells."""
    if section.decoder == "boxes":
        return np.asarray(outputs["scores"][0], np.float64).T
    if section.decoder == "centernet":
        heat = outputs["heatmap"][0]
        return np.asarray(heat, np.float64).reshape(len(heat), -1)
    heads = [outputs[name][0] for name in sorted(outputs) if name.startswith("scores_")]
    logits = np.concatenate([head.reshape(len(head), -1) for head in heads], axis=1).astype(np.float64)
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))))


def stray(reference: Sequence[Array], got: Sequence[Array]) -> float:
    """Root of the mean squared difference of logits in the cells that count; 0 if there are none.

    Args:
        reference: scores of each image, 0 to 1.
        got: the same images by the other graph.
    """
    squares = [_squares(want, have) for want, have in zip(reference, got, strict=True)]
    every = np.concatenate(squares) if squares else np.empty(0)
    return float(np.sqrt(every.mean())) if every.size else 0.0


def _squares(want: Array, have: Array) -> Array:
    counts = np.sqrt(want * have) > LEAST
    return np.asarray(np.square(_logit(want[counts]) - _logit(have[counts])))


def _logit(score: Array) -> Array:
    inside = np.clip(score, _TINY, 1 - _TINY)
    return np.asarray(np.log(inside / (1 - inside)))
