"""Short ways to write observations and to read registrations in tests."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from edge.registration import (
    Change,
    Engine,
    Key,
    MemoryRecord,
    Observation,
    Options,
    Record,
    Registration,
    register,
)

MINUTE = 60_000
DEPLOYMENT = "ridge"
EVER = (Key(-(10**15), ""), Key(10**15, ""))

_numbers = itertools.count()


def seen(
    t: int,
    label: str | None = "deer",
    count: int = 1,
    *,
    confidence: int = 900_000,
    media: str | None = None,
    deployment: str = DEPLOYMENT,
) -> Observation:
    """One observation at ``t`` ms; its media id is new unless given."""
    media_id = f"m{next(_numbers):08}" if media is None else media
    return Observation(deployment, media_id, t, label, count, confidence)


def at(minute: float, label: str | None = "deer", count: int = 1, *, media: str | None = None) -> Observation:
    """One observation at a minute."""
    return seen(round(minute * MINUTE), label, count, media=media)


def text(registrations: Iterable[Registration]) -> list[str]:
    """Registrations as ``label x count start-end``, in minutes."""
    return [f"{r.label}x{r.count} {r.start / MINUTE:g}-{r.end / MINUTE:g}" for r in registrations]


def living(record: Record, deployment: str = DEPLOYMENT) -> list[Registration]:
    """Everything that lives on record, in order."""
    return record.registrations(deployment, *EVER)


def streamed(observations: Sequence[Observation], options: Options) -> list[Registration]:
    """What the engine has on record after all of them, one at a time."""
    record = MemoryRecord()
    for observation in observations:
        Engine(options, record).accept([observation])
    return living(record)


def every_way(observations: Sequence[Observation], options: Options) -> list[str]:
    """The registrations, after checking that all ways to make them agree."""
    expected = text(register(observations, options))
    assert text(streamed(observations, options)) == expected
    assert text(streamed(observations[::-1], options)) == expected
    assert text(streamed([*observations[::2], *observations[1::2]], options)) == expected
    return expected


def kinds(changes: Iterable[Change]) -> list[str]:
    """What kinds of changes, in order."""
    return [change.kind for change in changes]
