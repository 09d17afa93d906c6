"""Which registration is which, when one image changes how observations are divided.

The *heir* of a registration is the part with the earliest start that has a member of it. A part that is the
heir of one registration goes on as that one; of several, as the one that opened first, and the others are
retracted. A part that is nobody's heir is a new registration. Its id comes from the media that opened it: the
arriving image if it is a member, else the first member whose id no living registration has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from operator import attrgetter

from edge.registration.ids import registration_id
from edge.registration.stretch import Part, Stretch
from edge.registration.types import Observation, Record, Registration


def heirs(record: Record, x: Observation, stretch: Stretch) -> list[Registration | None]:
    """For each part the registration that it goes on as, or None where it is a new one.

    Args:
        record: what is on record after the observation came or went.
        x: that observation; where it went, it may have been the first member of a registration.
        stretch: the registrations as they were and the parts as they are.
    """
    claims: list[list[Registration]] = [[] for _ in stretch.parts]
    for old in stretch.olds:
        member = old.first
        if member == x.key:
            following = record.after(x.deployment, member)
            if following is None or following.key > old.last:
                continue
            member = following.key
        claims[next(i for i, part in enumerate(stretch.parts) if part.holds(member))].append(old)
    return [min(olds, key=attrgetter("opened"), default=None) for olds in claims]


def new_id(record: Record, x: Observation, part: Part, taken: Sequence[str]) -> str:
    """The id of a part that is a new registration.

    Args:
        record: what is on record, the old registrations of the stretch still living.
        x: the observation that came or went.
        part: the new registration.
        taken: ids that other parts of the stretch have just got.
    """

    def is_free(id_: str) -> bool:
        return id_ not in taken and not record.is_living(id_)

    ids = (registration_id(x.deployment, media_id) for media_id in _openers(record, x, part))
    suffixed = (registration_id(x.deployment, part.members[0].observation.media_id, n) for n in count(2))
    free = next(filter(is_free, ids), None)
    return free or next(filter(is_free, suffixed))


def _openers(record: Record, x: Observation, part: Part) -> Iterator[str]:
    """Media ids of the part's members, the arriving one first, then in order."""
    if any(member.observation == x for member in part.members):
        yield x.media_id
    following: Observation | None = part.members[0].observation
    while following is not None and following.key <= part.last:
        yield following.media_id
        following = record.after(x.deployment, following.key)
