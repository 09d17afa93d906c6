"""The housekeeper: when backups are made, and what becomes of faults."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from edge.errors import DiskFullError, StoreBusyError, StoreCorruptError
from edge.service import keeper as module
from edge.service.keeper import FIRST_BACKUP, Keeper, is_due
from edge.service.opening import until_space
from edge.service.recall import is_recalling
from edge.service.relabel import relabel
from edge.settings import Settings, StoreSettings
from edge.store.backup import FOLDER, backups
from edge.store.ballast import Ballast
from edge.store.corrections import Corrections, Retimed
from edge.store.files import StateLock
from edge.store.journal import JOURNAL, Entry, Journal
from tests.service.corrected import Corrigible
from tests.service.outcomes import examined, seen

DAY = 86400.0


def _keeper(desk: Corrigible, state: Path, **store: float) -> Keeper:
    settings = Settings(
        drop=state.parent / "drop",
        state=state,
        store=StoreSettings.model_validate({"low_water": 0, "ballast": 0, "snapshots_free": 0, **store}),
    )
    ballast = Ballast(state, settings.store.ballast, settings.store.low_water)
    return Keeper(
        settings,
        desk.database,
        desk.voice(),
        ballast,
        threading.Event(),
        idle=lambda: True,
        wake=lambda: None,
    )


def _steps(keeper: Keeper, number: int = 5) -> None:
    for _ in range(number):
        keeper.step(lambda: None)


@pytest.fixture
def desk(tmp_path: Path) -> Corrigible:
    """A record with an image."""
    desk = Corrigible.at(tmp_path / "state")
    desk.record(seen(examined("a", 0)))
    return desk


def test_backup_is_made_once_when_it_is_due(desk: Corrigible, tmp_path: Path) -> None:
    """Then not again before its time."""
    keeper = _keeper(desk, tmp_path / "state", backup_interval=DAY)
    _steps(keeper)
    assert backups(tmp_path / "state" / FOLDER) == []
    keeper._made -= FIRST_BACKUP
    _steps(keeper)
    assert len(backups(tmp_path / "state" / FOLDER)) == 1
    assert keeper.problems() == ()


def test_timer_and_daemon_do_not_collide(desk: Corrigible, tmp_path: Path) -> None:
    """While another process makes one, the daemon doesn't, and complains of nothing."""
    keeper = _keeper(desk, tmp_path / "state", backup_interval=1e-6)
    (tmp_path / "state" / FOLDER).mkdir()
    with StateLock(tmp_path / "state" / FOLDER, ".lock"):
        _steps(keeper, 2)
    assert (backups(tmp_path / "state" / FOLDER), keeper.problems()) == ([], ())


