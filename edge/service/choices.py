"""What goes when room is to be made. Pure: sizes, times and facts in, a choice out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kept = Literal["too young", "not told", "not backed up", "changed", "not there"]


class Sized(NamedTuple):
    """A file that may go: its name, bytes, and when its image was processed, ms UTC."""

    name: str
    size: int
    received: int


def choose_snapshots(oldest_first: Sequence[Sized], *, before: int | None, lacking: int) -> list[Sized]:
    """Those that are too old, then the oldest until enough space is free.

    Args:
        oldest_first: candidates.
        before: older ones go in any case, ms UTC; None: none goes for its age.
        lacking: bytes by which free space is too little; 0 or less: none.
    """
    chosen, freed = [], 0
    for snapshot in oldest_first:
        if (before is None or snapshot.received >= before) and freed >= lacking:
            break
        chosen.append(snapshot)
        freed += snapshot.size
    return chosen


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a file in the drop folder.

    Attributes:
        received: when its image was processed, ms UTC.
        told: its registration is closed, and the newest message about it acknowledged.
        backed_up: the newest backup has its image.
        there: it is there.
        unchanged: its size and mtime are those with which it was read.
    """

    received: int
    told: bool
    backed_up: bool
    there: bool = True
    unchanged: bool = True


def why_kept(facts: Facts, *, before: int) -> Kept | None:
    """Why an original must stay; None if it may be removed.

    Args:
        facts: of the file.
        before: only older ones may go, ms UTC.
    """
    if facts.received >= before:
        return "too young"
    if not facts.told:
        return "not told"
    if not facts.backed_up:
        return "not backed up"
    if not facts.there:
        return "not there"
    return None if facts.unchanged else "changed"
