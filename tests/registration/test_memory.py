"""Ends of ranges in the record in memory that no media id of the other tests comes near."""

from __future__ import annotations

from dataclasses import replace

from edge.registration import Engine, Key, MemoryRecord, Options
from tests.registration.build import DEPLOYMENT, living, seen


def test_range_of_times_ends_before_any_media_of_the_next() -> None:
    """The smallest media id one millisecond later isn't in a range."""
    record = MemoryRecord()
    last, following = seen(5, media="m"), seen(6, media="")
    record.add(last)
    record.add(following)
    assert record.observations(DEPLOYMENT, 0, 5) == [last]
    assert record.observations(DEPLOYMENT, 6, 6) == [following]


def test_range_of_keys_ends_with_its_last() -> None:
    """A registration that begins with the next larger media id of the same instant isn't in a range."""
    record = MemoryRecord()
    Engine(Options(), record).accept([seen(5, media="m")])
    (there,) = living(record)
    next_key = Key(5, "m!")
    record.put(replace(there, id="other", first=next_key, last=next_key))
    assert record.registrations(DEPLOYMENT, Key(5, "m"), Key(5, "m")) == [there]
    assert record.registrations(DEPLOYMENT, next_key, next_key) == [
        replace(there, id="other", first=next_key, last=next_key)
    ]
