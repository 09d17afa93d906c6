"""People's corrections beside the database."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from edge.errors import DiskFullError, StoreError
from edge.store.corrections import Retimed
from edge.store.journal import JOURNAL, Entry, Journal, Said, in_force

SHOWN = Entry(5, "anna", {"sha256:a": Said("Red_Fox", 2), "sha256:b": None}, {})
MOVED = Entry(6, "bert", {}, {"sha256:a": Retimed("sha256:a", -7, 60, clock_ok=False)})


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Labels, their absence, times; names as people have them."""
    journal = Journal(tmp_path)
    assert (journal.entries(), journal.size()) == ([], 0)
    entries = [SHOWN, MOVED, Entry(7, "Zoë\n", {"sha256:c": Said(None, 0)}, {})]
    for entry in entries:
        journal.append(entry)
    assert journal.entries() == entries
    assert journal.size() == (tmp_path / JOURNAL).stat().st_size
    assert (tmp_path / JOURNAL).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_half_a_line_is_no_line_and_spoils_none(tmp_path: Path, cut: int) -> None:
    """A power cut in the middle of one: those before and after it can be read."""
    journal = Journal(tmp_path)
    journal.append(SHOWN)
    journal.append(MOVED)
    path = tmp_path / JOURNAL
    path.write_bytes(path.read_bytes()[:-cut])
    journal.append(MOVED)
    assert journal.entries() == [SHOWN, MOVED] if cut > 1 else [SHOWN, MOVED, MOVED]


@given(seed=st.integers(), flips=st.integers(1, 8))
def test_damaged_bytes_are_never_believed(
    tmp_path_factory: pytest.TempPathFactory, seed: int, flips: int
) -> None:
    """Whatever a disk makes of it, what is read was written."""
    folder, chance = tmp_path_factory.mktemp("journal"), random.Random(seed)
    journal = Journal(folder)
    for entry in (SHOWN, MOVED, SHOWN):
        journal.append(entry)
    data = bytearray((folder / JOURNAL).read_bytes())
    for _ in range(flips):
        data[chance.randrange(len(data))] = chance.randrange(256)
    (folder / JOURNAL).write_bytes(data)
    assert all(entry in (SHOWN, MOVED) for entry in journal.entries())


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"7",
        b'{"crc": 1}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"made":1,"by":"x","labels":[],"times":{},"crc":0}',
    ],
)
def test_what_never_was_a_line_is_passed_over(tmp_path: Path, line: bytes) -> None:
    """Other files under its name, too."""
    (tmp_path / JOURNAL).write_bytes(line + b"\n")
    Journal(tmp_path).append(MOVED)
    assert Journal(tmp_path).entries() == [MOVED]


def test_only_the_last_word_about_an_image_counts() -> None:
    """For labels and times separately."""
    later = Entry(8, "carl", {"sha256:a": None}, {})
    assert in_force([SHOWN, MOVED, later]) == [Entry(5, "anna", {"sha256:b": None}, {}), MOVED, later]
    assert in_force([MOVED, MOVED]) == [MOVED]


def test_it_is_shortened_where_that_halves_it(tmp_path: Path) -> None:
    """A camera whose clock is shifted to and fro: as large as one shift."""
    journal = Journal(tmp_path)
    times = {f"sha256:{n:064}": Retimed(f"sha256:{n:064}", n, 0, clock_ok=True) for n in range(1500)}
    journal.append(Entry(1, "anna", {}, times))
    assert not journal.shorten()
    journal.append(Entry(2, "anna", {}, times))
    journal.append(SHOWN)
    size = journal.size()
    assert journal.shorten() is (journal.size() != size)
    journal.append(Entry(3, "anna", {}, times))
    assert journal.shorten()
    assert journal.entries() == [SHOWN, Entry(3, "anna", {}, times)]
    assert [path.name for path in tmp_path.iterdir()] == [JOURNAL]


def test_disk_that_refuses_is_told(tmp_path: Path) -> None:
    """As an error that says what couldn't be kept."""
    (tmp_path / JOURNAL).mkdir()
    with pytest.raises(StoreError, match="correction can't be kept"):
        Journal(tmp_path).append(SHOWN)
    with pytest.raises(StoreError, match="corrections can't be read"):
        Journal(tmp_path).entries()


def test_full_disk_is_a_full_disk(tmp_path: Path) -> None:
    """So that it is waited for like any other."""
    (tmp_path / JOURNAL).symlink_to("/dev/full")
    with pytest.raises(DiskFullError):
        Journal(tmp_path).append(SHOWN)
