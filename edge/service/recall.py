"""After a database was replaced: corrections that it doesn't know of are made again, from their journal.

An image that isn't on record may come with the drop folder yet, so this begins once that has been read, and
is tried again as long as images are missing. Corrections of another process meanwhile are in the journal
before they are on record; so whenever that has grown, it is read anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from edge.service.clockshift import CHUNK, Shift, believe_again, move_again
from edge.service.relabel import again
from edge.settings import Settings
from edge.store.corrections import Corrections, Placed, Retimed, Span
from edge.store.database import Database
from edge.store.journal import Entry, Journal, Said, in_force

SLICE: Final = 50
"""Labels in one transaction; the writer waits for no more."""
_KEY: Final = "recall"


def is_recalling(database: Database) -> bool:
    """Whether there may be corrections that this database doesn't know of."""
    return database.one("SELECT 1 FROM meta WHERE key = ?", (_KEY,)) is not None


class Recalled(NamedTuple):
    """What a step did: how many images changed, and whether there is more to do at once."""

    images: int
    more: bool


class _Group(NamedTuple):
    """Images of a deployment that one person moved by the same time, ms."""

    deployment: str
    by: int
    made_by: str


class _Label(NamedTuple):
    media_id: str
    said: Said | None
    made_by: str


@dataclass(slots=True)
class _Plan:
    """What is to be done, parts that are one transaction each; and images that aren't on record."""

    missing: int = 0
    times: list[tuple[_Group, Sequence[Retimed]]] = field(default_factory=list)
    trusted: list[tuple[str, Sequence[str]]] = field(default_factory=list)
    labels: list[Sequence[_Label]] = field(default_factory=list)

    def is_done(self) -> bool:
        """Whether nothing is left."""
        return not (self.times or self.trusted or self.labels)


class Recall:
    """Makes corrections again, some in each step.

    Args:
        settings: the rules of registration.
        database: of the daemon, which has read everything that is in the drop folder.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._db = settings, database
        self._journal = Journal(database.path.parent)
        self._read = -1
        self._plan = _Plan()

    def step(self) -> Recalled:
        """Make some again.

        Raises:
            StoreError: nothing was changed.
        """
        read, self._read = self._read, -1  # if this fails, all of it is looked at anew
        with self._db.transaction():
            size = self._journal.size()
            if size != read:
                self._plan = self._planned()
            images = self._next()
            if self._plan.is_done() and not self._plan.missing:
                self._db.execute("DELETE FROM meta WHERE key = ?", (_KEY,))
        if not self._plan.is_done():
            self._read = size
        return Recalled(images, more=not self._plan.is_done())

    def _planned(self) -> _Plan:
        entries = in_force(self._journal.entries())
        named = {m for e in entries for m in (*e.labels, *e.times)}
        return _planned(entries, Corrections(self._db).places(named), len(named))

    def _next(self) -> int:
        """Times before labels: a person's word on an image goes wherever the image does."""
        plan, settings = self._plan, self._settings
        if plan.times:
            group, times = plan.times.pop(0)
            found = {time.media_id: time for time in times}
            shift = Shift(Span(group.deployment), group.by, made_by=group.made_by)
            return move_again(self._db, shift, found, settings).images
        if plan.trusted:
            deployment, media_ids = plan.trusted.pop(0)
            believe_again(self._db, deployment, media_ids, settings)
            return len(media_ids)
        some = plan.labels.pop(0) if plan.labels else ()
        return sum(again(self._db, *label).images for label in some)


def _planned(entries: Sequence[Entry], known: Mapping[str, Placed], named: int) -> _Plan:
    times: dict[_Group, list[Retimed]] = {}
    trusted: dict[str, list[str]] = {}
    labels = [_Label(m, said, e.made_by) for e in entries for m, said in e.labels.items() if m in known]
    for e in entries:
        for time in (time for m, time in e.times.items() if m in known):
            place = known[time.media_id]
            if time.taken != place.taken:
                group = _Group(place.deployment, time.taken - place.taken, e.made_by)
                times.setdefault(group, []).append(time)
            elif time.clock_ok and not place.clock_ok:
                trusted.setdefault(place.deployment, []).append(time.media_id)
    moves = [(group, part) for group, found in times.items() for part in _parts(group, found)]
    pages = [labels[i : i + SLICE] for i in range(0, len(labels), SLICE)]
    return _Plan(named - len(known), moves, list(trusted.items()), list(pages))


def _parts(group: _Group, times: Sequence[Retimed]) -> list[Sequence[Retimed]]:
    """In the order in which none is overtaken by one that follows in a later transaction."""
    ordered = sorted(times, key=lambda time: (time.taken, time.media_id), reverse=group.by > 0)
    return [ordered[i : i + CHUNK] for i in range(0, len(ordered), CHUNK)]