def test_backup_that_fails_is_told_and_tried_again(
    desk: Corrigible, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon goes on; the problem is over with the next one that succeeds."""
    keeper = _keeper(desk, tmp_path / "state", backup_interval=1e-6)

    def refuse(*_: object, **__: object) -> None:
        raise DiskFullError("no space for a backup")

    with monkeypatch.context() as patch:
        patch.setattr(module, "make_backup", refuse)
        _steps(keeper)
    assert [problem.code for problem in keeper.problems()] == ["backup_failed"]
    keeper._next["backup"] = 0.0
    _steps(keeper)
    assert keeper.problems() == ()
    assert backups(tmp_path / "state" / FOLDER)


def test_copy_that_is_damaged_because_the_database_is_ends_the_daemon(
    desk: Corrigible, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only at a start can it be put right. If the database is sound, the copy's disk is to blame."""
    keeper = _keeper(desk, tmp_path / "state", backup_interval=1e-6)

    def damaged(*_: object, **__: object) -> None:
        raise StoreCorruptError("database is damaged")

    monkeypatch.setattr(module, "make_backup", damaged)
    _steps(keeper)
    assert [problem.code for problem in keeper.problems()] == ["backup_failed"]
    monkeypatch.setattr(keeper, "_is_sound", lambda: False)
    keeper._next["backup"] = 0.0
    with pytest.raises(StoreCorruptError):
        _steps(keeper)


def test_reserve_is_held_and_its_want_is_told(desk: Corrigible, tmp_path: Path) -> None:
    """With room for it there is a file; without there is a problem."""
    _steps(_keeper(desk, tmp_path / "state", ballast=1 << 20))
    assert (tmp_path / "state" / "ballast").stat().st_size == 1 << 20
    keeper = _keeper(desk, tmp_path / "state", ballast=1 << 60)
    _steps(keeper)
    assert [problem.code for problem in keeper.problems()] == ["no_reserve"]


def test_start_on_a_full_disk_gives_up_the_ballast_first(tmp_path: Path) -> None:
    """Then it waits until there is space; told to stop, it does."""
    ballast, stop, held = Ballast(tmp_path, 1 << 16, 0), threading.Event(), list[bool]()
    assert ballast.take_up()

    def attempt() -> str:
        held.append((tmp_path / "ballast").exists())
        if len(held) < 4:
            raise DiskFullError("disk is full")
        return "begun"

    assert until_space(attempt, ballast, stop, wait=0.0) == "begun"
    assert held == [True, False, False, False]
    stop.set()
    assert until_space(attempt, ballast, stop, wait=0.0) is None


def test_start_waits_for_a_busy_database_and_keeps_the_ballast(tmp_path: Path) -> None:
    """Another program will be done with it some time; space wouldn't help."""
    ballast, tries = Ballast(tmp_path, 1 << 16, 0), list[int]()
    assert ballast.take_up()

    def attempt() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise StoreBusyError("database is busy")
        return "begun"

    assert until_space(attempt, ballast, threading.Event(), wait=0.0) == "begun"
    assert (len(tries), ballast.held) == (3, True)


ages = st.lists(st.floats(-1e9, 1e9), max_size=4)


@given(ages, st.floats(0, 1e9))
def test_no_interval_means_never(found: list[float], since: float) -> None:
    """A person who sets 0 makes backups otherwise."""
    assert not is_due(found, 0.0, since_last=since)


@given(ages.filter(bool), st.floats(1, 1e6))
def test_a_backup_is_never_made_again_at_once(found: list[float], interval: float) -> None:
    """Whatever clocks say: right after one was made (age 0) none is due."""
    assert not is_due([*found, 0.0], interval, since_last=0.0)


@given(ages, st.floats(1, 1e6))
def test_without_any_word_of_the_clock_it_is_due_in_time(found: list[float], interval: float) -> None:
    """A clock that was in the future when one was made doesn't keep the next from being made."""
    assert is_due([*found, -1.0], interval, since_last=interval)


def test_timer_comes_before_the_daemon() -> None:
    """A little before the interval is over a timer finds one due, the daemon doesn't."""
    assert is_due([0.95 * DAY], DAY, since_last=0.0, slack=0.1)
    assert not is_due([0.95 * DAY], DAY, since_last=0.0)


def test_corrections_are_made_again_after_another_database_took_the_place(
    desk: Corrigible, tmp_path: Path
) -> None:
    """By itself, once the drop folder has been read; until then it isn't settled."""
    relabel(desk.database, "sha256:cam-a", "Badger", 2)
    desk.database.execute("DELETE FROM reviews")
    desk.database.remember("recall", "corrections")
    keeper = _keeper(desk, tmp_path / "state")
    before = keeper.settled
    _steps(keeper)
    assert (before, keeper.settled) == (False, True)
    assert Corrections(desk.database).review("sha256:cam-a") is not None
    assert not is_recalling(desk.database)


def test_journal_that_cannot_be_read_needs_a_person_and_stops_nothing(
    desk: Corrigible, tmp_path: Path
) -> None:
    """Everything else goes on; once it can be read, it is."""
    (tmp_path / "state" / JOURNAL).mkdir()
    desk.database.remember("recall", "corrections")
    keeper = _keeper(desk, tmp_path / "state")
    _steps(keeper)
    assert [problem.code for problem in keeper.problems()] == ["recall_failed"]
    (tmp_path / "state" / JOURNAL).rmdir()
    keeper._next["recall"] = 0.0
    _steps(keeper)
    assert keeper.problems() == ()
    assert not is_recalling(desk.database)


def test_journal_is_shortened_after_a_backup(desk: Corrigible, tmp_path: Path) -> None:
    """What later corrections made void goes."""
    journal = Journal(tmp_path / "state")
    times = {f"sha256:{n:064}": Retimed(f"sha256:{n:064}", n, 0, clock_ok=True) for n in range(3000)}
    for made in range(3):
        journal.append(Entry(made, "anna", {}, times))
    keeper = _keeper(desk, tmp_path / "state", backup_interval=DAY)
    keeper._made -= FIRST_BACKUP
    _steps(keeper)
    assert [entry.made for entry in journal.entries()] == [2]
