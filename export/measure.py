"""What is measured of a graph, and of one against another. Pure, apart from the clock in ``paired``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SIZES = (("small", 0.0, 0.01), ("medium", 0.01, 0.1), ("large", 0.1, 1.01))
"""Sizes of boxes by their share of the image: below 1 %, below 10 %, above."""
_SAME = 0.5  # overlap from which two boxes are the same one


_FEWEST_TURNS = 9
_Z = 1.959964  # of a normal distribution's middle 95 %


@dataclass(frozen=True)
class Share:
    """So many of so many; few of them say little, and the interval shows it."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share; 1 of nothing, since nothing was missed."""
        return self.hits / self.of if self.of else 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies with 95 % certainty (Wilson, "Probable Inference", 1927)."""
        if not self.of:
            return 0.0, 1.0
        centre = self.value + _Z**2 / (2 * self.of)
        spread = _Z * math.sqrt(self.value * (1 - self.value) / self.of + _Z**2 / (4 * self.of**2))
        scale = 1 + _Z**2 / self.of
        # The share itself lies inside, whatever rounding says where it is 0 or 1.
        return min(self.value, (centre - spread) / scale), max(self.value, (centre + spread) / scale)

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.hits}/{self.of})"


@dataclass(frozen=True)
class Vectors:
    """How near embeddings come to their reference.

    Attributes:
        samples: how many were compared.
        mean, p1, minimum: cosine: mean, first percentile, worst.
        agreement: share of samples whose likeliest label is the same as the reference's.
        sure_agreement: the same among those where the reference is sure (its probability is at least 0.5).
        same: ``agreement`` in counts.
        sure: ``sure_agreement`` in counts.
        cosines: of each sample, for a histogram.
    """

    samples: int
    mean: float
    p1: float
    minimum: float
    agreement: float
    sure_agreement: float
    same: Share = Share(0, 0)
    sure: Share = Share(0, 0)
    cosines: tuple[float, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True)
class Boxes:
    """How well boxes are found again, all and by size; of a size without boxes there is no entry.

    Attributes:
        found: the reference's boxes.
        recall, precision: shares at an overlap of half.
        recalled, precise: the same in counts.
        images: how many were compared.
        same_count: images in which both find equally many.
        emptied: images in which the reference finds something and the other nothing: animals lost.
        filled: images in which only the other finds something: false alarms.
        near_recalled, near_precise: all of them once more, counting as found what the other side scores a
            little below the threshold too; without scores there are none. A box that rounding moves over the
            threshold isn't lost or made up, and what these lack is.
    """

    found: int
    recall: dict[str, float]
    precision: dict[str, float]
    recalled: dict[str, Share] = field(default_factory=dict)
    precise: dict[str, Share] = field(default_factory=dict)
    images: int = 0
    same_count: int = 0
    emptied: int = 0
    filled: int = 0
    near_recalled: Share | None = None
    near_precise: Share | None = None


@dataclass(frozen=True)
class Spread:
    """The middle of many measurements, and the middle half of them."""

    q1: float
    median: float
    q3: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Quartiles of values, at least one."""
        return cls(*(float(value) for value in np.percentile(values, (25, 50, 75))))


@dataclass(frozen=True)
class Paired:
    """Times of two callables run in turns, milliseconds, and of each turn the ratio: reference / run."""

    run: Spread
    reference: Spread
    ratio: Spread


@dataclass(frozen=True)
class Cost:
    """What a graph costs.

    Attributes:
        bytes: of its file.
        load_ms: time to open a session.
        run_ms: median of single runs, one thread.
        reference_ms: the same of the reference, run in turns with it.
        paired: quartiles of both; None if no time was measured.
    """

    bytes: int
    load_ms: float
    run_ms: float
    reference_ms: float
    paired: Paired | None = None

    @classmethod
    def of(cls, size: int, load_ms: float, times: Paired) -> Self:
        """With times that were measured in turns."""
        return cls(size, load_ms, times.run.median, times.reference.median, times)

    @property
    def speedup(self) -> float:
        """How many times as fast as the reference; without end if no time was measured."""
        if self.paired is not None:
            return self.paired.ratio.median
        return self.reference_ms / self.run_ms if self.run_ms else math.inf


