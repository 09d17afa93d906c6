"""The one writer of a collection: outcomes of a group of files in one transaction, and files that went away.

A content is on record once, under one of its paths, and stays as long as a path has it. A file that was moved
or renamed is a path that vanished and another with the same content, so the picture just changes its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from edge.intake.identity import deployment_of
from edge.intake.moment import moment
from edge.service.looker import COPY
from edge.service.work import Outcome, now_ms
from edge.settings import IntakeSettings
from edge.store.collecting import Holder, Holdings
from edge.store.database import Database
from edge.store.ledger import Fate, Ledger
from edge.store.media import MediaRow, MediaStore
from edge.store.record import SqliteRecord
from edge.store.requests import Reprocessing, Seen

_GROUP: Final = 500


@dataclass(slots=True)
class Vanished:
    """What became of paths that aren't there any more.

    Attributes:
        missing: pictures that no file has any more; still on record unless they were to be removed.
        removed: how many of them were removed.
        moved: paths whose content another path has.
    """

    missing: list[str] = field(default_factory=list)
    removed: int = 0
    moved: int = 0


class Keeper:
    """Writes a collection's database. Used from one thread.

    Attributes:
        tallies: outcomes that were put on record, by name: ``new``, ``renewed``, ``duplicate``,
            ``set_aside``, ``quarantined``, ``unreadable``, ``gone``.
    """

    def __init__(self, database: Database, bundle: str, settings: IntakeSettings) -> None:
        """Write what a bundle has seen.

        Args:
            database: of the collection.
            bundle: SHA-256 of the bundle that looks.
            settings: patterns and zones.
        """
        self._db = database
        self._bundle = bundle
        self._settings = settings
        self._ledger = Ledger(database)
        self._media = MediaStore(database)
        self._holdings = Holdings(database)
        self._again = Reprocessing(database)
        self._animals = SqliteRecord(database)
        self.tallies: Counter[str] = Counter()

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Commit a group of outcomes.

        Raises:
            StoreError: nothing of the group was recorded.
        """
        counted = []
        with self._db.transaction():
            for outcome in outcomes:
                before = self._holdings.content_of(outcome.fate.file)
                fate, what = self._take(outcome, before)
                self._ledger.settle([fate], now=now_ms())
                if before is not None and before != fate.media_id:
                    self._release(before)
                counted.append(what)
        self.tallies.update(counted)

    def settle_vanished(self, files: Sequence[str], *, prune: bool) -> Vanished:
        """Put on record that files aren't there any more, once a whole pass has shown it.

        Args:
            files: on record, and not there.
            prune: remove pictures that no other file has; otherwise they stay and are told of.
        """
        found = Vanished()
        gone = frozenset(files)
        for group in _groups(files):
            with self._db.transaction():
                for file in group:
                    self._settle_one(file, gone, found, prune=prune)
        return found

    def _take(self, outcome: Outcome, before: str | None) -> tuple[Fate, str]:
        """The line for the ledger, and what it is counted as."""
        fate = outcome.fate
        if outcome.unreadable or fate.state == "gone":
            return replace(fate, media_id=before), "unreadable" if outcome.unreadable else "gone"
        media = outcome.media
        if media is None:
            return (self._copy(fate) if fate.state == "duplicate" else fate), fate.state
        if not self._media.add(media, outcome.others):
            renewed = self._renew(outcome, media)
            return self._copy(fate), "renewed" if renewed else "duplicate"
        if outcome.observation:
            self._animals.add(outcome.observation)
        return fate, "new"

    def _copy(self, fate: Fate) -> Fate:
        """A file whose content is on record: another one, or the same after its mtime changed."""
        if fate.media_id is not None and self._media.file_of(fate.media_id) == fate.file:
            return replace(fate, state="processed", reason="")
        return replace(fate, state="duplicate", reason=COPY)

    def _renew(self, outcome: Outcome, media: MediaRow) -> bool:
        """Put what this bundle sees in place of what another saw; False where there is nothing to do."""
        place = self._again.place(media.media_id)
        if place is None or self._holdings.is_of(media.media_id, self._bundle):
            return False
        seen = Seen(media.bundle, media.detections, outcome.others, media.embeddings, "", media.night)
        self._again.replace(place, seen)
        self._holdings.forget_animals(media.media_id)
        if outcome.observation:
            observation = replace(outcome.observation, deployment=place.deployment, t=place.taken)
            self._animals.add(observation)
        return True

    def _release(self, media_id: str) -> None:
        """After a path has lost a content: another path names it, or it goes."""
        holders = self._holdings.holders(media_id)
        if not holders:
            self._holdings.forget_content(media_id)
        elif self._media.file_of(media_id) not in {holder.file for holder in holders}:
            self._rename(media_id, holders[0])

    def _rename(self, media_id: str, holder: Holder) -> None:
        named = self._holdings.named(media_id)
        if named is None:
            return
        deployment = deployment_of(holder.file, self._settings)
        taken, offset = named.taken, named.offset_minutes
        if named.time_source != "exif":
            again = moment(None, holder.file, holder.mtime_ns, deployment, self._settings)
            taken, offset = again.taken_ms, again.offset_minutes
        self._holdings.name(media_id, holder.file, deployment, taken, offset)

    def _settle_one(self, file: str, gone: frozenset[str], found: Vanished, *, prune: bool) -> None:
        media_id = self._holdings.content_of(file)
        elsewhere = media_id and any(h.file not in gone for h in self._holdings.holders(media_id))
        if media_id and not elsewhere and not prune:
            found.missing.append(file)
            return
        self._holdings.forget_files([file])
        if media_id:
            self._release(media_id)
            found.moved += bool(elsewhere)
            found.removed += not elsewhere


def _groups(files: Sequence[str]) -> Iterator[Sequence[str]]:
    return (files[at : at + _GROUP] for at in range(0, len(files), _GROUP))
