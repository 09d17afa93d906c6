"""Room on the disk."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.errors import DiskFullError, StoreBusyError
from edge.service.health import disk_health
from edge.service.space import Space
from edge.settings import Settings, StoreSettings


def _space(state: Path, low_water: int = 0) -> Space:
    settings = Settings(state=state, drop=state.parent / "drop", store=StoreSettings(low_water=low_water))
    return Space(settings, retry=0.0)


def test_write_is_tried_until_there_is_space(tmp_path: Path) -> None:
    """What didn't fit is written in the end, with a sign of life at each try; intake waits meanwhile."""
    space, beats = _space(tmp_path), list[bool]()
    answers: Iterator[bool] = iter((False, False, True))

    def write() -> str:
        if not next(answers):
            raise DiskFullError("disk is full")
        return "written"

    found = space.insist(write, threading.Event(), lambda: beats.append(space.allows_intake()))
    assert (found, beats) == ("written", [False, False])
    assert (space.full, space.allows_intake()) == (False, True)


def test_orderly_stop_ends_the_waiting(tmp_path: Path) -> None:
    """A full disk keeps no process from ending; who waited is told."""
    stop = threading.Event()
    stop.set()

    def write() -> None:
        raise DiskFullError("disk is full")

    space = _space(tmp_path)
    with pytest.raises(DiskFullError):
        space.insist(write, stop, lambda: None)
    assert not space.full


def test_other_faults_are_not_waited_for(tmp_path: Path) -> None:
    """Only want of space passes by itself."""

    def write() -> None:
        raise ZeroDivisionError

    space = _space(tmp_path)
    with pytest.raises(ZeroDivisionError):
        space.insist(write, threading.Event(), lambda: None)
    assert not space.full


def test_busy_database_is_waited_out_and_told(tmp_path: Path) -> None:
    """Another program that holds the lock for long costs time, and no image; health says so meanwhile."""
    space, told = _space(tmp_path), list[str]()
    answers: Iterator[bool] = iter((False, False, True))

    def write() -> str:
        if not next(answers):
            raise StoreBusyError("database is busy")
        return "written"

    def beat() -> None:
        told.extend(problem.code for problem in space.problems())

    assert space.insist(write, threading.Event(), beat) == "written"
    assert (told, space.busy, space.full) == (["database_busy"] * 2, False, False)


def test_intake_waits_below_the_low_water_mark(tmp_path: Path) -> None:
    """Before the disk is full, files are left where they are."""
    assert not _space(tmp_path, low_water=2**62).allows_intake()


def test_intake_and_health_judge_the_same_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once health has found the disk too full, no more files are taken; with space they are, at once."""
    usage, free = shutil.disk_usage(tmp_path), [300]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free[0]))
    settings = Settings(state=tmp_path, drop=tmp_path / "drop", store=StoreSettings(low_water=200))
    space, allowed = Space(settings), list[bool]()
    for free[0] in (300, 199, 200):
        disk = disk_health(settings)
        allowed.append(space.allows_intake())
        assert allowed[-1] == (disk.free >= disk.low_water)
    assert allowed == [True, False, True]