def vectors(reference: Array, got: Array, labels: Array, scale: float) -> Vectors:
    """Compare embeddings.

    Args:
        reference: samples x dimension, L2-normalised, at least one sample.
        got: the same samples by the other graph.
        labels: labels x dimension, L2-normalised: what the samples are told apart by.
        scale: that multiplies a cosine before the softmax.
    """
    cosines = (reference * got).sum(axis=1)
    want, have = reference @ labels.T, got @ labels.T
    equal = want.argmax(axis=1) == have.argmax(axis=1)
    sure = _softmax(want * scale).max(axis=1) >= 0.5
    same, same_sure = (Share(int(part.sum()), len(part)) for part in (equal, equal[sure]))
    return Vectors(
        len(cosines),
        float(cosines.mean()),
        float(np.percentile(cosines, 1)),
        float(cosines.min()),
        same.value,
        same_sure.value,
        same,
        same_sure,
        tuple(float(cosine) for cosine in cosines),
    )


def boxes(reference: Sequence[Array], got: Sequence[Array]) -> Boxes:
    """Recall and precision against the reference's boxes.

    Each box has at most one partner, and as many pairs are made as can be.

    Args:
        reference: per image n x 4: left, top, right, bottom, 0 to 1; or n x 5 with a number for the kind
            behind them, which partners have to share.
        got: the same images by the other graph.
    """
    recalled, precise = _Tally(), _Tally()
    counts = [(len(wants), len(have)) for wants, have in zip(reference, got, strict=True)]
    for wants, have in zip(reference, got, strict=True):
        pairs = matched(wants, have)
        recalled.add(wants, {i for i, _ in pairs})
        precise.add(have, {j for _, j in pairs})
    in_counts, in_counts_too = recalled.shares(), precise.shares()
    return Boxes(
        found=sum(map(len, reference)),
        recall={name: share.value for name, share in in_counts.items()},
        precision={name: share.value for name, share in in_counts_too.items()},
        recalled=in_counts,
        precise=in_counts_too,
        images=len(counts),
        same_count=sum(want == have for want, have in counts),
        emptied=sum(want > 0 and have == 0 for want, have in counts),
        filled=sum(want == 0 and have > 0 for want, have in counts),
    )


def scored_boxes(reference: Sequence[Array], got: Sequence[Array], thresholds: Sequence[float]) -> Boxes:
    """The same of boxes with scores: strictly at the thresholds, and with partners from below them.

    Args:
        reference: per image n x 6: left, top, right, bottom, number of the kind, score; also those as
            far below the thresholds as a partner may lie.
        got: the same images by the other graph.
        thresholds: of each kind.
    """
    wanted, found = ([_above(rows, thresholds) for rows in side] for side in (reference, got))
    every, others = ([rows[:, :5] for rows in side] for side in (reference, got))
    recalled, precise = boxes(wanted, others).recalled, boxes(every, found).precise
    nothing = Share(0, 0)
    return replace(
        boxes(wanted, found),
        near_recalled=recalled.get("all", nothing),
        near_precise=precise.get("all", nothing),
    )


def _above(rows: Array, thresholds: Sequence[float]) -> Array:
    limits = np.asarray(thresholds, np.float64)[rows[:, 4].astype(np.intp)]
    return rows[rows[:, 5] >= limits, :5]


class _Tally:
    """Counts hits by size of box."""

    def __init__(self) -> None:
        self._hits: list[bool] = []
        self._areas: list[float] = []

    def add(self, found: Array, hits: set[int]) -> None:
        """The boxes of one image, and which of them have a partner."""
        self._hits.extend(index in hits for index in range(len(found)))
        self._areas.extend(float((box[2] - box[0]) * (box[3] - box[1])) for box in found)

    def shares(self) -> dict[str, Share]:
        """All, and by size; nothing of a size without boxes."""
        hit, area = np.array(self._hits, bool), np.array(self._areas)
        parts = {"all": hit} | {name: hit[(area >= low) & (area < high)] for name, low, high in SIZES}
        return {name: Share(int(part.sum()), len(part)) for name, part in parts.items() if len(part)}


