"""The record in memory: for tests, demos and runs that need no database.

A row that arrives late is put into a sorted list, which moves the rows after it: quick, but not free (about
0.2 ms among a million rows).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from dataclasses import dataclass, field
from operator import attrgetter

from edge.registration.types import Key, Observation, Registration, Tally
from edge.registration.votes import Sums


@dataclass(slots=True)
class _Deployment:
    """One deployment's rows, in order."""

    media: set[str] = field(default_factory=set)
    keys: list[Key] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    # Event times by count: the largest count of a range is found by asking for each count, largest first,
    # which is fast in a long range too, since images hold few different numbers of animals.
    times: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    firsts: list[tuple[Key, str]] = field(default_factory=list)  # (first, id) of the living
    open: set[str] = field(default_factory=set)
    openings: int = 0
    watermark: int | None = None

    def between(self, first: Key, last: Key) -> list[Observation]:
        return self.observations[bisect_left(self.keys, first) : bisect_right(self.keys, last)]


class MemoryRecord:
    """``edge.registration.types.Record`` in sorted lists."""

    def __init__(self) -> None:
        self._deployments: defaultdict[str, _Deployment] = defaultdict(_Deployment)
        self._registrations: dict[str, Registration] = {}
        self._living: set[str] = set()

    def add(self, observation: Observation) -> bool:
        """Put one observation on record; False if its media is there already."""
        rows = self._deployments[observation.deployment]
        if observation.media_id in rows.media:
            return False
        rows.media.add(observation.media_id)
        place = bisect_left(rows.keys, observation.key)
        rows.keys.insert(place, observation.key)
        rows.observations.insert(place, observation)
        insort(rows.times[observation.count], observation.t)
        return True

    def remove(self, observation: Observation) -> bool:
        """Take the observation with its deployment and key off the record; False if it isn't there."""
        rows = self._deployments[observation.deployment]
        place = bisect_left(rows.keys, observation.key)
        if place == len(rows.keys) or rows.keys[place] != observation.key:
            return False
        removed = rows.observations.pop(place)
        rows.keys.pop(place)
        rows.media.remove(removed.media_id)
        times = rows.times[removed.count]
        times.pop(bisect_left(times, removed.t))
        if not times:
            del rows.times[removed.count]
        return True

    def observations(self, deployment: str, first_t: int, last_t: int) -> list[Observation]:
        """Those with ``first_t <= t <= last_t``, in key order."""
        rows = self._deployments[deployment]
        start, end = bisect_left(rows.keys, Key(first_t, "")), bisect_left(rows.keys, Key(last_t + 1, ""))
        return rows.observations[start:end]

    def before(self, deployment: str, key: Key) -> Observation | None:
        """The nearest observation whose key is smaller."""
        rows = self._deployments[deployment]
        place = bisect_left(rows.keys, key)
        return rows.observations[place - 1] if place else None

    def after(self, deployment: str, key: Key) -> Observation | None:
        """The nearest observation whose key is larger."""
        rows = self._deployments[deployment]
        place = bisect_right(rows.keys, key)
        return rows.observations[place] if place < len(rows.keys) else None

    def tally(self, deployment: str, first: Key, last: Key) -> Tally:
        """Sums over the observations from ``first`` to ``last``."""
        sums = Sums.of(self._deployments[deployment].between(first, last))
        return Tally(sums.media_count, dict(sums.votes), dict(sums.confidence))

    def max_count(self, deployment: str, first_t: int, last_t: int) -> int:
        """Largest count among observations with ``first_t <= t <= last_t``; 0 if there are none."""
        times = self._deployments[deployment].times
        for count in sorted(times, reverse=True):
            place = bisect_left(times[count], first_t)
            if place < len(times[count]) and times[count][place] <= last_t:
                return count
        return 0

    def registrations(self, deployment: str, first: Key, last: Key) -> list[Registration]:
        """Living registrations whose range overlaps ``first`` to ``last``, in order."""
        firsts = self._deployments[deployment].firsts
        # Living registrations don't overlap: of those that begin before ``first`` only the last can reach it.
        start = max(bisect_left(firsts, (first,)) - 1, 0)
        end = bisect_left(firsts, (Key(last.t, last.media_id + "\0"),))
        found = (self._registrations[id_] for _, id_ in firsts[start:end])
        return [registration for registration in found if registration.last >= first]

    def open_registrations(self, deployment: str) -> list[Registration]:
        """Living registrations in state ``open``, in order."""
        found = (self._registrations[id_] for id_ in self._deployments[deployment].open)
        return sorted(found, key=attrgetter("first"))

    def find(self, registration_id: str) -> Registration | None:
        """The registration with this id, living or retracted (then whole, as last retracted); else None."""
        return self._registrations.get(registration_id)

    def is_living(self, registration_id: str) -> bool:
        """Whether the id stands for a registration that is not retracted."""
        return registration_id in self._living

    def put(self, registration: Registration) -> None:
        """Insert or replace a living registration by id (a retracted id comes back to life)."""
        self._unlist(registration)
        rows = self._deployments[registration.deployment]
        insort(rows.firsts, (registration.first, registration.id))
        if registration.state == "open":
            rows.open.add(registration.id)
        self._registrations[registration.id] = registration
        self._living.add(registration.id)

    def retract(self, registration: Registration) -> None:
        """Put a tombstone in its place, or anew."""
        self._unlist(registration)
        self._registrations[registration.id] = registration

    def next_opening(self, deployment: str) -> int:
        """A number larger than any given before for this deployment."""
        self._deployments[deployment].openings += 1
        return self._deployments[deployment].openings

    def watermark(self, deployment: str) -> int | None:
        """The deployment's watermark, ms UTC, or None before the first."""
        return self._deployments[deployment].watermark

    def set_watermark(self, deployment: str, watermark: int) -> None:
        """Remember the deployment's watermark."""
        self._deployments[deployment].watermark = watermark

    def _unlist(self, registration: Registration) -> None:
        if registration.id not in self._living:
            return
        rows = self._deployments[registration.deployment]
        listed = (self._registrations[registration.id].first, registration.id)
        rows.firsts.pop(bisect_left(rows.firsts, listed))
        rows.open.discard(registration.id)
        self._living.remove(registration.id)
