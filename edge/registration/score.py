"""How well registrations match a truth: the metric of the Ministry of Natural Resources' camera-trap task.

Per deployment and label, both lists are sorted by start and walked side by side. Two match when their
intervals touch; a match adds its IoU and takes both out. Where they don't touch the earlier one is passed
over; a predicted one passed over, or left at the end, is an extra. The score rewards overlap and right
counts and punishes extras::

    score = (sum of IoU / number true) * weighted F1 of the matched counts - 0.5 * extras / number true

Counts of 5 and more are one class. Weighted F1 is the mean of each true class's F1, weighted by how often
it is true. The organisers' own example counts a match as 1 instead of its IoU; ``score_by_matches``
is that variant.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol

MOST = 5
EXTRA_WEIGHT = 0.5


class Event(Protocol):
    """What is scored: a ``Registration``, or anything else with these attributes."""

    @property
    def deployment(self) -> str:
        """Where."""

    @property
    def label(self) -> str:
        """What."""

    @property
    def count(self) -> int:
        """How many, at least 1."""

    @property
    def start(self) -> int:
        """First event time, ms."""

    @property
    def end(self) -> int:
        """Last event time, ms, not before ``start``."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An event by its bare facts, such as a row of a truth table."""

    deployment: str
    label: str
    start: int
    end: int
    count: int


@dataclass(frozen=True, slots=True)
class Score:
    """The metric and what it is made of.

    Attributes:
        true: number of true events.
        predicted: number of predicted events.
        matched: pairs that touch.
        iou: sum of the pairs' IoU.
        f1: weighted F1 of the pairs' counts, 0 to 1; 0 without pairs.
        extras: predicted events without a pair.
        score: the metric; 1 is perfect, it has no lower bound.
        score_by_matches: the same with each pair counted as 1 instead of its IoU.
    """

    true: int
    predicted: int
    matched: int
    iou: float
    f1: float
    extras: int
    score: float
    score_by_matches: float


def score(predicted: Iterable[Event], truth: Iterable[Event]) -> Score:
    """Score predicted events against true ones.

    Args:
        predicted: in any order, of any deployments.
        truth: in any order, of any deployments; at least one.

    Raises:
        ValueError: when there is no true event, since nothing can be measured then.
    """
    mine, theirs = _grouped(predicted), _grouped(truth)
    total = sum(map(len, theirs.values()))
    if not total:
        raise ValueError("there is no true event to score against")
    pairs = [pair for group, events in theirs.items() for pair in _pairs(mine[group], events)]
    found = sum(map(len, mine.values()))
    iou = sum(_iou(a, b) for a, b in pairs)
    f1 = _weighted_f1([(min(a.count, MOST), min(b.count, MOST)) for a, b in pairs])
    penalty = EXTRA_WEIGHT * (found - len(pairs)) / total
    return Score(
        true=total,
        predicted=found,
        matched=len(pairs),
        iou=iou,
        f1=f1,
        extras=found - len(pairs),
        score=iou / total * f1 - penalty,
        score_by_matches=len(pairs) / total * f1 - penalty,
    )


def _grouped(events: Iterable[Event]) -> defaultdict[tuple[str, str], list[Event]]:
    groups: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in sorted(events, key=attrgetter("start", "end")):
        groups[event.deployment, event.label].append(event)
    return groups


def _pairs(predicted: Sequence[Event], truth: Sequence[Event]) -> Iterator[tuple[Event, Event]]:
    """Pairs of (predicted, true) that touch, walking both side by side."""
    p = t = 0
    while p < len(predicted) and t < len(truth):
        mine, theirs = predicted[p], truth[t]
        if mine.end < theirs.start:
            p += 1
        elif theirs.end < mine.start:
            t += 1
        else:
            yield mine, theirs
            p += 1
            t += 1


def _iou(a: Event, b: Event) -> float:
    union = max(a.end, b.end) - min(a.start, b.start)
    return (min(a.end, b.end) - max(a.start, b.start)) / union if union else 1.0


def _weighted_f1(pairs: Sequence[tuple[int, int]]) -> float:
    """Mean F1 of the true classes, weighted by how often each is true; of (predicted, true) pairs."""
    if not pairs:
        return 0.0
    predicted, true = Counter(p for p, _ in pairs), Counter(t for _, t in pairs)
    right = Counter(t for p, t in pairs if p == t)
    return sum(n * 2 * right[c] / (predicted[c] + n) for c, n in true.items()) / len(pairs)
