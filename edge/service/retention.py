"""Making room, a little at a time: delivered messages, snapshots, originals only where a person said so."""

from __future__ import annotations

import logging
import sqlite3
import stat
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

from edge.errors import StoreError
from edge.service.ageing import cutoff, runs_since
from edge.service.choices import Facts, Sized, choose_snapshots, why_kept
from edge.settings import Settings
from edge.store.backup import FOLDER, backups
from edge.store.database import Database
from edge.store.files import free_space
from edge.store.outbox import Outbox
from edge.store.recovery import damaged, parts
from edge.store.retention import Original, Place, Removal, Retention, Snapshot
from edge.store.seam import mapped

log = logging.getLogger("edge")

SLICE: Final = 100
"""Files in one step: some 10 ms on a workstation, less than half a second on an SD card."""
_DAMAGED_KEPT: Final = 2
EVER: Final = -(2**62)
_FRESH: Final = 3_600_000
"""ms; a snapshot that was just taken is about to be sent."""


class Step(NamedTuple):
    """What a step did: how many it removed, and whether there may be more to do at once."""

    removed: int
    more: bool


class Cleaner:
    """Removes what the settings say needn't be kept. Used from one thread.

    Args:
        settings: all of them.
        database: the daemon's.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._db = database
        self._retention = Retention(database)
        self._place = Place()
        self._seq = 0

    def step(self, now: int, *, since: int = EVER) -> Step:
        """Remove some.

        Args:
            now: the device's time, ms UTC.
            since: since when its clock runs as time does (``edge.service.ageing``); nothing goes for its age
                unless that is long enough ago.

        Raises:
            DiskFullError: not even that can be written down now.
            StoreError: a file can't be removed.
        """
        messages, originals = self._messages(now, since), self._originals(now, since)
        removed = [self._snapshots(now, since), self._damaged(now)]
        more = messages.more or originals.more or max(removed) >= SLICE
        return Step(messages.removed + originals.removed + sum(removed), more)

    def _messages(self, now: int, since: int) -> Step:
        keep = self._settings.store.keep_acknowledged
        before = cutoff(now, keep, since)
        if before is None:
            return Step(0, more=False)
        with self._db.transaction():
            number, after = Outbox(self._db).prune(before, 5 * SLICE, self._seq)
            if number:
                what = "delivered messages"
                self._retention.record(
                    [Removal(now, "message", what, number, 0, f"older than {_days(keep)}")]
                )
        self._seq = after
        return Step(number, more=after > 0)

    def _snapshots(self, now: int, since: int) -> int:
        store = self._settings.store
        lacking = store.snapshots_free - free_space(self._settings.state)
        before = None if store.keep_snapshots is None else cutoff(now, store.keep_snapshots, since)
        limit = now - _FRESH if lacking > 0 else before
        found = [] if limit is None else self._retention.snapshots(limit, SLICE)
        chosen = choose_snapshots([self._sized(s) for s in found], before=before, lacking=lacking)
        if not chosen:
            return 0
        size = sum(snapshot.size for snapshot in chosen)
        reason = f"less than {store.snapshots_free} bytes free" if lacking > 0 else "too old"
        removal = Removal(now, "snapshot", f"{chosen[0].name} ...", len(chosen), size, reason)
        self._retention.forget_snapshots([s.media_id for s in found[: len(chosen)]], removal)
        _unlink(self._settings.state / snapshot.name for snapshot in chosen)
        return len(chosen)

    def _sized(self, snapshot: Snapshot) -> Sized:
        size = 0
        with suppress(OSError):  # gone already: off the record with it
            size = (self._settings.state / snapshot.path).stat().st_size
        return Sized(snapshot.path, size, snapshot.received)

    def _damaged(self, now: int) -> int:
        old = damaged(self._settings.state)[:-_DAMAGED_KEPT]
        for path in old:
            files = parts(path)
            size = sum(file.stat().st_size for file in files)
            reason = f"{_DAMAGED_KEPT} newer ones are kept"
            self._retention.record([Removal(now, "damaged", path.name, 1, size, reason)])
            _unlink(files)
        return len(old)

    def _originals(self, now: int, since: int) -> Step:
        keep = self._settings.store.keep_originals
        before = None if keep is None else cutoff(now, keep, since)
        if keep is None or before is None:
            return Step(0, more=False)
        found = self._retention.originals(self._place, before, SLICE)
        if not found:
            self._place = Place()  # what couldn't go yet is asked for again in the next pass
            return Step(0, more=False)
        self._place = Place(found[-1].received, found[-1].media_id)
        files = [file for file in found if file.name]
        removable = [file for file, why in reasons(self._settings, self._db, files, before) if why is None]
        if removable:
            self._remove(removable, now, f"older than {_days(keep)}, told and backed up")
        return Step(len(removable), more=True)

    def _remove(self, files: Sequence[Original], now: int, reason: str) -> None:
        removals = [Removal(now, "original", file.file, 1, file.size, reason) for file in files]
        self._retention.forget_originals(files, removals, f"removed: {reason}")
        # One that was replaced while this was written down is another one, and stays.
        _unlink(self._settings.drop / f.file for f in files if all(_looked_at(self._settings.drop, f)))
        log.info("removed %d originals from the drop folder: %s", len(files), reason)


class Due(NamedTuple):
    """What the settings say needn't be kept: of what, how many, bytes (0: not known), and by which rule."""

    kind: str
    number: int
    size: int
    rule: str


