"""A folder into a collection: find, look, keep, and at the end seal the index.

Two passes go through the folder: the first only counts what is new, so that the second can say how far it is,
and with nothing new no model is opened. Several threads look, one commits, a group at a time; an attempt is
committed before a file is looked at, as the daemon does, so that a file that ends the process is looked at
alone the next time, and left alone when it has done so again and again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from edge.errors import DiskFullError, StoreCorruptError, UsageError
from edge.service.collecting.crew import Crew
from edge.service.collecting.gather import Gatherer, WholeEyes
from edge.service.collecting.home import (
    BUNDLE,
    BUSY,
    FINISHED,
    LOCK,
    ROOT,
    WHOLE,
    folder_of,
    original,
    root_of,
)
from edge.service.collecting.keep import Keeper, Vanished
from edge.service.collecting.summary import Progress, Summary, Told
from edge.service.collecting.walk import Walk
from edge.service.indexing import seal
from edge.service.looker import Looker
from edge.service.memory import tame_malloc
from edge.service.models import Models
from edge.service.work import Outcome, now_ms
from edge.settings import Settings
from edge.store.collecting import Holdings
from edge.store.database import Database, open_database
from edge.store.files import StateLock, free_space
from edge.store.ledger import Ledger
from edge.store.names import remember_bundle, remember_labels
from edge.vision.pipeline import Vision
from edge.vision.session import ONNX_RUNTIME, Runtime

_TELL: Final = 500
_ROW: Final = 4096
"""Bytes that an image takes in the database besides its vectors, rounded up."""
_VECTORS: Final = 3
"""Vectors of an image, rounded up; each is in the database and in the index."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a run.

    Attributes:
        root: the folder with the pictures.
        name: of the collection.
        whole: embed whole images only, without looking for animals.
        prune: remove pictures whose files are gone.
        moved: the folder is the one that the collection is of, and lies elsewhere now.
    """

    root: Path
    name: str
    whole: bool = False
    prune: bool = False
    moved: bool = False


def index(
    settings: Settings,
    wish: Wish,
    *,
    stop: threading.Event,
    told: Told = lambda _progress: None,
    runtime: Runtime = ONNX_RUNTIME,
) -> Summary:
    """Bring a collection up to date with its folder; make it where it isn't there.

    It may be ended at any moment, and goes on where it ended when it is called again.

    Args:
        settings: of intake, vision and the store; the collection lies below their state folder.
        wish: what to index, and how.
        stop: set to end it after the pictures in hand.
        told: called now and then from this thread.
        runtime: opens models; tests put their own there.

    Raises:
        UsageError: the folder, the name, or a choice that doesn't fit what is on record.
        BundleError, ProviderError: the models can't be used.
        StoreBusyError: another run works on this collection.
        DiskFullError: there is no space for it; what was committed stays.
        StoreError: the database can't be used.
    """
    folder = folder_of(settings, wish.name)
    root = _checked_root(wish.root)
    models = Models.of(_without_snapshots(settings))
    tame_malloc()
    with StateLock(folder, LOCK, BUSY), closing(_opened(folder)) as database:
        _claim(database, root, wish)
        run = _Run(wish, models, folder=folder, root=root, database=database, stop=stop, told=told)
        return run.run(runtime)


class _Run:
    """One run, under the collection's lock."""

    def __init__(
        self,
        wish: Wish,
        models: Models,
        *,
        folder: Path,
        root: Path,
        database: Database,
        stop: threading.Event,
        told: Told,
    ) -> None:
        self._wish = wish
        self._models = models
        self._settings = models.settings
        self._folder = folder
        self._root = root
        self._db = database
        self._stop = stop
        self._told = told
        self._holdings = Holdings(database)
        self._keeper = Keeper(database, models.sha256, self._settings.intake)
        self._looking = 0.0

    def run(self, runtime: Runtime) -> Summary:
        begun = time.monotonic()
        plan = self._walk()
        todo = self._count(plan)
        if todo and not self._stop.is_set():
            self._look(todo, runtime)
        vanished, kind = Vanished(), ""
        if not self._stop.is_set():
            vanished, kind = self._finish(plan), self._seal()
        return Summary(
            name=self._folder.name,
            root=self._root,
            folder=self._folder,
            pictures=plan.pictures,
            unchanged=plan.unchanged,
            outcomes=dict(self._keeper.tallies),
            refused=self._holdings.refused(),
            skipped=dict(plan.skipped),
            unreadable=plan.unreadable,
            sizes=self._holdings.sizes(),
            seconds=time.monotonic() - begun,
            looking=self._looking,
            stopped=self._stop.is_set(),
            missing=vanished.missing,
            removed=vanished.removed,
            moved=vanished.moved,
            kind=kind,
        )

    def _walk(self) -> Walk:
        again = self._holdings.made_by_others(self._models.sha256)
        return Walk(self._root, self._holdings.known_in, again=again, avoid=self._settings.state)

    def _count(self, plan: Walk) -> int:
        """How many files are to be looked at; the whole folder is gone through, unless told to stop."""
        todo = 0
        for todo, _ in enumerate(plan, start=1):
            if todo % _TELL == 1:
                self._told(Progress("searching", plan.pictures))
            if self._stop.is_set():
                break
        if self._wish.prune and not plan.pictures and self._gone(plan):
            hint = "is it mounted? To remove the whole collection: edge collections remove"
            raise UsageError("folder has no pictures; nothing is removed", subject=str(self._root), hint=hint)
        return todo

    def _look(self, todo: int, runtime: Runtime) -> None:
        self._check_space(todo)
        vision = self._models.open(runtime, self._stop)
        if vision is None:
            return
        remember_bundle(self._db, self._models.sha256, self._models.manifest.name)
        remember_labels(self._db, self._models.labels.scientific_names())
        begun = time.monotonic()
        crew = Crew(
            self._gatherer(vision).look,
            self._recording(todo),
            Ledger(self._db),
            survives=self._models.trial(vision),
            workers=self._settings.vision.worker_count(),
            most_attempts=self._settings.intake.max_attempts,
            stop=self._stop,
        )
        crew.run(self._walk())
        self._looking = time.monotonic() - begun

    def _gatherer(self, vision: Vision) -> Gatherer:
        eyes = WholeEyes(vision) if self._wish.whole else vision
        intake, sha256 = self._settings.intake, self._models.sha256
        looker = Looker(eyes, sha256, intake, state=self._folder, has_media=lambda _media_id: False)
        is_known = partial(self._holdings.is_of, bundle=sha256)
        return Gatherer(eyes, looker, intake, is_known=is_known, whole=self._wish.whole)

    def _recording(self, todo: int) -> Callable[[Sequence[Outcome]], None]:
        done = 0
        self._told(Progress("looking", 0, todo))

        def record(outcomes: Sequence[Outcome]) -> None:
            nonlocal done
            self._check_space(0)
            self._keeper.record(outcomes)
            done += len(outcomes)
            refused = self._keeper.tallies["set_aside"] + self._keeper.tallies["quarantined"]
            self._told(Progress("looking", done, todo, refused))

        return record

    def _check_space(self, images: int) -> None:
        """Refuse to begin what there is no room for, and end before others have none."""
        each = _ROW + 2 * _VECTORS * 2 * self._models.manifest.visual.dimension
        needed = images * each + self._settings.store.low_water
        free = free_space(self._folder)
        if free < needed:
            raise DiskFullError(
                f"{needed >> 20} MB of free space are needed, {free >> 20} MB are there",
                subject=str(self._folder),
                hint="make room, or choose another folder with --state; it goes on where it ended",
            )

    def _finish(self, plan: Walk) -> Vanished:
        """What only a whole pass can say."""
        self._told(Progress("sealing"))
        gone = [f for f in self._gone(plan) if not os.path.lexists(original(self._root, f))]
        vanished = self._keeper.settle_vanished(gone, prune=self._wish.prune)
        with self._db.transaction():
            self._holdings.forget_other_vectors(self._models.sha256)
            self._db.remember(BUNDLE, self._models.manifest.name)
            self._db.remember(FINISHED, str(now_ms()))
        return vanished

    def _seal(self) -> str:
        """Bring the index up to date; returns its kind."""
        dimension = self._models.manifest.visual.dimension
        search, sha256 = self._settings.search, self._models.sha256
        facts = seal(self._folder, self._db, sha256, dimension, search, going=self._goes_on)
        return facts.kind

    def _goes_on(self) -> bool:
        return not self._stop.is_set()

    def _gone(self, plan: Walk) -> list[str]:
        """Paths on record that the folder didn't show."""
        lost = plan.lost(self._holdings.folders())
        inside = [f"{folder}/{name}" for folder in lost for name in self._holdings.known_in(folder)]
        return sorted([*plan.vanished, *inside])


