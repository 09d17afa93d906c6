"""What became of every path."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.store.database import Database, open_database
from edge.store.ledger import SETTLED, Fate, FileState, Ledger, Stat

STAT = Stat(1, 2, 300, 4)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty one."""
    return Ledger(open_database(tmp_path))


@pytest.mark.parametrize("state", SETTLED)
def test_settled_files_are_known(ledger: Ledger, state: FileState) -> None:
    """A scan passes over files that have their fate, folder by folder."""
    ledger.settle([Fate("cam/a.JPG", STAT, state), Fate("b.JPG", STAT, state)], now=1)
    assert ledger.known_in("cam", ["a.JPG", "b.JPG"]) == {"a.JPG": STAT}
    assert ledger.known_in("", ["a.JPG", "b.JPG"]) == {"b.JPG": STAT}


def test_names_of_any_kind_are_found(ledger: Ledger) -> None:
    """Quotes, control characters and bytes that aren't UTF-8, as the ledger has them."""
    names = ['"', "\n", "'; --", "\\xff.JPG", "Лось.JPG", "🦌", "[1]", "1"]
    ledger.settle([Fate(f"cam/{name}", STAT, "processed") for name in names], now=1)
    assert ledger.known_in("cam", names) == dict.fromkeys(names, STAT)


def test_incomplete_and_attempted_files_are_looked_at_again(ledger: Ledger) -> None:
    """What isn't settled is found by the next scan."""
    ledger.settle([Fate("cam/a.JPG", STAT, "incomplete", "cut")], now=1)
    ledger.attempt([("cam/b.JPG", STAT)], now=1)
    assert ledger.known_in("cam", ["a.JPG", "b.JPG"]) == {}


def test_attempts_count_until_there_is_an_outcome(ledger: Ledger) -> None:
    """A file that was under way when processes ended is a suspect with so many attempts."""
    for _ in range(3):
        ledger.attempt([("cam/a.JPG", STAT)], now=1)
    assert ledger.suspects()["cam/a.JPG"].attempts == 3
    ledger.settle([Fate("cam/a.JPG", STAT, "processed")], now=2)
    assert ledger.suspects() == {}
    ledger.attempt([("cam/a.JPG", STAT)], now=3)
    assert ledger.suspects()["cam/a.JPG"].attempts == 1


def test_new_content_starts_counting_anew(ledger: Ledger) -> None:
    """Attempts belong to a content, not to a name."""
    ledger.attempt([("cam/a.JPG", STAT)], now=1)
    ledger.attempt([("cam/a.JPG", STAT._replace(size=301))], now=2)
    assert ledger.suspects()["cam/a.JPG"].attempts == 1


def test_released_attempts_leave_no_suspect(ledger: Ledger) -> None:
    """An orderly stop takes back what was never begun."""
    ledger.attempt([("cam/a.JPG", STAT)], now=1)
    ledger.release(["cam/a.JPG"])
    assert ledger.suspects() == {}
    assert ledger.known_in("cam", ["a.JPG", "b.JPG"]) == {}


def test_released_file_that_was_incomplete_is_so_again(ledger: Ledger) -> None:
    """An attempt that never began leaves the reason of the one before."""
    ledger.settle([Fate("cam/a.JPG", STAT, "incomplete", "cut off")], now=1)
    ledger.attempt([("cam/a.JPG", STAT)], now=2)
    ledger.release(["cam/a.JPG"])
    assert ledger.counts() == {"incomplete": 1}


def test_first_seen_stays(ledger: Ledger) -> None:
    """Patience with an incomplete file is counted from its first sight."""
    ledger.settle([Fate("cam/a.JPG", STAT, "incomplete", "cut")], now=10)
    ledger.settle([Fate("cam/a.JPG", STAT._replace(size=9), "incomplete", "cut")], now=20)
    assert ledger.first_seen("cam/a.JPG") == 10
    assert ledger.first_seen("cam/b.JPG") is None


def test_counts_tell_every_state(tmp_path: Path) -> None:
    """Each path counts once, in its newest state."""
    database: Database = open_database(tmp_path)
    ledger = Ledger(database)
    ledger.attempt([("a", STAT), ("b", STAT)], now=1)
    ledger.settle([Fate("a", STAT, "processed")], now=2)
    assert ledger.counts() == {"attempted": 1, "processed": 1}


def test_file_that_is_gone_is_looked_at_should_it_come_back(ledger: Ledger) -> None:
    """A card that was pulled before its files were read, and put in again, has the same files as before."""
    ledger.settle([Fate("cam/a.JPG", STAT, "gone", "the file is gone")], now=1)
    assert ledger.known_in("cam", ["a.JPG", "b.JPG"]) == {}


def test_attempts_are_counted_on_across_a_mount(ledger: Ledger) -> None:
    """Device and inode may change when a card is mounted again; size and mtime tell the file."""
    for stat in (STAT, STAT._replace(device=9, inode=9)):
        ledger.attempt([("cam/a.JPG", stat)], now=1)
    assert ledger.suspects()["cam/a.JPG"].attempts == 2


def test_incomplete_files_are_counted(ledger: Ledger) -> None:
    """Those, and no others."""
    states: tuple[FileState, ...] = ("processed", "incomplete", "set_aside", "incomplete", "gone")
    for number, state in enumerate(states):
        ledger.settle([Fate(f"cam/{number}.JPG", STAT, state)], now=1)
    assert ledger.incomplete() == 2


def test_new_content_under_an_old_name_is_waited_for_anew(ledger: Ledger) -> None:
    """A name that had its fate long ago starts afresh when its file is written over."""
    ledger.settle([Fate("cam/latest.JPG", STAT, "processed")], now=1)
    grown = STAT._replace(size=STAT.size + 1)
    ledger.attempt([("cam/latest.JPG", grown)], now=50)
    ledger.settle([Fate("cam/latest.JPG", grown, "incomplete", "cut")], now=60)
    assert ledger.first_seen("cam/latest.JPG") == 50
