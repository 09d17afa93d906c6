"""The rules as a tool on their own: somebody's rows in, registrations or their change log out.

Rows of one image are put together first: its count is that of all its animals, its label the one that most
of them have (then the surer one, then the one that sorts first). With ``per_label`` each label of a
deployment is followed on its own, as if it were a deployment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from edge.errors import InterchangeError
from edge.interchange.types import Reject, Row, Sighting
from edge.registration import Change, Engine, MemoryRecord, Observation, Options, Registration, register


@dataclass(slots=True)
class Tally:
    """What became of the rows.

    Attributes:
        rows: read, whatever they were.
        empty: without an animal.
        repeated: told again what was known.
        rejects: that couldn't be used.
    """

    rows: int = 0
    empty: int = 0
    repeated: int = 0
    rejects: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """How rows become registrations.

    Attributes:
        options: the rules'.
        per_label: whether each label of a deployment is followed on its own.
        repeats_add: whether equal rows of one image are more animals.
        strict: whether the first row that can't be used ends it.
        lateness: ms; streaming, registrations close while rows come, once the watermark is past them.
        on_reject: is told each row that can't be used.
        tally: counts.
    """

    options: Options = field(default_factory=Options)
    per_label: bool = False
    repeats_add: bool = True
    strict: bool = False
    lateness: int | None = None
    on_reject: Callable[[Reject], None] = lambda _: None
    tally: Tally = field(default_factory=Tally)


def batch(rows: Iterable[Row], job: Job) -> list[Registration]:
    """The registrations of all rows, by deployment and start.

    Raises:
        InterchangeError: ``strict``, and a row can't be used.
    """
    images = _Images(job)
    for _ in images.steps(rows):
        pass
    found = [_named(r, job) for r in register(images.observations(), job.options)]
    return sorted(found, key=lambda r: (r.deployment, r.first, r.label))


def stream(rows: Iterable[Row], job: Job) -> Iterator[Change]:
    """The change log of rows that the engine is given one at a time, in the order in which they come.

    At the end everything is closed.

    Raises:
        InterchangeError: ``strict``, and a row can't be used.
    """
    engine = Engine(job.options, MemoryRecord())
    newest: dict[str, int] = {}
    for old, new in _Images(job).steps(rows):
        # A further row of an image that is on record corrects it.
        changes = engine.accept([new]) if old is None else engine.amend([old], [new])
        newest[new.deployment] = max(newest.get(new.deployment, new.t), new.t)
        if job.lateness is not None:
            changes += engine.advance(new.deployment, newest[new.deployment] - job.lateness)
        yield from (_change(change, job) for change in changes)
    for deployment in sorted(newest):
        yield from (_change(change, job) for change in engine.close(deployment))


class _Images:
    """The images so far, each with what its rows say together."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._known: dict[tuple[str, str], Observation] = {}
        self._several: dict[tuple[str, str], list[Sighting]] = {}

    def observations(self) -> Iterable[Observation]:
        """One for each image with animals."""
        return self._known.values()

    def steps(self, rows: Iterable[Row]) -> Iterator[tuple[Observation | None, Observation]]:
        """For each row that says something new: the image before (None: it wasn't known) and after."""
        tally, per_label = self._job.tally, self._job.per_label
        for row in rows:
            tally.rows += 1
            if isinstance(row, Reject):
                self._reject(row)
            elif row.animals < 1:
                tally.empty += 1
            else:
                track = _track(row.deployment, row.label) if per_label else row.deployment
                if (step := self._take(track, row)) is not None:
                    yield step

    def _take(self, track: str, row: Sighting) -> tuple[Observation | None, Observation] | None:
        key = (track, row.media)
        old = self._known.get(key)
        if old is None:
            new = Observation(track, row.media, row.t, row.label, row.animals, row.confidence)
            self._known[key] = new
            return None, new
        if old.t != row.t:
            self._reject(Reject(row.where, "time", str(row.media), "the time that an earlier row has for it"))
            return None
        rows = self._several.setdefault(key, [_as_row(old)])
        if not self._job.repeats_add and any(row[4:] == other[4:] for other in rows):
            self._job.tally.repeated += 1
            return None
        rows.append(row)
        self._known[key] = new = _together(track, rows)
        return old, new

    def _reject(self, reject: Reject) -> None:
        if self._job.strict:
            raise InterchangeError("a row can't be used", subject=str(reject))
        self._job.tally.rejects += 1
        self._job.on_reject(reject)


def _as_row(o: Observation) -> Sighting:
    return Sighting("", o.deployment, o.media_id, o.t, o.label, o.count, o.confidence)


def _together(track: str, rows: list[Sighting]) -> Observation:
    counts: dict[str, int] = {}
    best: dict[str, int] = {}
    for row in rows:
        if row.label is not None:
            counts[row.label] = counts.get(row.label, 0) + row.animals
            best[row.label] = max(best.get(row.label, 0), row.confidence)
    label = min(counts, key=lambda name: (-counts[name], -best[name], name), default=None)
    confidence = best[label] if label is not None else 0
    first = rows[0]
    return Observation(track, first.media, first.t, label, sum(row.animals for row in rows), confidence)


def _track(deployment: str, label: str | None) -> str:
    """What stands for a label of a deployment; both can be read from it again."""
    return json.dumps([deployment, label])


def _named(registration: Registration, job: Job) -> Registration:
    if not job.per_label:
        return registration
    deployment, _ = json.loads(registration.deployment)
    return replace(registration, deployment=deployment)


def _change(change: Change, job: Job) -> Change:
    return Change(change.kind, _named(change.registration, job)) if job.per_label else change
