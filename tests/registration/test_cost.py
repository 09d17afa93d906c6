"""What the engine reads for one image: only what lies around it, however long the history or the session."""

from __future__ import annotations

import pytest

from edge.registration import (
    ComparedTo,
    Engine,
    Key,
    MemoryRecord,
    Method,
    Observation,
    Options,
    Registration,
    Tally,
)
from tests.registration.build import DEPLOYMENT, MINUTE, seen

WINDOW = 30 * MINUTE


class CountingRecord(MemoryRecord):
    """Counts the rows that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0

    def observations(self, deployment: str, first_t: int, last_t: int) -> list[Observation]:
        """Counts each."""
        found = super().observations(deployment, first_t, last_t)
        self.rows += len(found)
        return found

    def before(self, deployment: str, key: Key) -> Observation | None:
        """Counts one."""
        self.rows += 1
        return super().before(deployment, key)

    def after(self, deployment: str, key: Key) -> Observation | None:
        """Counts one."""
        self.rows += 1
        return super().after(deployment, key)

    def tally(self, deployment: str, first: Key, last: Key) -> Tally:
        """Counts each that is added up."""
        tally = super().tally(deployment, first, last)
        self.rows += tally.media_count
        return tally

    def registrations(self, deployment: str, first: Key, last: Key) -> list[Registration]:
        """Counts each."""
        found = super().registrations(deployment, first, last)
        self.rows += len(found)
        return found

    def open_registrations(self, deployment: str) -> list[Registration]:
        """Counts each."""
        found = super().open_registrations(deployment)
        self.rows += len(found)
        return found


def rows_for(options: Options, history: list[Observation], *arrivals: Observation) -> int:
    """Rows read for some more images, after a history that is closed up to an hour before its end."""
    record = CountingRecord()
    engine = Engine(options, record)
    engine.accept(history)
    engine.advance(DEPLOYMENT, history[-1].t - 2 * WINDOW)
    record.rows = 0
    for arrival in arrivals:
        engine.accept([arrival])
    return record.rows


@pytest.mark.parametrize("compared_to", ["last_image", "registration_start"])
@pytest.mark.parametrize("method", ["windowed", "simple"])
def test_next_image_reads_no_more_after_a_longer_history(method: Method, compared_to: ComparedTo) -> None:
    """Ten times the history, the same rows: for the next image and for a late one."""
    options = Options(method=method, compared_to=compared_to)

    def rows(visits: int) -> int:
        history = [seen(visit * 4 * WINDOW + n * MINUTE) for visit in range(visits) for n in range(5)]
        return rows_for(options, history, seen(history[-1].t + MINUTE), seen(5 * 4 * WINDOW + 1))

    assert rows(200) == rows(20)


@pytest.mark.parametrize("method", ["windowed", "simple"])
def test_one_session_of_many_hours_is_never_read_whole(method: Method) -> None:
    """In a session of 3,000 images an image reads the ones within 2W of it, at its end and in its middle."""
    session = [seen(n * MINUTE) for n in range(3_000)]
    within = 4 * WINDOW // MINUTE + 10
    assert rows_for(Options(method=method), session, seen(3_000 * MINUTE, count=7)) <= within
    assert rows_for(Options(method=method), session, seen(1_500 * MINUTE + 1, count=7)) <= within


def test_own_labels_are_read_from_neighbours_alone() -> None:
    """Under ``simple`` an image reads its neighbours, however many are within the window."""
    session = [seen(n) for n in range(1_000)]
    options = Options(method="simple")
    assert rows_for(options, session, seen(1_000)) <= 10
    assert rows_for(options, session, seen(500)) <= 10


def test_tail_cut_off_a_long_session_is_not_added_up() -> None:
    """Images that turn the end of a long session into another animal read no more than their surroundings."""
    session = [seen(n * MINUTE) for n in range(3_000)]
    foxes = [seen(3_000 * MINUTE + n, "fox") for n in range(40)]
    assert rows_for(Options(), session, *foxes) <= len(foxes) * (4 * WINDOW // MINUTE + len(foxes) + 10)


def test_engine_remembers_nothing() -> None:
    """What an engine holds is its options and its record: all memory is the record's."""
    engine = Engine(Options(), MemoryRecord())
    engine.accept([seen(0), seen(1)])
    assert set(vars(engine)) == {"_options", "_record"}
