"""The record made anew, after the rules' settings have changed.

The registrations become those that the rules give under the new settings. Who is who follows the engine's own
rule: an old registration goes on as the new one with the earliest start that has a member of it, and of
several the one that opened first stays. Nothing is emitted for what stays as it was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, count
from operator import attrgetter

from edge.registration.ids import registration_id
from edge.registration.ledger import Ledger
from edge.registration.rules import register
from edge.registration.types import Change, Key, Observation, Options, Record, Registration

_ALWAYS = 2**62


def rebuild(record: Record, options: Options, deployment: str) -> list[Change]:
    """Make a deployment's registrations what the rules give under these settings.

    Takes time and memory in proportion to all of the deployment's observations.

    Args:
        record: with registrations made under other settings.
        options: the new settings.
        deployment: the one.

    Returns:
        The change log, as of ``Engine.accept``.
    """
    ledger = Ledger(record, options)
    observations = record.observations(deployment, -_ALWAYS, _ALWAYS)
    olds = record.registrations(deployment, Key(-_ALWAYS, ""), Key(_ALWAYS, ""))
    news = _identified(record, register(observations, options), olds, observations)
    for old in olds:
        ledger.retract(old)
    for new in news:
        ledger.put(new)
    return ledger.changes()


def _identified(
    record: Record,
    parts: Sequence[Registration],
    olds: Sequence[Registration],
    observations: Sequence[Observation],
) -> list[Registration]:
    """The parts with the ids, revisions and states of those that they go on as, or with new ones."""
    firsts = [part.first for part in parts]
    claims: list[list[Registration]] = [[] for _ in parts]
    for old in olds:
        claims[bisect_right(firsts, old.first) - 1].append(old)
    heirs = [min(claim, key=attrgetter("opened"), default=None) for claim in claims]
    taken = {old.id for old in olds}
    members = iter(observations)
    named = []
    for part, heir in zip(parts, heirs, strict=True):
        media = [next(members).media_id for _ in range(part.media_count)]
        free = (id_ for id_ in _ids(part.deployment, media) if id_ not in taken)
        base = heir or _opened(record, part, next(free))
        taken.add(base.id)
        named.append(replace(part, id=base.id, opened=base.opened, revision=base.revision, state=base.state))
    return named


def _ids(deployment: str, media: Sequence[str]) -> Iterator[str]:
    """Ids that a registration may have, the preferred ones first."""
    suffixed = (registration_id(deployment, media[0], ordinal) for ordinal in count(2))
    return chain((registration_id(deployment, media_id) for media_id in media), suffixed)


def _opened(record: Record, part: Registration, id_: str) -> Registration:
    tombstone = record.find(id_)
    if tombstone is None:
        return replace(part, id=id_, opened=record.next_opening(part.deployment))
    return replace(part, id=id_, opened=tombstone.opened, revision=tombstone.revision)
