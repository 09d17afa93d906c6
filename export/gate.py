"""Floors that a quantised graph has to reach, and what happens below them.

Every way to store a graph is tried and measured. A way that misses a floor is mended, step by step, until it
passes or there is nothing left to mend. Of those that pass the fastest is taken. If none does, the export
fails with what each one lacked, and keeps nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Protocol

from edge.errors import GateError
from edge.vision.manifest import Target
from export.floors import BoxFloors, CostFloors, FrameworkFloors, VectorFloors, VisitFloors
from export.measure import Boxes, Cost, Vectors
from export.network import PartName
from export.visits import Visits

_TIE = 0.97
"""Of two times that differ by less than 3 % none is the shorter one; then the smaller file wins."""
_UNSEEN = "fp32 finds nothing on the evaluation images, so nothing can be compared"
_NAMED = 8  # most sensitive nodes that an error names


def _none() -> Iterator[Candidate]:
    return iter(())


@dataclass(frozen=True)
class Candidate:
    """One way to store a graph.

    Attributes:
        precision: its name for the manifest and the report.
        build: makes the graph, an ``onnx.ModelProto``; called only if it is tried.
        unquantised: nodes left in float32.
        why: they were.
        pays: what it has to gain over fp32 for its loss to be worth it; how much is in the floors.
        target: the machine that it is for.
        remedies: the same way mended, cheapest first; asked for only if this one misses a floor of quality.
    """

    precision: str
    build: Callable[[], Any]
    unquantised: tuple[str, ...] = ()
    why: str = ""
    pays: Literal["speed", "size", ""] = ""
    target: Target = "x86"
    remedies: Callable[[], Iterator[Candidate]] = _none


@dataclass(frozen=True)
class Measured:
    """A candidate's file with what was measured of it; no quality where it wasn't worth asking for."""

    candidate: Candidate
    file: Path
    quality: Vectors | Boxes | None
    cost: Cost


@dataclass(frozen=True)
class Tried:
    """A candidate that was measured, and what it lacked: nothing if it passed."""

    measured: Measured
    lacking: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.measured.candidate.precision}: {', '.join(self.lacking)}"


@dataclass(frozen=True)
class Choice:
    """What was decided for one graph and one target.

    Attributes:
        part, target: for which.
        chosen: what was taken.
        tried: everything that was measured, in order; what it lacked is empty for those that passed.
        sensitivity: what quantising each node alone costs, worst first; empty if nobody had to ask.
        judged: whether speed could be measured.
    """

    part: PartName
    target: Target
    chosen: Measured
    tried: tuple[Tried, ...]
    sensitivity: tuple[tuple[str, float], ...] = ()
    judged: bool = True


class Examiner(Protocol):
    """Who measures candidates for :func:`choose`; see :mod:`export.trial`."""

    reference_bytes: int

    def cost(self, candidate: Candidate) -> tuple[Path, Cost]:
        """Build it; its file, and what it costs."""

    def quality(self, file: Path) -> Vectors | Boxes:
        """How near it comes to fp32."""

    def discard(self, file: Path) -> None:
        """The file won't be needed."""


@dataclass(frozen=True)
class Rules:
    """What decides.

    Attributes:
        quality: floors of the part.
        cost: floors of what a loss has to buy.
        judged: whether times mean anything here; without, the order of candidates decides.
    """

    quality: VectorFloors | BoxFloors
    cost: CostFloors = field(default_factory=CostFloors)
    judged: bool = True


def shortfalls(quality: Vectors | Boxes, floors: VectorFloors | BoxFloors) -> list[str]:
    """The floors of quality that weren't reached, each with what was measured; empty means it passes."""
    if isinstance(quality, Vectors):
        values = {name: getattr(quality, name) for name in ("mean", "p1", "minimum", "sure_agreement")}
    else:
        values = {"recall": quality.recall.get("all", 1.0), "precision": quality.precision.get("all", 1.0)}
    return _below(values, dict(floors))


def cost_shortfalls(candidate: Candidate, cost: Cost, reference_bytes: int, rules: Rules) -> list[str]:
    """What a candidate was to gain over fp32 and doesn't."""
    least: dict[str, float] = {}
    if candidate.pays == "speed" and rules.judged:
        least["speedup"] = rules.cost.speedup
    if candidate.pays:
        least["smaller"] = rules.cost.smaller
    return _below({"speedup": cost.speedup, "smaller": reference_bytes / max(cost.bytes, 1)}, least)


def _below(values: dict[str, float], least: dict[str, float]) -> list[str]:
    return [
        f"{name} {_told_apart(values[name], floor)}"
        for name, floor in least.items()
        if not values[name] >= floor
    ]


def _told_apart(value: float, floor: float) -> str:
    """Value and floor with as many digits as it takes to see that one is below the other."""
    for digits in (4, 6, 9):
        text = f"{value:.{digits}f} < {floor:.{digits}f}"
        if f"{value:.{digits}f}" != f"{floor:.{digits}f}":
            break
    return text


