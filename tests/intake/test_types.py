"""Stats and candidates as values."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.intake import Candidate, FileStat


@pytest.mark.parametrize(("mtime_ns", "kept"), [(5, 5), (2**70, 2**63 - 1), (-(2**70), 1 - 2**63)])
def test_a_stat_fits_the_integers_of_a_database(
    mtime_ns: int, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inode numbers have 64 bits without a sign, and a damaged file system any time."""

    class Odd:
        st_dev, st_ino, st_size, st_mtime_ns = 1, 2**64 - 1, 7, mtime_ns

    monkeypatch.setattr(Path, "stat", lambda *_, **__: Odd)
    stat = FileStat.of(tmp_path.stat())
    assert stat == FileStat(1, 2**63 - 1, 7, kept)


def test_size_and_mtime_make_a_version() -> None:
    """Device and inode don't: the one changes with a boot, the other on FAT."""
    stat = FileStat(1, 2, 3, 4)
    assert stat.same_version(FileStat(9, 9, 3, 4))
    assert not stat.same_version(FileStat(1, 2, 4, 4))
    assert not stat.same_version(FileStat(1, 2, 3, 5))


def test_a_candidate_has_its_path_and_a_name_that_is_text(tmp_path: Path) -> None:
    """The path leads to the file, whatever its bytes; the name can be stored and sent."""
    candidate = Candidate(tmp_path, "cam/\udce4.jpg", FileStat(1, 2, 3, 4))
    assert os.fsencode(candidate.path) == bytes(tmp_path) + b"/cam/\xe4.jpg"
    assert candidate.file == "cam/\\xe4.jpg"
