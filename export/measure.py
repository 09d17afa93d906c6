"""What is measured of a graph, and of one against another. Pure, apart from the clock in ``latency``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SIZES = (("small", 0.0, 0.01), ("medium", 0.01, 0.1), ("large", 0.1, 1.01))
"""Sizes of boxes by their share of the image: below 1 %, below 10 %, above."""
_SAME = 0.5  # overlap from which two boxes are the same one


@dataclass(frozen=True)
class Vectors:
    """How near embeddings come to their reference.

    Attributes:
        samples: how many were compared.
        mean, p1, minimum: cosine: mean, first percentile, worst.
        agreement: share of samples whose likeliest label is the same as the reference's.
        sure_agreement: the same among those where the reference is sure (its probability is at least 0.5).
    """

    samples: int
    mean: float
    p1: float
    minimum: float
    agreement: float
    sure_agreement: float


@dataclass(frozen=True)
class Boxes:
    """How well boxes are found again, all and by size; of a size without boxes there is no entry."""

    found: int
    recall: dict[str, float]
    precision: dict[str, float]


@dataclass(frozen=True)
class Cost:
    """What a graph costs.

    Attributes:
        bytes: of its file.
        load_ms: time to open a session.
        run_ms: median of single runs, one thread.
        reference_ms: the same of the reference, run in turns with it.
    """

    bytes: int
    load_ms: float
    run_ms: float
    reference_ms: float

    @property
    def speedup(self) -> float:
        """How many times as fast as the reference; without end if no time was measured."""
        return self.reference_ms / self.run_ms if self.run_ms else math.inf


def vectors(reference: Array, got: Array, labels: Array, scale: float) -> Vectors:
    """Compare embeddings.

    Args:
        reference: samples x dimension, L2-normalised.
        got: the same samples by the other graph.
        labels: labels x dimension, L2-normalised: what the samples are told apart by.
        scale: that multiplies a cosine before the softmax.
    """
    cosines = (reference * got).sum(axis=1)
    want, have = reference @ labels.T, got @ labels.T
    same = want.argmax(axis=1) == have.argmax(axis=1)
    sure = _softmax(want * scale).max(axis=1) >= 0.5
    return Vectors(
        len(cosines),
        float(cosines.mean()),
        float(np.percentile(cosines, 1)),
        float(cosines.min()),
        float(same.mean()),
        float(same[sure].mean()) if sure.any() else 1.0,
    )


def boxes(reference: Sequence[Array], got: Sequence[Array]) -> Boxes:
    """Recall and precision against the reference's boxes.

    Args:
        reference: per image n x 4: left, top, right, bottom, 0 to 1.
        got: the same images by the other graph.
    """
    return Boxes(sum(map(len, reference)), _share(reference, got), _share(got, reference))


def _share(wanted: Sequence[Array], others: Sequence[Array]) -> dict[str, float]:
    """Of the wanted boxes, the share with an equal among the others; all, and by size."""
    hits: list[bool] = []
    areas: list[float] = []
    for wants, have in zip(wanted, others, strict=True):
        for box in wants:
            hits.append(bool(len(have)) and bool(overlap(box, have).max() >= _SAME))
            areas.append(float((box[2] - box[0]) * (box[3] - box[1])))
    hit, area = np.array(hits, bool), np.array(areas)
    shares = {"all": hit} | {name: hit[(area >= low) & (area < high)] for name, low, high in SIZES}
    return {name: float(part.mean()) for name, part in shares.items() if len(part)}


def overlap(box: Array, others: Array) -> Array:
    """Intersection over union of one box with n others."""
    left, top = np.maximum(box[0], others[:, 0]), np.maximum(box[1], others[:, 1])
    right, bottom = np.minimum(box[2], others[:, 2]), np.minimum(box[3], others[:, 3])
    inner = np.clip(right - left, 0, None) * np.clip(bottom - top, 0, None)
    outer = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    union: Array = (box[2] - box[0]) * (box[3] - box[1]) + outer - inner
    return np.asarray(inner / np.maximum(union, np.finfo(np.float64).tiny))


def latency(
    run: Callable[[], object], reference: Callable[[], object], rounds: int = 15
) -> tuple[float, float]:
    """Median milliseconds of both, run in turns so that what else the machine does falls on both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for callee, spent in zip((run, reference), times, strict=True):
            start = time.perf_counter()
            callee()
            spent.append((time.perf_counter() - start) * 1e3)
    warm, warm_reference = (spent[1:] for spent in times)
    return float(np.median(warm)), float(np.median(warm_reference))


def plain(measured: object) -> dict[str, Any]:
    """A measurement as JSON takes it, numbers rounded to what is known of them."""
    return {key: _rounded(value) for key, value in vars(measured).items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _softmax(logits: Array) -> Array:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Array = weights / weights.sum(axis=1, keepdims=True)
    return shares