def visit_shortfalls(visits: Visits, floors: VisitFloors) -> list[str]:
    """The visit floors that weren't kept.

    A share that is counted on few visits is known badly: as much as its standard deviation (that of a Poisson
    count) is allowed on top, and one visit always.
    """
    return [
        f"{name} {getattr(visits, name)} of {visits.reference}"
        for name, share in dict(floors).items()
        if getattr(visits, name) > allowed_visits(share, visits.reference)
    ]


def allowed_visits(share: float, reference: int) -> int:
    """How many of the reference's visits may differ where a floor allows a share of them."""
    expected = share * reference
    return max(1, math.floor(expected + math.sqrt(expected))) if share else 0


def require_framework(differences: dict[PartName, float], floors: FrameworkFloors) -> None:
    """Compare what fp32 graphs differ from their frameworks with what rounding explains.

    Raises:
        GateError: one differs by more.
    """
    wrong = {part: value for part, value in differences.items() if not value <= floors.difference}
    if wrong:
        raise GateError(
            "fp32 graph differs from its framework",
            subject=", ".join(wrong),
            hint=", ".join(
                f"{part}: difference {v:.2g} > {floors.difference:.2g}" for part, v in wrong.items()
            ),
        )


class Ranking:
    """The most sensitive nodes, worst first: found once, and only if somebody asks."""

    def __init__(self, find: Callable[[], Sequence[tuple[str, float]]] = tuple) -> None:
        self._find = find
        self.found: tuple[tuple[str, float], ...] = ()

    def __call__(self) -> list[str]:
        """Names of the nodes."""
        if not self.found:
            self.found = tuple(self._find())
        return [name for name, _ in self.found]


def choose(
    part: PartName,
    target: Target,
    candidates: Iterable[Candidate],
    examiner: Examiner,
    rules: Rules,
    *,
    ranking: Ranking | None = None,
) -> Choice:
    """The best candidate of those that pass: the fastest; of equally fast ones the smallest.

    Where times can't be judged, or weren't, it is the first that passes.

    Args:
        part: what is being decided.
        target: and for which machine.
        candidates: one for each way to store the graph, made lazily.
        examiner: who measures.
        rules: what decides.
        ranking: the nodes that lose the most; the error names them.

    Raises:
        GateError: no candidate reaches the floors.
    """
    ranking = ranking or Ranking()
    trial = _Trial(examiner, rules)
    for head in candidates:
        trial.way(head)
        if trial.best is not None and not rules.judged:
            break
    if trial.best is None:
        raise _refusal(part, target, trial.tried, ranking)
    return Choice(part, target, trial.best, tuple(trial.tried), ranking.found, rules.judged)


class _Trial:
    """The state of one choice."""

    def __init__(self, examiner: Examiner, rules: Rules) -> None:
        self.examiner, self.rules = examiner, rules
        self.best: Measured | None = None
        self.tried: list[Tried] = []

    def way(self, head: Candidate) -> None:
        """Try one way, then its remedies, until one passes or they can't be worth it."""
        for candidate in chain([head], _late(head.remedies)):
            measured, lacking = self._examine(candidate)
            self.tried.append(Tried(measured, tuple(lacking)))
            if lacking:
                self.examiner.discard(measured.file)
            else:
                self._keep(measured)
            if not lacking or measured.quality is None:  # a remedy costs time and bytes, it never saves them
                return

    def _examine(self, candidate: Candidate) -> tuple[Measured, list[str]]:
        file, cost = self.examiner.cost(candidate)
        lacking = cost_shortfalls(candidate, cost, self.examiner.reference_bytes, self.rules)
        if not lacking and self.best is not None and not self._better(cost):
            lacking = [f"no faster than {self.best.candidate.precision}, which passes"]
        if lacking:
            return Measured(candidate, file, None, cost), lacking
        quality = self.examiner.quality(file)
        if candidate.precision != "fp32" and isinstance(quality, Boxes) and not quality.found:
            return Measured(candidate, file, None, cost), [_UNSEEN]  # of fp32 nothing has to be shown
        return Measured(candidate, file, quality, cost), shortfalls(quality, self.rules.quality)

    def _better(self, cost: Cost) -> bool:
        assert self.best is not None  # noqa: S101 - for the type checker; callers have looked
        known = self.best.cost
        return _faster(cost, known) or (not _faster(known, cost) and cost.bytes < known.bytes)

    def _keep(self, measured: Measured) -> None:
        if self.best is not None:
            self.examiner.discard(self.best.file)
        self.best = measured


def _faster(cost: Cost, other: Cost) -> bool:
    """By the ratio to the reference, which ran in turns with it; so that two rounds can be compared."""
    return other.speedup < cost.speedup * _TIE


def _late(make: Callable[[], Iterator[Candidate]]) -> Iterator[Candidate]:
    """Made only when the first one is asked for."""
    yield from make()


def _refusal(part: PartName, target: Target, tried: Sequence[Tried], ranking: Ranking) -> GateError:
    reasons = "; ".join(map(str, tried)) or "nothing was tried"
    lossy = any(each.measured.quality is not None for each in tried)
    nodes = ", ".join(ranking()[:_NAMED]) if lossy else ""
    return GateError(
        "below the floors in every form",
        subject=f"{part} for {target}",
        hint=f"{reasons}; most sensitive: {nodes}" if nodes else reasons,
    )
