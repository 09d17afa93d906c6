"""All of the engine's promises at once: anything may happen in any order, and each time all is checked.

Two deployments, event times on a small grid so that nearly everything lies on a boundary, settings drawn anew
for each example and changed on the way. ``python -m tests.registration.prove`` runs it for long.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from edge.registration import Engine, MemoryRecord, Observation, Options, Record, Registration
from edge.registration.rebuild import rebuild
from edge.store.database import open_database
from edge.store.record import SqliteRecord
from tests.registration.build import living
from tests.registration.model import Watched
from tests.registration.strategies import DEPLOYMENTS, LABELS, observations, options
from tests.registration.subscriber import Line

Call = Callable[[Record], object]
SEEDS = st.integers(0, 2**16)
WHERE = st.sampled_from(DEPLOYMENTS)
MOST = 40
"""Images of a deployment from which on hardly any new ones come, to keep examples quick."""


class Promises(RuleBasedStateMachine):
    """Arrivals in any order, duplicates, corrections, watermarks, idle closes, other settings, restarts."""

    lengths: ClassVar[list[int]] = []
    """Steps of each example that ran to its end."""

    def make_record(self) -> Record:
        """An empty record."""
        return MemoryRecord()

    def read_back(self, record: Record) -> Record:
        """What is left of a record after it was written away and read again."""
        again: Record = pickle.loads(pickle.dumps(record))  # noqa: S301 - written the moment before
        return again

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.line = Line()
        self.new = 0
        self.steps = 0

    @initialize(chosen=options)
    def begin(self, chosen: Options) -> None:
        """Start with nothing on record."""
        self.watched = Watched(chosen, self.make_record(), DEPLOYMENTS)

    @rule(batch=st.lists(observations(), max_size=4))
    def accept(self, batch: list[Observation]) -> None:
        """A batch arrives out of order, empty images and other images of known ids among it."""
        self._accept([replace(o, media_id=f"{o.deployment[0]}{o.media_id}") for o in batch])

    @rule(
        deployment=WHERE,
        images=st.lists(st.tuples(st.integers(0, 12), LABELS, st.integers(1, 3)), min_size=1, max_size=4),
    )
    def go_on(self, deployment: str, images: list[tuple[int, str | None, int]]) -> None:
        """The camera goes on: images in order, after all others."""
        t, batch = self._newest(deployment), []
        for since, label, count in images:
            t += since
            batch.append(self._image(deployment, t, label, count))
        self._accept(batch)

    @precondition(lambda self: len(self.watched.accepted) < MOST)
    @rule(deployment=WHERE, number=st.integers(10, 30), seed=SEEDS)
    def stay(self, deployment: str, number: int, seed: int) -> None:
        """One animal stays for far longer than the window; few images show more than it."""
        rng, t, batch = random.Random(seed), self._newest(deployment), []
        step, label = rng.randint(1, 3), rng.choice(["deer", "fox"])
        for _ in range(number):
            t += rng.randint(1, step)
            batch.append(self._image(deployment, t, label, rng.choice([1] * 12 + [2, 3])))
        self._accept(batch)

    @rule(deployment=WHERE, behind=st.integers(10, 300), label=LABELS, count=st.integers(1, 3))
    def late(self, deployment: str, behind: int, label: str | None, count: int) -> None:
        """One image comes far behind the others."""
        self._accept([self._image(deployment, self._newest(deployment) - behind, label, count)])

    @precondition(lambda self: self.watched.accepted)
    @rule(seed=SEEDS, label=LABELS)
    def repeat(self, seed: int, label: str | None) -> None:
        """Images come again: the same, or the same media with another content. Nothing changes."""
        again = self._some(seed, 3)
        assert self._accept([*again, *(replace(o, t=o.t + 1, label=label) for o in again)]) == 0

    @rule(deployment=WHERE, lateness=st.integers(-20, 30))
    def advance(self, deployment: str, lateness: int) -> None:
        """A watermark rises, or tries to fall."""
        w = self._newest(deployment) - lateness
        self._call(lambda engine: engine.advance(deployment, w))
        self.line.send(self.watched.advance(deployment, w))
        self._step()

    @rule(deployment=WHERE)
    def close(self, deployment: str) -> None:
        """A deployment has been quiet."""
        self._call(lambda engine: engine.close(deployment))
        self.line.send(self.watched.close(deployment))
        self._step()

    @precondition(lambda self: self.watched.accepted)
    @rule(seed=SEEDS, most=st.integers(1, 4), shift=st.integers(-9, 9), label=LABELS, kept=st.integers(0, 4))
    def shift(self, seed: int, most: int, shift: int, label: str | None, kept: int) -> None:
        """A clock was wrong or a person relabels: some images move, some vanish, some change."""
        chosen = self._some(seed, most)
        self._amend(chosen, [replace(o, t=o.t + shift, label=label) for o in chosen][:kept])

    @precondition(lambda self: self.watched.accepted)
    @rule(seed=SEEDS, label=LABELS)
    def relabel(self, seed: int, label: str | None) -> None:
        """Some images get another label and stay where they are."""
        chosen = self._some(seed, 3)
        self._amend(chosen, [replace(o, label=label) for o in chosen])

    @precondition(lambda self: self.watched.accepted)
    @rule(seed=SEEDS)
    def exchange(self, seed: int) -> None:
        """One image takes another's place exactly."""
        (old,) = self._some(seed, 1)
        self._amend([old], [replace(old, media_id=self._media(old.deployment))])

    @precondition(lambda self: len(self.watched.accepted) > MOST)
    @rule(seed=SEEDS, number=st.integers(1, 30))
    def clear(self, seed: int, number: int) -> None:
        """Many images turn out to be empty."""
        self._amend(self._some(seed, number), [])

    @rule(chosen=options)
    def settings(self, chosen: Options) -> None:
        """The rules' settings change, and with them the record."""
        self.calls.append(lambda record: [rebuild(record, chosen, d) for d in DEPLOYMENTS])
        self.line.send(self.watched.switch(chosen))
        self._step()

    @rule()
    def restart(self) -> None:
        """The process ends; a new engine works on the same record."""
        self.watched.resume()
        self._step()

    @rule()
    def restore(self) -> None:
        """The process ends, and its record with it; a new engine works on what had been written away."""
        self.watched.resume(self.read_back(self.watched.record))
        self._step()

    @rule(seed=SEEDS)
    def deliver(self, seed: int) -> None:
        """Some messages reach the subscriber, in any order, some of them twice."""
        self.line.deliver_some(random.Random(seed))
        self._step()

    @rule(seed=SEEDS)
    def catch_up(self, seed: int) -> None:
        """All messages have reached the subscriber: it knows what is on record."""
        self.line.deliver_all(random.Random(seed))
        assert self.line.subscriber.table == self.watched.table
        self._step()

    def teardown(self) -> None:
        """In the end, replays of the messages and of the arrivals come to the same."""
        if hasattr(self, "watched"):
            self.watched.check_tombstones()
            new = self.line.replay(random.Random(len(self.calls)))
            assert new.table == self.line.subscriber.table == self.watched.table
            self._check_replay()
            self.lengths.append(self.steps)

    def _check_replay(self) -> None:
        """The same arrivals give the same ids, on a new record and one image at a time."""
        record = MemoryRecord()
        for call in self.calls:
            call(record)
        for deployment in DEPLOYMENTS:
            again, here = living(record, deployment), living(self.watched.record, deployment)
            assert list(map(_apart_from_history, again)) == list(map(_apart_from_history, here))
            again.sort(key=attrgetter("opened"))
            here.sort(key=attrgetter("opened"))
            assert [r.id for r in again] == [r.id for r in here]

    def _call(self, call: Callable[[Engine], object]) -> None:
        """Take note of a call, to make it again in the end on an engine that was just restarted."""
        current = self.watched.options
        self.calls.append(lambda record: call(Engine(current, record)))

    def _accept(self, batch: list[Observation]) -> int:
        if len(self.watched.accepted) > 2 * MOST:
            batch = batch[:1]
        self._call(lambda engine: [engine.accept([observation]) for observation in batch])
        changes = self.watched.accept(batch)
        self.line.send(changes)
        self._step()
        return len(changes)

    def _amend(self, removed: list[Observation], added: list[Observation]) -> None:
        self._call(lambda engine: engine.amend(removed, added))
        self.line.send(self.watched.amend(removed, added))
        self._step()

    def _some(self, seed: int, most: int) -> list[Observation]:
        """Some of the images on record, at least one."""
        known = list(self.watched.accepted.values())
        return random.Random(seed).sample(known, min(most, len(known)))

    def _image(self, deployment: str, t: int, label: str | None, count: int) -> Observation:
        return Observation(deployment, self._media(deployment), t, label, count, 250_000 * count)

    def _media(self, deployment: str) -> str:
        """A new media id, somewhere among the others."""
        self.new += 1
        return f"{deployment[0]}{'alz'[self.new % 3]}{self.new}"

    def _newest(self, deployment: str) -> int:
        return max((o.t for o in self.watched.accepted.values() if o.deployment == deployment), default=0)

    def _step(self) -> None:
        self.steps += 1


class SqlitePromises(Promises):
    """The same over the store's database, which is closed and opened again."""

    lengths: ClassVar[list[int]] = []

    def make_record(self) -> Record:
        """A new database, in memory where the system has a place for that."""
        memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
        self.folder = TemporaryDirectory(dir=memory if memory.is_dir() else None)
        return self._open()

    def read_back(self, record: Record) -> Record:
        """What is in the database's files."""
        del record
        self.database.close()
        return self._open()

    def teardown(self) -> None:
        """Look at the whole once more, and clean up."""
        try:
            super().teardown()
        finally:
            if hasattr(self, "database"):
                self.database.close()
                self.folder.cleanup()

    def _open(self) -> Record:
        self.database = open_database(Path(self.folder.name))
        return SqliteRecord(self.database)


def _apart_from_history(registration: Registration) -> Registration:
    return replace(registration, state="open", revision=0, opened=0)
