"""How far a run is, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from edge.store.collecting import Refused, Sizes

Phase = Literal["searching", "looking", "sealing"]


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        phase: going through the folder, looking at pictures, writing the index.
        done: pictures found so far; pictures looked at; nothing.
        total: pictures to look at, 0 where that isn't known.
        refused: of those looked at, how many can't be used.
    """

    phase: Phase
    done: int = 0
    total: int = 0
    refused: int = 0


Told = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did, and what the collection holds after it.

    Attributes:
        name: of the collection.
        root: the folder.
        folder: where the collection lies.
        pictures: files that look like pictures.
        unchanged: of those, files that were on record as they are, and weren't read.
        outcomes: what became of the others, how many of each: ``new``, ``renewed`` (seen by other models
            before), ``duplicate``, ``set_aside``, ``quarantined``, ``unreadable``, ``gone``.
        refused: all files that look like pictures and aren't in the collection, with the reason.
        skipped: other names, how many by reason.
        unreadable: folders and files that the system keeps closed, with its reason.
        missing: pictures on record that no file has any more.
        removed: pictures that were removed since no file has them any more.
        moved: files that are elsewhere now, or have a copy.
        sizes: pictures, files and vectors in the collection.
        kind: of the index: exact or approximate; empty if it was told to stop before.
        seconds: that it took.
        looking: of those, seconds that pictures were looked at.
        stopped: whether it was told to stop.
    """

    name: str
    root: Path
    folder: Path
    pictures: int
    unchanged: int
    outcomes: Mapping[str, int]
    refused: Sequence[Refused]
    skipped: Mapping[str, int]
    unreadable: Mapping[str, str]
    sizes: Sizes
    seconds: float
    looking: float
    stopped: bool
    missing: Sequence[str] = field(default=())
    removed: int = 0
    moved: int = 0
    kind: str = ""

    @property
    def looked(self) -> int:
        """Files that were read."""
        return sum(self.outcomes.values())
