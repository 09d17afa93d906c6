"""How old things may be taken to be on a machine whose clock may be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import given, strategies as st

from edge.service.ageing import OFF, SLACK, Ageing, Run, cutoff, looked, runs_since
from edge.store.database import Database, open_database

HOUR = 3_600_000
DAY = 24 * HOUR
TODAY = 1_780_000_000_000
IN_2000 = 946_684_800_000
KEEP = 30 * 86400.0


class _Machine:
    """A clock that somebody sets, and one that nobody does."""

    def __init__(self, folder: Path) -> None:
        self.database: Database = open_database(folder)
        self.now = TODAY
        self._boot = 0.0
        self._ageing = Ageing(self.database, self._elapsed)

    def _elapsed(self) -> float:
        return self._boot

    def pass_by(self, ms: int) -> None:
        """Time goes by, looked at every ten minutes."""
        for _ in range(ms // 600_000):
            self.now += 600_000
            self._boot += 600.0
            self.look()

    def look(self) -> int | None:
        """From when on things are too old; None: nothing is."""
        return cutoff(self.now, KEEP, self._ageing.since(self.now))

    def restart(self) -> None:
        """Another process, which doesn't know how long there was none."""
        self._boot = 5.0
        self._ageing = Ageing(self.database, self._elapsed)


def test_nothing_is_old_at_first(tmp_path: Path) -> None:
    """Nobody knows how the clock ran before the first look; from then on time counts."""
    machine = _Machine(tmp_path)
    assert machine.look() is None
    machine.pass_by(29 * DAY)
    assert machine.look() is None
    machine.pass_by(2 * DAY)
    assert machine.look() == machine.now - 30 * DAY


def test_a_clock_that_jumps_ahead_makes_nothing_old(tmp_path: Path) -> None:
    """Neither while the program runs nor while it doesn't; what was there counts as made at the jump."""
    jumps: list[Callable[[_Machine], None]] = [lambda _m: None, _Machine.restart]
    for number, between in enumerate(jumps):
        machine = _Machine(tmp_path / str(number))
        machine.pass_by(31 * DAY)
        assert machine.look() is not None
        between(machine)
        machine.now += 365 * DAY
        assert machine.look() is None
        machine.pass_by(29 * DAY)
        machine.restart()
        assert machine.look() is None
        machine.pass_by(2 * DAY)
        assert machine.look() == machine.now - 30 * DAY


def test_a_clock_without_a_battery_makes_nothing_old(tmp_path: Path) -> None:
    """It stands in 2000 until it is put right; neither then nor afterwards does anything go too early."""
    machine = _Machine(tmp_path)
    machine.pass_by(31 * DAY)
    machine.restart()
    today, machine.now = machine.now, IN_2000
    assert machine.look() is None
    machine.pass_by(31 * DAY)
    assert machine.look() is None
    machine.now = today + 31 * DAY
    assert machine.look() is None


def test_nights_without_power_are_no_jump(tmp_path: Path) -> None:
    """A machine that the sun feeds removes what is old all the same."""
    machine = _Machine(tmp_path)
    machine.look()
    for _ in range(31):
        machine.pass_by(10 * HOUR)
        machine.now += 14 * HOUR
        machine.restart()
    assert machine.look() is not None


def test_it_is_noted_for_others_but_seldom(tmp_path: Path) -> None:
    """Each note is a commit, and wears the card."""
    machine = _Machine(tmp_path)
    assert runs_since(machine.database) is None
    machine.look()
    assert runs_since(machine.database) == TODAY
    before = machine.database.meta("clock_runs_since")
    machine.now += 1000
    machine.look()
    assert machine.database.meta("clock_runs_since") == before


JUMP = st.one_of(st.just(0), st.integers(-2 * HOUR, 2 * HOUR), st.integers(-(10**12), 10**12))
LOOKS = st.lists(st.tuples(st.integers(0, 20 * DAY), JUMP, st.booleans()), min_size=2, max_size=30)


@given(LOOKS)
def test_nothing_is_believed_to_be_older_than_it_is(looks: list[tuple[int, int, bool]]) -> None:
    """However the clock is set: what goes has been there for as long as it may be kept, but for the slack."""
    run: Run | None = None
    real, wall, slack = 0, TODAY, 0
    made: list[tuple[int, int]] = []
    for elapsed, jump, restarted in looks:
        real, wall, slack = real + elapsed, wall + elapsed + jump, slack + (OFF if restarted else SLACK)
        run = looked(run, wall, None if restarted else elapsed)
        before = cutoff(wall, KEEP, run.since)
        if before is not None:
            assert all(real - at >= 30 * DAY - slack for at, stamp in made if stamp < before)
        made.append((real, wall))