def matched(wanted: Array, others: Array) -> list[tuple[int, int]]:
    """Pairs of boxes that overlap by half or more, as many as there can be, no box in two.

    Partners are looked for along augmenting paths (Berge, "Two Theorems in Graph Theory", 1957), those that
    overlap most first; so the number of pairs doesn't depend on who is compared with whom.

    Args:
        wanted: n x 4, or n x 5 with a kind.
        others: m x 4, or m x 5.
    """
    near = [_partners(box, others) for box in wanted]
    partner: dict[int, int] = {}

    def seek(index: int, tried: set[int]) -> bool:
        for other in near[index]:
            if other in tried:
                continue
            tried.add(other)
            if other not in partner or seek(partner[other], tried):
                partner[other] = index
                return True
        return False

    for index in range(len(wanted)):
        seek(index, set())
    return sorted((index, other) for other, index in partner.items())


def _partners(box: Array, others: Array) -> list[int]:
    """Those that a box may be paired with, the best overlap first."""
    if not len(others):
        return []
    shares = overlap(box, others)
    if len(box) > 4:
        shares = np.where(others[:, 4] == box[4], shares, 0.0)
    order = np.argsort(-shares, kind="stable")
    return [int(other) for other in order if shares[other] >= _SAME]


def overlap(box: Array, others: Array) -> Array:
    """Intersection over union of one box with n others."""
    left, top = np.maximum(box[0], others[:, 0]), np.maximum(box[1], others[:, 1])
    right, bottom = np.minimum(box[2], others[:, 2]), np.minimum(box[3], others[:, 3])
    inner = np.clip(right - left, 0, None) * np.clip(bottom - top, 0, None)
    outer = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    union: Array = (box[2] - box[0]) * (box[3] - box[1]) + outer - inner
    return np.asarray(inner / np.maximum(union, np.finfo(np.float64).tiny))


def paired(
    run: Callable[[], object], reference: Callable[[], object], rounds: int = 60, seconds: float = 3.0
) -> Paired:
    """Times of both, run in turns so that other load falls on both.

    Who begins a turn changes with the turn: whoever runs second finds the caches as the first left them.

    Args:
        run: what is measured.
        reference: what it is compared with.
        rounds: at most so many turns, after one that isn't counted.
        seconds: after which no new turn begins, once there are nine.
    """
    times: tuple[list[float], list[float]] = ([], [])
    began = time.perf_counter()
    while len(times[0]) <= rounds:
        if len(times[0]) > _FEWEST_TURNS and time.perf_counter() - began > seconds:
            break
        turn = ((run, times[0]), (reference, times[1]))
        for callee, spent in turn if len(times[0]) % 2 else reversed(turn):
            start = time.perf_counter()
            callee()
            spent.append((time.perf_counter() - start) * 1e3)
    ours, theirs = (spent[1:] for spent in times)
    ratios = [slow / max(quick, 1e-9) for quick, slow in zip(ours, theirs, strict=True)]
    return Paired(Spread.of(ours), Spread.of(theirs), Spread.of(ratios))


def plain(measured: object) -> Any:
    """A measurement as JSON takes it: numbers rounded to what is known of them, shares with their counts."""
    if isinstance(measured, Share):
        low, high = measured.interval
        return {"hits": measured.hits, "of": measured.of, "low": round(low, 4), "high": round(high, 4)}
    if isinstance(measured, float):
        return float(f"{measured:.5g}") if math.isfinite(measured) else None
    if isinstance(measured, dict):
        return {key: plain(value) for key, value in measured.items()}
    if isinstance(measured, tuple | list):
        return [plain(value) for value in measured]
    if is_dataclass(measured):
        return {each.name: plain(getattr(measured, each.name)) for each in fields(measured)}
    return measured


def _softmax(logits: Array) -> Array:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Array = weights / weights.sum(axis=1, keepdims=True)
    return shares
