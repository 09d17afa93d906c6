"""Watches and hints, on real folders."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import inotify_simple
import pytest

from edge.intake.inotify import Hint, Watches


@pytest.fixture
def watches() -> Iterator[Watches]:
    """Closed afterwards."""
    made = Watches()
    yield made
    made.close()


def test_tells_of_files_that_were_closed_or_moved_in(watches: Watches, tmp_path: Path) -> None:
    """And not of those that were only begun."""
    (tmp_path / "cam").mkdir()
    (tmp_path / "b").write_bytes(b"x")
    assert watches.add("cam", tmp_path / "cam")
    with (tmp_path / "cam/a.jpg").open("wb") as file:
        file.write(b"x")
        file.flush()
        assert list(watches.read()) == []
    (tmp_path / "b").rename(tmp_path / "cam/b.jpg")
    assert list(watches.read()) == [Hint("file", "cam/a.jpg"), Hint("file", "cam/b.jpg")]


def test_tells_of_new_folders_and_names_at_the_top_have_no_folder(watches: Watches, tmp_path: Path) -> None:
    """Made there, or moved there."""
    (tmp_path / "drop").mkdir()
    (tmp_path / "other").mkdir()
    watches.add("", tmp_path / "drop")
    (tmp_path / "drop/new").mkdir()
    (tmp_path / "other").rename(tmp_path / "drop/other")
    assert list(watches.read()) == [Hint("folder", "new"), Hint("folder", "other")]


def test_a_deleted_folder_is_forgotten(watches: Watches, tmp_path: Path) -> None:
    """Its watch is gone with it."""
    (tmp_path / "cam").mkdir()
    watches.add("cam", tmp_path / "cam")
    (tmp_path / "cam").rmdir()
    assert list(watches.read()) == []
    assert len(watches) == 0
    assert "cam" not in watches


def test_a_folder_that_moves_away_is_forgotten_with_all_below(watches: Watches, tmp_path: Path) -> None:
    """What happens in it elsewhere isn't reported under its old name."""
    (tmp_path / "drop/cam/deep").mkdir(parents=True)
    (tmp_path / "drop/camera").mkdir()
    for name in ("", "cam", "cam/deep", "camera"):
        watches.add(name, tmp_path / "drop" / name)
    (tmp_path / "drop/cam").rename(tmp_path / "away")
    assert list(watches.read()) == []
    assert len(watches) == 2
    (tmp_path / "away/deep/a.jpg").write_bytes(b"x")
    (tmp_path / "drop/camera/b.jpg").write_bytes(b"x")
    assert list(watches.read()) == [Hint("file", "camera/b.jpg")]


def test_a_folder_that_moved_within_reports_under_its_new_name(watches: Watches, tmp_path: Path) -> None:
    """The kernel gives the same watch for the same folder."""
    (tmp_path / "one").mkdir()
    watches.add("one", tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    watches.add("two", tmp_path / "two")
    (tmp_path / "two/a.jpg").write_bytes(b"x")
    assert list(watches.read()) == [Hint("file", "two/a.jpg")]
    assert len(watches) == 1


def test_a_folder_that_was_replaced_is_watched_once(watches: Watches, tmp_path: Path) -> None:
    """The old one's watch ends."""
    (tmp_path / "cam").mkdir()
    watches.add("cam", tmp_path / "cam")
    (tmp_path / "cam").rename(tmp_path / "old")
    (tmp_path / "cam").mkdir()
    watches.add("cam", tmp_path / "cam")
    (tmp_path / "old/a.jpg").write_bytes(b"x")
    (tmp_path / "cam/b.jpg").write_bytes(b"x")
    assert list(watches.read()) == [Hint("file", "cam/b.jpg")]
    assert len(watches) == 1


def test_a_name_that_is_no_utf8_comes_through(watches: Watches, tmp_path: Path) -> None:
    """As the system gives it."""
    watches.add("", tmp_path)
    Path(os.fsdecode(bytes(tmp_path) + b"/\xe4.jpg")).write_bytes(b"x")
    assert list(watches.read()) == [Hint("file", "\udce4.jpg")]


def test_a_missing_folder_can_t_be_watched(watches: Watches, tmp_path: Path) -> None:
    """That isn't the system's limit."""
    assert not watches.add("x", tmp_path / "x")
    assert not watches.limit_reached


def test_the_system_s_limit_on_watches_is_noticed(
    watches: Watches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No watch, no crash."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(inotify_simple.INotify, "add_watch", full)
    assert not watches.add("", tmp_path)
    assert watches.limit_reached


def test_without_an_instance_there_are_no_watches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The system's limit on inotify instances is reached: everything is polled."""

    def none(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(inotify_simple.INotify, "__init__", none)
    watches = Watches()
    assert watches.limit_reached
    assert watches.fileno() is None
    assert not watches.add("", tmp_path)
    assert list(watches.read()) == []
    watches.close()
