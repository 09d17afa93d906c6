"""Which pictures are worth sending: one for each registration that opened, of most animals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edge.registration.types import Key, Registration
from edge.service.recorder import Recorded
from edge.service.work import Outcome
from edge.store.files import read


class Picture(NamedTuple):
    """A snapshot and what it belongs to."""

    deployment: str
    registration_id: str
    media_id: str
    jpeg: bytes


def pictures(state: Path, recorded: Recorded) -> Iterator[Picture]:
    """A picture for each registration that opened with this group, if the group has one of it.

    Args:
        state: the state folder, where snapshots are.
        recorded: the group.

    Raises:
        StoreError: a snapshot that was just written can't be read.
    """
    for change in recorded.changes:
        if change.kind == "opened":
            best = _best(change.registration, recorded)
            if best is not None and best.media is not None:
                about = change.registration
                yield Picture(
                    about.deployment, about.id, best.media.media_id, read(state / best.media.snapshot)
                )


def _best(registration: Registration, recorded: Recorded) -> Outcome | None:
    members = [o for o in recorded.outcomes if o.media and o.media.snapshot and _is_member(o, registration)]
    return max(members, key=lambda o: o.observation.count if o.observation else 0, default=None)


def _is_member(outcome: Outcome, registration: Registration) -> bool:
    seen = outcome.observation
    if seen is None or seen.deployment != registration.deployment:
        return False
    return registration.first <= Key(seen.t, seen.media_id) <= registration.last
