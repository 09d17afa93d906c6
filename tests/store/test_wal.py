"""Lost commits in a write-ahead log, against logs that SQLite wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from edge.store.database import DATABASE, open_database
from edge.store.wal import HEADER, has_lost_commits

FRAME = 24 + 4096


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A log of some twenty commits, as it is while the database is in use."""
    state = tmp_path_factory.mktemp("log")
    database = open_database(state)
    for number in range(20):
        with database.transaction():
            for part in range(5):
                database.remember(f"key {number}.{part}", "x" * 900)
    content = (state / f"{DATABASE}-wal").read_bytes()
    database.close()
    assert len(content) > 20 * FRAME
    return content


def test_sound_log_is_sound(log: bytes) -> None:
    """Nothing is lost of what nobody touched."""
    assert not has_lost_commits(log, 4096)
    assert not has_lost_commits(b"", 4096)


def test_log_cut_anywhere_is_what_a_power_cut_leaves(log: bytes) -> None:
    """Whole frames or parts of one are missing at the end: the last commit wasn't finished."""
    for size in (HEADER + 1, HEADER + FRAME, HEADER + 7 * FRAME + 100, len(log) - 1):
        assert not has_lost_commits(log[:size], 4096)


def test_torn_last_commit_is_what_a_power_cut_leaves(log: bytes) -> None:
    """Its pages reach the disk in any order."""
    torn = bytearray(log)
    torn[-2 * FRAME + 100 : -2 * FRAME + 200] = b"\0" * 100
    assert not has_lost_commits(bytes(torn), 4096)


@given(st.integers(0, 40), st.integers(0, FRAME - 1), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_damage_before_the_last_commits_is_found(log: bytes, frame: int, offset: int, change: int) -> None:
    """One changed byte in a frame that more commits follow, but in its salts or where nothing is checked."""
    frames = (len(log) - HEADER) // FRAME
    at = HEADER + (frame % (frames // 2)) * FRAME + offset
    damaged = bytearray(log)
    damaged[at] ^= change
    assert has_lost_commits(bytes(damaged), 4096)


@pytest.mark.parametrize("garbage", [b"\xa5" * HEADER, b"\0" * HEADER])
def test_damaged_header_is_found(log: bytes, garbage: bytes) -> None:
    """SQLite would take such a log for empty."""
    assert has_lost_commits(garbage + log[HEADER:], 4096)


def test_log_that_a_killed_process_left_is_sound(tmp_path: Path) -> None:
    """Also where frames of the round before lie behind those of this one."""
    database = open_database(tmp_path)
    for number in range(400):
        database.remember(f"key {number}", "x" * 900)
    wal = tmp_path / f"{DATABASE}-wal"
    shutil.copyfile(wal, tmp_path / "copy")
    assert not has_lost_commits((tmp_path / "copy").read_bytes(), 4096)
    database.close()
