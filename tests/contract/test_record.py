"""What the engine relies on in a ``Record``, held against every implementation."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edge.registration import Engine, Key, MemoryRecord, Observation, Options, Record, Registration
from tests.contract.records import FACTORIES

EVER = (Key(-(10**15), ""), Key(10**15, ""))


@pytest.fixture(params=FACTORIES)
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Record:
    """An empty record of each kind."""
    return FACTORIES[request.param](tmp_path)


def seen(
    t: int, media: str, label: str | None = "deer", count: int = 1, deployment: str = "d"
) -> Observation:
    """One observation, half sure."""
    return Observation(deployment, f"{deployment}-{media}", t, label, count, 500_001)


def registered(id_: str, first: int, last: int, deployment: str = "d") -> Registration:
    """One registration, with something in every field."""
    return Registration(
        id=id_,
        deployment=deployment,
        label="deer",
        count=2,
        first=Key(first, "m"),
        last=Key(last, "m"),
        media_count=3,
        votes={"deer": 2, "fox": 1},
        confidence=500_000,
        state="open",
        revision=4,
        opened=7,
        superseded_by=None,
        confidence_sums={"deer": 1_000_001, "fox": 9},
    )


def put_on(record: Record, observations: Sequence[Observation]) -> None:
    """All of them, which must be new."""
    for observation in observations:
        assert record.add(observation)


def test_adds_a_media_once(record: Record) -> None:
    """A media that is there already is refused, and what is there stays as it is."""
    first = seen(5, "a")
    assert record.add(first)
    assert not record.add(first)
    assert not record.add(replace(first, t=9, label="fox"))
    assert record.observations("d", 0, 10) == [first]


def test_removes_by_key(record: Record) -> None:
    """What was taken off is gone; what isn't there with that time can't be taken off."""
    put_on(record, [seen(5, "a"), seen(6, "b", count=3)])
    assert not record.remove(seen(6, "a"))
    assert not record.remove(seen(5, "c"))
    assert record.remove(seen(5, "a"))
    assert not record.remove(seen(5, "a"))
    assert record.observations("d", 0, 10) == [seen(6, "b", count=3)]
    assert record.remove(seen(6, "b", count=3))
    assert record.max_count("d", 0, 10) == 0
    assert record.add(seen(8, "a"))


def test_observations_are_in_order_and_include_both_ends(record: Record) -> None:
    """A range of times includes both ends; equal times are ordered by media."""
    late, b, a, early = seen(9, "x"), seen(5, "b"), seen(5, "a", None), seen(1, "y")
    put_on(record, [late, b, a, early])
    assert record.observations("d", 1, 9) == [early, a, b, late]
    assert record.observations("d", 2, 8) == [a, b]
    assert record.observations("d", 5, 5) == [a, b]
    assert record.observations("d", 6, 8) == []


def test_neighbours_are_strictly_before_and_after(record: Record) -> None:
    """The neighbours of a key never include the observation at it, and tell equal times apart."""
    a, b, c = seen(5, "a"), seen(5, "b"), seen(7, "c")
    put_on(record, [c, b, a])
    assert record.before("d", a.key) is None
    assert (record.after("d", a.key), record.before("d", b.key)) == (b, a)
    assert (record.after("d", b.key), record.after("d", c.key)) == (c, None)
    assert (record.before("d", Key(6, "")), record.after("d", Key(6, ""))) == (b, c)


def test_tally_includes_both_ends(record: Record) -> None:
    """Sums run from key to key, both included; those without a label are counted but don't vote."""
    a, b, c, x = seen(5, "a"), seen(5, "b", "fox"), seen(6, "c"), seen(7, "x", None)
    put_on(record, [a, b, c, x, seen(8, "z")])
    tally = record.tally("d", b.key, x.key)
    assert tally.media_count == 3
    assert tally.votes == {"fox": 1, "deer": 1}
    assert tally.confidence == {"fox": 500_001, "deer": 500_001}
    assert record.tally("d", a.key, c.key).votes == {"deer": 2, "fox": 1}
    assert record.tally("d", Key(20, ""), Key(30, "")) == (0, {}, {})


def test_max_count_includes_both_ends(record: Record) -> None:
    """The largest count in a range of times, both ends included, 0 in an empty one."""
    put_on(
        record, [seen(1, "a", count=9), seen(5, "b", count=2), seen(6, "c", count=4), seen(7, "e", count=12)]
    )
    assert record.max_count("d", 2, 6) == 4
    assert record.max_count("d", 5, 5) == 2
    assert record.max_count("d", 1, 7) == 12
    assert record.max_count("d", 2, 4) == 0
    assert record.max_count("d", 6, 5) == 0


def test_deployments_are_apart(record: Record) -> None:
    """Nothing of one deployment shows in another."""
    put_on(record, [seen(1, "a", count=3), seen(2, "b", deployment="e")])
    record.put(registered("one", 1, 1))
    record.set_watermark("d", 5)
    assert record.observations("e", 0, 9) == [seen(2, "b", deployment="e")]
    assert record.before("e", Key(2, "")) is None
    assert record.max_count("e", 0, 9) == 1
    assert record.tally("e", *EVER).media_count == 1
    assert record.registrations("e", *EVER) == []
    assert record.open_registrations("e") == []
    assert record.watermark("e") is None


