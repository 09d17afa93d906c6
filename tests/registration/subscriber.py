"""A subscriber far away: messages reach it late, twice, in any order, and again from the beginning."""

from __future__ import annotations

import random
from collections.abc import Iterable

from edge.registration import Change, Registration


class Subscriber:
    """A table by id that goes by revisions alone, as the page on messages tells subscribers to."""

    def __init__(self) -> None:
        self.table: dict[str, Registration] = {}
        self._revisions: dict[str, int] = {}

    def receive(self, change: Change) -> None:
        """Apply one message, unless a later one of its id was here before."""
        registration = change.registration
        if registration.revision <= self._revisions.get(registration.id, 0):
            return
        self._revisions[registration.id] = registration.revision
        if change.kind == "retracted":
            self.table.pop(registration.id, None)
        else:
            self.table[registration.id] = registration


class Line:
    """A bad line to a subscriber; nothing on it is lost for good."""

    def __init__(self) -> None:
        self.subscriber = Subscriber()
        self.log: list[Change] = []
        self._waiting: list[Change] = []

    def send(self, changes: Iterable[Change]) -> None:
        """Put messages on the line."""
        for change in changes:
            self.log.append(change)
            self._waiting.append(change)

    def deliver_some(self, rng: random.Random) -> None:
        """Some of what waits arrives in any order, some of it twice, some old messages once more."""
        rng.shuffle(self._waiting)
        number = rng.randint(0, len(self._waiting))
        arriving = self._waiting[:number] + rng.sample(self._waiting, min(2, len(self._waiting)))
        arriving += rng.sample(self.log, min(3, len(self.log)))
        del self._waiting[:number]
        rng.shuffle(arriving)
        for change in arriving:
            self.subscriber.receive(change)

    def deliver_all(self, rng: random.Random) -> None:
        """Everything that waits arrives, in any order."""
        rng.shuffle(self._waiting)
        for change in self._waiting:
            self.subscriber.receive(change)
        self._waiting.clear()

    def replay(self, rng: random.Random) -> Subscriber:
        """The whole log once more to the subscriber, in order; and to a new one, shuffled and doubled."""
        new, doubled = Subscriber(), self.log * 2
        rng.shuffle(doubled)
        for change in self.log:
            self.subscriber.receive(change)
        for change in doubled:
            new.receive(change)
        self._waiting.clear()
        return new