def _without_snapshots(settings: Settings) -> Settings:
    """The originals stay where they are."""
    vision = settings.vision.model_copy(update={"snapshots": False})
    return settings.model_copy(update={"vision": vision})


def _checked_root(root: Path) -> Path:
    try:
        resolved = root.resolve(strict=True)
        if not resolved.is_dir():
            raise UsageError("not a folder", subject=str(root))
        os.scandir(resolved).close()
    except OSError as error:
        raise UsageError("folder can't be read", subject=str(root), hint=error.strerror or "") from error
    except RuntimeError as error:  # pathlib's word for a loop of links, up to Python 3.12
        raise UsageError("folder can't be read", subject=str(root), hint="a loop of links") from error
    return resolved


def _opened(folder: Path) -> Database:
    try:
        return open_database(folder)
    except StoreCorruptError as error:
        hint = f"remove the collection and index it again: edge collections remove {folder.name}"
        raise StoreCorruptError(error.what, subject=error.subject, hint=hint) from error


def _claim(database: Database, root: Path, wish: Wish) -> None:
    """Make sure that the collection is of this folder, and seen in this way; a new one is from here on."""
    values = {ROOT: root.as_uri(), WHOLE: "1" if wish.whole else "0"}
    rows = database.execute("SELECT key, value FROM meta WHERE key IN (?, ?)", (ROOT, WHOLE))
    before = dict(rows)
    if before.get(ROOT, values[ROOT]) != values[ROOT] and not wish.moved:
        hint = f"it is of {root_of(database)}; has that moved here? Then --moved, else choose another name"
        raise UsageError("collection is of another folder", subject=wish.name, hint=hint)
    if before.get(WHOLE, values[WHOLE]) != values[WHOLE]:
        how = "with --whole" if before[WHOLE] == "1" else "without --whole"
        hint = f"edge collections remove {wish.name}, or choose another name"
        raise UsageError(f"collection was indexed {how}", subject=wish.name, hint=hint)
    with database.transaction():
        for key, value in values.items():
            database.remember(key, value)
