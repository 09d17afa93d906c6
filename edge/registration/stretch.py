"""The stretch of a deployment that one image can change, and the parts it falls into.

When an observation x comes or goes, label(i) can change for observations within less than W of it, count(i)
for those up to W after it, and what an observation is compared with only for the one after x. So the
only breaks that can change are at observations of this *zone*, at the first one after it, and (under
``registration_start``) at those after that, until a new break falls on an old one: from there on both
divisions go the same way.

Everything outside the stretch keeps its marks, and what they are stands on the registrations there. Those
that reach out of the stretch are not read again, however long they are: they carry their own sums.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from edge.registration.rules import breaks
from edge.registration.smoothing import Mark, compared_marks
from edge.registration.types import Key, Observation, Options, Record, Registration


class Marked(NamedTuple):
    """An observation with what it is compared by.

    Parts of the mark that aren't compared under the options in force mean nothing.
    """

    observation: Observation
    mark: Mark


@dataclass(frozen=True, slots=True)
class Part:
    """One run of observations between two breaks, as it is now.

    Attributes:
        first: key of its first member.
        last: key of its last member.
        members: those of its members that lie within the stretch; at least one.
    """

    first: Key
    last: Key
    members: list[Marked]

    def holds(self, key: Key) -> bool:
        """Whether a key lies between its first and last."""
        return self.first <= key <= self.last


@dataclass(frozen=True, slots=True)
class Stretch:
    """What one observation that came or went can change.

    Attributes:
        olds: the registrations there, as they were, in order.
        parts: what these same observations form now, in order.
        members: the observations looked at, in order; the parts' members together.
    """

    olds: list[Registration]
    parts: list[Part]
    members: list[Marked]


def look(record: Record, options: Options, x: Observation) -> Stretch:
    """Find the stretch that an observation changes, just after it was put on record or taken off.

    Reads the record within 2W of it, and further only under ``registration_start`` while breaks move.
    """
    before, zone, after = _zone(record, options, x)
    ends = [m.observation for m in (*zone[:1], *zone[-1:])]
    keys = [x.key, *(o.key for o in (before, *ends, after) if o is not None)]
    olds = record.registrations(x.deployment, min(keys), max(keys))
    members = zone
    if before is not None:
        members = [_mark_from(olds[0], before), *members]
    if after is not None:
        members = [*members, _mark_from(olds[-1], after)]
    walk = _Walk(options, olds[0].first if before is not None else None)
    walk.on(members)
    if after is not None and options.compared_to == "registration_start":
        _follow(record, walk, olds)
    return Stretch(olds, walk.parts(olds[-1].last if after is not None else None), walk.members)


def _zone(
    record: Record, options: Options, x: Observation
) -> tuple[Observation | None, list[Marked], Observation | None]:
    """The observations whose marks can change, and their neighbours on both sides."""
    deployment, near = x.deployment, options.window - 1
    if options.method == "simple":
        zone = [o for o in record.observations(deployment, x.t, x.t) if o.key == x.key]
        before, after = record.before(deployment, x.key), record.after(deployment, x.key)
        return before, list(map(Marked, zone, compared_marks(zone, options))), after
    context = record.observations(deployment, x.t - 2 * near, x.t + 2 * near)
    start = bisect_left(context, x.t - near, key=attrgetter("t"))
    end = bisect_left(context, x.t + near + 1, key=attrgetter("t"))
    first, last = (context[start].key, context[end - 1].key) if start < end else (x.key, x.key)
    before = context[start - 1] if start else record.before(deployment, first)
    after = context[end] if end < len(context) else record.after(deployment, last)
    marked = compared_marks(context, options)
    return before, list(map(Marked, context[start:end], marked[start:end])), after


def _mark_from(registration: Registration, member: Observation) -> Marked:
    """A member whose mark didn't change: its registration has it, as far as marks are compared."""
    return Marked(member, Mark(registration.label, registration.count))


class _Walk:
    """Walks observations in order and notes where parts begin."""

    def __init__(self, options: Options, first: Key | None) -> None:
        self._options = options
        self._from_start = options.compared_to == "registration_start"
        self._firsts = [] if first is None else [first]
        self._begins = [] if first is None else [0]
        self.members: list[Marked] = []

    @property
    def current(self) -> Key:
        """First key of the part that the walk is in."""
        return self._firsts[-1]

    def on(self, members: Sequence[Marked]) -> None:
        """Walk on over the members that follow."""
        done = len(self.members)
        self.members.extend(members)
        if self.members and not self._firsts:
            self._open(0)
        for place, (p, i) in enumerate(pairwise(self.members[max(done - 1, 0) :]), start=max(done, 1)):
            reference = self.current.t if self._from_start else p.observation.t
            if breaks(p.mark, i.mark, i.observation.t - reference, self._options):
                self._open(place)

    def parts(self, last: Key | None) -> list[Part]:
        """The parts walked; the final one ends at ``last``, by default at the last member walked."""
        begins = [*self._begins, len(self.members)]
        pieces = [self.members[begin:end] for begin, end in pairwise(begins)]
        lasts = [piece[-1].observation.key for piece in pieces]
        if last is not None:
            lasts[-1] = last
        return list(map(Part, self._firsts, lasts, pieces))

    def _open(self, place: int) -> None:
        self._firsts.append(self.members[place].observation.key)
        self._begins.append(place)


def _follow(record: Record, walk: _Walk, olds: list[Registration]) -> None:
    """Walk on until the part that the walk is in begins where an old registration begins."""
    while walk.current != olds[-1].first:
        old, at = olds[-1], walk.members[-1].observation.key
        rest = record.observations(old.deployment, at.t, old.last.t)
        walk.on([_mark_from(old, o) for o in rest if at < o.key <= old.last])
        following = record.after(old.deployment, old.last)
        if following is None:
            return
        olds.extend(record.registrations(old.deployment, following.key, following.key))
        walk.on([_mark_from(olds[-1], following)])
