"""The reserve on the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edge.errors import StoreError
from edge.store.ballast import NAME, Ballast

SIZE = 1 << 20


def test_space_is_really_reserved_and_freed(tmp_path: Path) -> None:
    """Blocks, not a sparse file; given up once, then there is none to give."""
    ballast = Ballast(tmp_path, SIZE, 0)
    assert [ballast.held, ballast.take_up()] == [False, True]
    assert (tmp_path / NAME).stat().st_blocks * 512 >= SIZE
    assert ballast.held
    assert ballast.give_up()
    assert not ballast.give_up()
    assert list(tmp_path.iterdir()) == []


def test_it_is_taken_up_again_only_with_space_to_spare(tmp_path: Path) -> None:
    """Else it would be given up again at once."""
    assert not Ballast(tmp_path, SIZE, 2**62).take_up()
    assert list(tmp_path.iterdir()) == []


def test_sparse_file_is_no_ballast(tmp_path: Path) -> None:
    """One that was copied or cut is filled up."""
    (tmp_path / NAME).touch()
    os.truncate(tmp_path / NAME, SIZE)
    ballast = Ballast(tmp_path, SIZE, 0)
    assert [ballast.held, ballast.take_up(), ballast.held] == [False, True, True]


def test_none_wanted(tmp_path: Path) -> None:
    """Of size 0: nothing is missing, and one that is there goes."""
    (tmp_path / NAME).write_bytes(b"x" * 5000)
    ballast = Ballast(tmp_path, 0, 0)
    assert ballast.take_up()
    assert ballast.held
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "fatal"), [(errno.ENOSPC, False), (errno.EIO, True)])
def test_disk_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, *, fatal: bool
) -> None:
    """Want of space is no fault; anything else is."""

    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.posix_fallocate", refuse)
    if fatal:
        with pytest.raises(StoreError, match="ballast"):
            Ballast(tmp_path, SIZE, 0).take_up()
    else:
        assert not Ballast(tmp_path, SIZE, 0).take_up()
    assert list(tmp_path.iterdir()) == []