def test_registrations_come_back_whole(record: Record) -> None:
    """Every field is read back as it was put, whatever its state."""
    opened = registered("one", 1, 4)
    closed = replace(registered("two", 5, 9), state="closed")
    record.put(closed)
    record.put(opened)
    assert record.registrations("d", *EVER) == [opened, closed]
    assert (record.find("one"), record.find("two"), record.find("three")) == (opened, closed, None)


def test_put_replaces_by_id(record: Record) -> None:
    """The same id put again is the same registration, wherever it begins now."""
    record.put(registered("one", 5, 9))
    moved = replace(registered("one", 2, 3), label="fox", state="closed", confidence_sums={})
    record.put(moved)
    assert record.registrations("d", *EVER) == [moved]
    assert record.open_registrations("d") == []


def test_registrations_that_overlap_a_range(record: Record) -> None:
    """Those of which the range from first to last meets the one asked for, both ends included."""
    one, two, three = registered("one", 1, 4), registered("two", 6, 9), registered("three", 10, 10)
    for registration in (three, one, two):
        record.put(registration)
    assert record.registrations("d", Key(4, "m"), Key(6, "m")) == [one, two]
    assert record.registrations("d", Key(4, "n"), Key(6, "l")) == []
    assert record.registrations("d", Key(7, "m"), Key(8, "m")) == [two]
    assert record.registrations("d", Key(9, "m"), Key(9, "m")) == [two]
    assert record.registrations("d", Key(9, "n"), Key(99, "m")) == [three]
    assert record.registrations("d", Key(0, "m"), Key(99, "m")) == [one, two, three]


def test_open_registrations_are_in_order(record: Record) -> None:
    """Only the open ones, by start."""
    one, two, three = registered("one", 1, 4), registered("two", 6, 9), registered("three", 10, 10)
    for registration in (three, replace(two, state="closed"), one):
        record.put(registration)
    assert record.open_registrations("d") == [one, three]


def test_tombstones_are_found_but_not_listed(record: Record) -> None:
    """A retracted registration is in no list; it is found, whole, as it was retracted, and may come back."""
    living = registered("one", 1, 4)
    record.put(living)
    assert record.is_living("one")
    tombstone = replace(living, revision=5, superseded_by="two")
    record.retract(tombstone)
    assert not record.is_living("one")
    assert record.find("one") == tombstone
    assert record.registrations("d", *EVER) == record.open_registrations("d") == []
    back = replace(living, revision=6)
    record.put(back)
    assert record.is_living("one")
    assert record.find("one") == back
    assert record.registrations("d", *EVER) == record.open_registrations("d") == [back]


def test_tombstones_may_be_put_anew_and_again(record: Record) -> None:
    """Retracting works for an id that never lived, and replaces an earlier tombstone."""
    tombstone = registered("one", 1, 4)
    record.retract(tombstone)
    record.retract(replace(tombstone, revision=9))
    assert record.find("one") == replace(tombstone, revision=9)
    assert not record.is_living("one")
    assert not record.is_living("never")


def test_a_tombstone_does_not_hide_its_successor(record: Record) -> None:
    """Where a retracted registration was, the one that took its place is found."""
    record.put(registered("one", 5, 9))
    record.retract(registered("one", 5, 9))
    record.put(registered("two", 1, 9))
    assert [r.id for r in record.registrations("d", Key(6, ""), Key(7, ""))] == ["two"]


def test_openings_grow(record: Record) -> None:
    """Every number is larger than the ones before, in each deployment."""
    numbers = [record.next_opening("d") for _ in range(3)]
    assert numbers == sorted(set(numbers))
    assert record.next_opening("e") <= numbers[-1]


def test_watermark_is_remembered(record: Record) -> None:
    """There is none at first; then it is what was set last, and numbering openings doesn't make one."""
    record.next_opening("d")
    assert record.watermark("d") is None
    record.set_watermark("d", 5)
    record.next_opening("d")
    assert record.watermark("d") == 5
    record.set_watermark("d", 7)
    assert record.watermark("d") == 7


@pytest.mark.parametrize("seed", range(12))
def test_engine_works_the_same_on_it(record: Record, seed: int) -> None:
    """The engine's change log on this record is the one it gives in memory, step by step."""
    rng = random.Random(seed)
    options = Options(
        method=rng.choice(["windowed", "simple"]),
        window=rng.randint(1, 9),
        gap=rng.randint(0, 9),
        split_on=rng.choice([frozenset({"label"}), frozenset({"label", "count"}), frozenset()]),
        compared_to=rng.choice(["last_image", "registration_start"]),
    )
    arrivals = [
        seen(rng.randint(0, 40), f"{n:02}", rng.choice(["deer", "fox", None]), rng.randint(0, 3))
        for n in range(30)
    ]
    log: list[list[object]] = []
    for target in (record, MemoryRecord()):
        engine = Engine(options, target)
        steps: list[object] = []
        for start in range(0, 30, 3):
            steps += engine.accept(arrivals[start : start + 3])
            steps += engine.advance("d", start)
        present = [o for o in arrivals if o.count][:6]
        steps += engine.amend(present, [replace(o, t=o.t + 7, label="boar") for o in present[:4]])
        steps += engine.close("d")
        log.append(steps)
    assert log[0] == log[1]
    assert record.registrations("d", *EVER) == target.registrations("d", *EVER)
