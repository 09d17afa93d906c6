"""Floors that a quantised graph has to reach, and what happens below them.

A file is tried in one precision after another, the cheapest first, until one reaches every floor of its
part. If none does, the export fails with what each one lacked, and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edge.errors import GateError
from export.measure import Boxes, Cost, Vectors
from export.visits import Visits


@dataclass(frozen=True)
class VectorFloors:
    """Least agreement of embeddings with fp32."""

    mean: float
    p1: float
    minimum: float
    sure_agreement: float


@dataclass(frozen=True)
class BoxFloors:
    """Least recall and precision against fp32's boxes."""

    recall: float
    precision: float


@dataclass(frozen=True)
class VisitFloors:
    """Most registrations that may come out differently, as a share of fp32's."""

    lost: float
    added: float
    relabelled: float
    recounted: float


VISUAL = VectorFloors(mean=0.995, p1=0.97, minimum=0.93, sure_agreement=0.95)
TEXT = VectorFloors(mean=0.998, p1=0.996, minimum=0.99, sure_agreement=0.95)
DETECTOR = BoxFloors(recall=0.97, precision=0.97)
VISITS = VisitFloors(lost=0.05, added=0.05, relabelled=0.1, recounted=0.1)


@dataclass(frozen=True)
class Candidate:
    """One precision to try.

    Attributes:
        precision: its name for the manifest and the report.
        build: makes the graph; called only if the ones before it failed.
        unquantised: nodes left in float32.
        why: they were.
        pays: how many times as fast as fp32 it has to be for its loss to pay; 0: its size is reason enough.
    """

    precision: str
    build: Callable[[], Any]
    unquantised: tuple[str, ...] = ()
    why: str = ""
    pays: float = 0.0


@dataclass(frozen=True)
class Measured:
    """A candidate's graph with what was measured of it."""

    candidate: Candidate
    model: Any
    quality: Vectors | Boxes
    cost: Cost


def shortfalls(measured: Measured, floors: VectorFloors | BoxFloors) -> list[str]:
    """The floors that weren't reached, each with what was measured; empty means it passes."""
    quality = measured.quality
    if isinstance(quality, Vectors):
        values = {
            "mean": quality.mean,
            "p1": quality.p1,
            "minimum": quality.minimum,
            "sure_agreement": quality.sure_agreement,
        }
    else:
        values = {"recall": quality.recall.get("all", 1.0), "precision": quality.precision.get("all", 1.0)}
    values["speedup"] = measured.cost.speedup
    least = {**vars(floors), "speedup": measured.candidate.pays}
    return [
        f"{name} {values[name]:.4f} < {floor:.4f}"
        for name, floor in least.items()
        if not values[name] >= floor
    ]


def visit_shortfalls(visits: Visits, floors: VisitFloors) -> list[str]:
    """The visit floors that weren't kept; one visit is always allowed, since few images make few visits."""
    most = max(visits.reference, 1)
    return [
        f"{name} {getattr(visits, name)} of {visits.reference}"
        for name, share in vars(floors).items()
        if getattr(visits, name) > max(1, share * most)
    ]


def choose(
    part: str,
    candidates: Iterable[Candidate],
    measure: Callable[[Candidate, Any], Measured],
    floors: VectorFloors | BoxFloors,
    sensitive: Callable[[], Sequence[str]] = tuple,
) -> tuple[Measured, list[str]]:
    """The first candidate that reaches the floors, and why the ones before it didn't.

    Args:
        part: what is being decided, for the error.
        candidates: cheapest first; made lazily.
        measure: a candidate and its graph to numbers.
        floors: to reach.
        sensitive: names of the nodes that lose the most, asked only for the error.

    Raises:
        GateError: no candidate reaches them.
    """
    refused: list[str] = []
    for candidate in candidates:
        measured = measure(candidate, candidate.build())
        lacking = shortfalls(measured, floors)
        if not lacking:
            return measured, refused
        refused.append(f"{candidate.precision}: {', '.join(lacking)}")
    hint = "; ".join(refused) or "nothing was tried"
    nodes = ", ".join(sensitive())
    raise GateError(
        "below the floors in every precision",
        subject=part,
        hint=f"{hint}; most sensitive: {nodes}" if nodes else hint,
    )
