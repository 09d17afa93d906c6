"""What the parts of a stretch contain: sums, label and count, without reading long registrations again.

A part that reaches out of the stretch takes over what a registration has out there: the registration's own
sums, less those of its members within the stretch. Only where one registration reaches out on both sides
and is cut in between does the record have to add one side up.

Counts can't be subtracted. The largest count of a part is bracketed instead: from below by the observations
at hand, from above by the registrations that it takes members over from. Where the two don't meet (a piece
cut off a registration whose largest count isn't in sight), the record is asked.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from edge.registration.rules import label_of
from edge.registration.stretch import Marked, Part, Stretch
from edge.registration.types import Key, Observation, Options, Record, Registration
from edge.registration.votes import Sums


@dataclass(frozen=True, slots=True)
class Content:
    """What a registration says, apart from who it is."""

    label: str
    count: int
    first: Key
    last: Key
    sums: Sums


class Contents:
    """Works out the parts of one stretch.

    Args:
        record: what is on record after the observation came or went.
        options: the rules' settings.
        x: the observation that came or went.
        added: whether it came.
        stretch: what it changed.
    """

    def __init__(
        self, record: Record, options: Options, x: Observation, *, added: bool, stretch: Stretch
    ) -> None:
        self._record = record
        self._options = options
        self._x = x
        self._added = added
        self._stretch = stretch
        self._left, self._right = self._beyond()

    def of(self, part: Part) -> Content:
        """What one part contains."""
        sums = self._whole() if self._is_one() else self._pieced(part)
        label = label_of(sums, part.members[0].mark.label, self._options)
        return Content(label, self._count(part), part.first, part.last, sums)

    def _is_one(self) -> bool:
        """Whether one registration goes on as one, by far the most frequent case."""
        return len(self._stretch.olds) == len(self._stretch.parts) == 1

    def _whole(self) -> Sums:
        """Sums of the one part: the registration's, and the observation that came or went."""
        old, x = Sums.of_registration(self._stretch.olds[0]), Sums.of([self._x])
        return old.plus(x) if self._added else old.minus(x)

    def _pieced(self, part: Part) -> Sums:
        """Sums of one of several parts: its members here, and what it has out there."""
        sums = Sums.of(member.observation for member in part.members)
        if self._left is not None and part is self._stretch.parts[0]:
            sums = sums.plus(self._left)
        if self._right is not None and part is self._stretch.parts[-1]:
            sums = sums.plus(self._right)
        return sums

    def _beyond(self) -> tuple[Sums | None, Sums | None]:
        """Sums of the members before the stretch and after it that belong to its first and last part."""
        members, parts, olds = self._stretch.members, self._stretch.parts, self._stretch.olds
        if not members or self._is_one():
            return None, None
        first, last = members[0].observation, members[-1].observation
        left = parts[0].first < first.key
        right = parts[-1].last > last.key
        if not (left and right and olds[0] is olds[-1]):
            return self._rest(olds[0]) if left else None, self._rest(olds[-1]) if right else None
        tally = self._record.tally(first.deployment, olds[0].first, first.key)
        before = Sums.of_tally(tally).minus(Sums.of([first]))
        return before, self._rest(olds[0]).minus(before)

    def _rest(self, old: Registration) -> Sums:
        """Sums of an old registration's members that lie outside the stretch."""
        members = self._stretch.members
        begin = bisect_left(members, old.first, key=_key)
        end = bisect_right(members, old.last, key=_key)
        inside = [member.observation for member in members[begin:end]]
        if self._added:
            inside = [observation for observation in inside if observation != self._x]
        elif old.first <= self._x.key <= old.last:
            inside.append(self._x)
        return Sums.of_registration(old).minus(Sums.of(inside))

    def _count(self, part: Part) -> int:
        olds = [old for old in self._stretch.olds if old.first <= part.last and old.last >= part.first]
        left = part.first < part.members[0].observation.key
        right = part.last > part.members[-1].observation.key
        seen = [member.observation.count for member in part.members]
        kept = [old.count for old in olds if self._keeps_count(old, part)]
        # Where the part begins out there, the registration that begins there knows what was before it.
        known = max(*seen, *kept, 0 if left else self._lookback(part))
        inside = not left and not right
        return known if inside or known >= max(old.count for old in olds) else self._asked(part)

    def _lookback(self, part: Part) -> int:
        """Largest count in the window before the part, which counts for its first members too."""
        if self._options.method == "simple":
            return 0
        start = part.first.t
        return self._record.max_count(self._x.deployment, start - self._options.window + 1, start)

    def _keeps_count(self, old: Registration, part: Part) -> bool:
        """Whether what an old registration counted is counted in the part as well."""
        whole = part.first <= old.first and old.last <= part.last
        return whole and (self._added or self._x.count < old.count)

    def _asked(self, part: Part) -> int:
        deployment, start, end = self._x.deployment, part.first.t, part.last.t
        if self._options.method == "windowed":
            return self._record.max_count(deployment, start - self._options.window + 1, end)
        edges = self._record.observations(deployment, start, start)
        if start != end:
            edges += self._record.observations(deployment, end, end)
        counts = [observation.count for observation in edges if part.holds(observation.key)]
        return max(*counts, self._record.max_count(deployment, start + 1, end - 1))


def _key(member: Marked) -> Key:
    return member.observation.key
