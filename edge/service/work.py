"""What travels through the daemon: tickets on the way in, outcomes on the way out."""

from __future__ import annotations

import time
from dataclasses import dataclass

from edge.intake.types import Candidate, Examined
from edge.registration.types import Observation
from edge.store.ledger import Fate
from edge.store.media import MediaRow, Other


@dataclass(frozen=True, slots=True)
class Ticket:
    """One file to look at; ``number`` is its place in the order in which outcomes are recorded."""

    number: int
    examined: Examined


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    Attributes:
        fate: its line in the ledger.
        examined: what its ticket knew, None for files that never got one.
        retry: the file, if it is to be looked for again.
        unreadable: the system refuses to let it be read; that may be put right at any time, and nothing about
            the file will show it, so it is never given up.
        media: the image, if it was looked at.
        others: what it shows besides animals.
        observation: its animals, if there are any.
    """

    fate: Fate
    examined: Examined | None = None
    media: MediaRow | None = None
    others: tuple[Other, ...] = ()
    observation: Observation | None = None
    retry: Candidate | None = None
    unreadable: bool = False


def now_ms() -> int:
    """The device's wall clock, ms UTC."""
    return time.time_ns() // 1_000_000