def due(settings: Settings, database: Database, now: int) -> list[Due]:
    """What would be removed now; nothing is.

    Args:
        settings: all of them.
        database: read-only will do.
        now: the device's time, ms UTC.
    """
    store, retention = settings.store, Retention(database)
    messages = retention.count_messages(_before(database, now, store.keep_acknowledged))
    found = [Due("messages", messages, 0, f"delivered more than {_days(store.keep_acknowledged)} ago")]
    if store.keep_snapshots is not None:
        number = retention.count_snapshots(_before(database, now, store.keep_snapshots))
        found.append(Due("snapshots", number, 0, f"older than {_days(store.keep_snapshots)}"))
    lacking = max(0, store.snapshots_free - free_space(settings.state))
    rule = f"the oldest, until {store.snapshots_free} bytes are free"
    found.append(Due("snapshots", retention.count_snapshots(now - _FRESH) if lacking else 0, lacking, rule))
    return [*found, *_due_originals(settings, database, now)]


def _due_originals(settings: Settings, database: Database, now: int) -> list[Due]:
    keep = settings.store.keep_originals
    if keep is None:
        return [Due("originals", 0, 0, "never (store.keep_originals isn't set)")]
    before, place, tally = _before(database, now, keep), Place(), dict[str, list[int]]()
    while found := Retention(database).originals(place, before, SLICE):
        place = Place(found[-1].received, found[-1].media_id)
        files = [file for file in found if file.name]
        for file, why in reasons(settings, database, files, before):
            tally.setdefault(why or "", []).append(file.size)
    removable = tally.pop("", [])
    rule = f"older than {_days(keep)}, told and backed up"
    kept = [Due("originals", 0, 0, f"{len(sizes)} stay: {why}") for why, sizes in sorted(tally.items())]
    return [Due("originals", len(removable), sum(removable), rule), *kept]


def _before(database: Database, now: int, keep: float) -> int:
    """What is stamped before this is older than may be kept, as far as the daemon knows of the clock."""
    since = runs_since(database)
    before = cutoff(now, keep, EVER if since is None else since)
    return EVER if before is None else before


def reasons(
    settings: Settings, database: Database, files: Sequence[Original], before: int
) -> list[tuple[Original, str | None]]:
    """For each file why it must stay, None where it may go.

    Args:
        settings: where things are.
        database: what is on record.
        files: of images on record.
        before: only older ones may go, ms UTC.
    """
    retention = Retention(database)
    saved = _backed_up(settings, {file.media_id for file in files})
    found: list[tuple[Original, str | None]] = []
    for file in files:
        there, unchanged = _looked_at(settings.drop, file)
        facts = Facts(
            file.received, retention.is_told(file.media_id), file.media_id in saved, there, unchanged
        )
        found.append((file, why_kept(facts, before=before)))
    return found


def _backed_up(settings: Settings, media_ids: set[str]) -> set[str]:
    """Which of these images the newest backup has."""
    existing = backups(settings.state / FOLDER)
    if not existing or not media_ids:
        return set()
    path = existing[-1][1]
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as backup:
            marks = ", ".join("?" * len(media_ids))
            rows = backup.execute(f"SELECT media_id FROM media WHERE media_id IN ({marks})", list(media_ids))  # noqa: S608 - marks only
            return {row[0] for row in rows}
    except sqlite3.Error as error:
        raise mapped(error, path) from error


def _looked_at(drop: Path, file: Original) -> tuple[bool, bool]:
    """Whether a file is there, and is the one that was read. Links are never followed, nor removed."""
    try:
        found = (drop / file.file).lstat()
    except OSError:
        return False, False
    same = (found.st_size, found.st_mtime_ns) == (file.size, file.mtime_ns)
    return True, same and stat.S_ISREG(found.st_mode)


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError("file can't be removed", subject=str(path), hint=str(error)) from error


def _days(seconds: float) -> str:
    return f"{seconds / 86400:g} days"
