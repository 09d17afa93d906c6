"""What may have become of the files of an index: each is noticed before it is used, and made again."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from edge.errors import DiskFullError, SearchError
from edge.search import Indexer, Library, Sizes
from edge.search.files import locked
from edge.search.shards import MANIFEST
from tests.search.source import Shelf, everything, same, units

SIZES = Sizes(base=16, fan=4, levels=3, exact=10**6)
CUT = SIZES._replace(exact=32)
QUERY = units(1, 99)
Damage = Callable[[Path], object]


def filled(count: int = 300) -> Shelf:
    """A shelf with so many vectors."""
    shelf = Shelf()
    for number, vector in enumerate(units(count, count)):
        shelf.add(f"image-{number // 2:04}", vector)
    return shelf


def settle(folder: Path, shelf: Shelf, sizes: Sizes = SIZES) -> int:
    """Bring an index up to date; returns how many steps it took."""
    indexer = Indexer(folder, shelf, sizes)
    return next(steps for steps in range(1000) if not indexer.step())


def is_right(folder: Path, shelf: Shelf) -> bool:
    """Whether a new reader answers as comparing all says."""
    return same(everything(Library(folder, shelf), QUERY), shelf.best(QUERY))


def biggest(folder: Path) -> Path:
    """The largest shard."""
    return max(folder.glob("shard-*.bin"), key=lambda path: path.stat().st_size)


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.unlink()
    path.write_bytes(bytes(data))


def _appended(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _sizes_changed(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-8] + (10**12).to_bytes(8, "little"))


@pytest.mark.parametrize("damage", [_cut, _appended, _sizes_changed, Path.unlink])
def test_a_damaged_shard_is_not_used(tmp_path: Path, damage: Damage) -> None:
    """Its rows come from the source instead, and the indexer writes it again."""
    shelf = filled()
    settle(tmp_path, shelf)
    sealed = Library(tmp_path, shelf).facts().sealed
    damage(biggest(tmp_path))
    library = Library(tmp_path, shelf)
    assert library.facts().sealed < sealed
    assert len(library) == 300
    assert is_right(tmp_path, shelf)
    settle(tmp_path, shelf)
    assert Library(tmp_path, shelf).facts().sealed == sealed
    assert is_right(tmp_path, shelf)


def test_bits_that_flipped_are_found_by_who_writes(tmp_path: Path) -> None:
    """Each shard is read to its end once by each process that keeps the index."""
    shelf = filled()
    settle(tmp_path, shelf)
    victim = biggest(tmp_path)
    _flipped(victim)
    settle(tmp_path, shelf)
    assert not victim.exists()
    assert is_right(tmp_path, shelf)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "manifest": {"dimension": 8}}', "[" * 100_000]
)
def test_a_manifest_that_can_not_be_understood_is_none(tmp_path: Path, text: str) -> None:
    """The index begins anew."""
    shelf = filled()
    settle(tmp_path, shelf)
    (tmp_path / MANIFEST).write_text(text)
    assert is_right(tmp_path, shelf)
    settle(tmp_path, shelf)
    assert Library(tmp_path, shelf).facts().sealed == 288


@pytest.mark.parametrize(
    ("key", "value"), [("after", 3), ("upto", 0), ("file", "../edge.db"), ("rows", -1), ("unknown", 1)]
)
def test_a_manifest_that_makes_no_sense_is_none(tmp_path: Path, key: str, value: object) -> None:
    """Shards that overlap or leave gaps, names that lead elsewhere."""
    shelf = filled()
    settle(tmp_path, shelf)
    kept: dict[str, Any] = json.loads((tmp_path / MANIFEST).read_text())
    kept["manifest"]["shards"][0][key] = value
    (tmp_path / MANIFEST).write_text(json.dumps(kept))
    library = Library(tmp_path, shelf)
    assert library.facts().sealed == 0
    assert is_right(tmp_path, shelf)


def test_shards_of_another_database_are_not_used(tmp_path: Path) -> None:
    """One that was put in this one's place, by hand, gives the same ids to other vectors."""
    settle(tmp_path, filled(300))
    for other in (filled(301), filled(100)):
        assert Library(tmp_path, other).facts().sealed == 0
        assert is_right(tmp_path, other)
        settle(tmp_path, other)
        assert is_right(tmp_path, other)


def test_cells_that_are_lost_are_found_again(tmp_path: Path) -> None:
    """Shards that were cut by them can't be used without."""
    shelf = filled()
    settle(tmp_path, shelf, CUT)
    (cells,) = tmp_path.glob("cells-*.npz")
    before = Library(tmp_path, shelf).nearest(QUERY, 12)
    cells.write_bytes(b"PK")
    damaged = Library(tmp_path, shelf)
    assert (damaged.facts().kind, damaged.facts().sealed) == ("exact", 0)
    assert is_right(tmp_path, shelf)
    settle(tmp_path, shelf, CUT)
    again = Library(tmp_path, shelf)
    assert again.facts().kind == "approximate"
    assert again.nearest(QUERY, 12) == before


def test_a_reader_goes_on_while_shards_are_merged(tmp_path: Path) -> None:
    """What it has mapped stays; at the next look it has the new ones, and reads only what is in none."""
    shelf = filled(100)
    settle(tmp_path, shelf)
    library = Library(tmp_path, shelf)
    mapped = set(tmp_path.glob("shard-*"))
    for vector in units(200, 1):
        shelf.add(f"image-{shelf.newest():04}", vector)
    settle(tmp_path, shelf)
    assert not mapped & set(tmp_path.glob("shard-*"))
    assert len(everything(library, QUERY)) == 50
    shelf.read = 0
    library.refresh()
    assert shelf.read == 300 - 288
    assert same(everything(library, QUERY), shelf.best(QUERY))
    library.refresh()
    assert shelf.read == 300 - 288


def test_shards_of_deleted_rows_are_written_anew(tmp_path: Path) -> None:
    """When most of one is gone; it becomes small, and what it still has is found."""
    shelf = filled()
    settle(tmp_path, shelf)
    for row in range(1, 250):
        del shelf.kept[row]
    assert settle(tmp_path, shelf) > 0
    assert Library(tmp_path, shelf).facts().sealed < 60
    assert is_right(tmp_path, shelf)
    shelf.kept.clear()
    settle(tmp_path, shelf)
    assert Library(tmp_path, shelf).nearest(QUERY, 3) == []


def test_cells_of_nothing(tmp_path: Path) -> None:
    """Where all vectors were deleted and the setting changed before anybody looked, it goes on."""
    shelf = filled()
    indexer = Indexer(tmp_path, shelf, SIZES)
    while indexer.step():
        pass
    shelf.kept.clear()
    indexer._sizes = CUT
    while indexer.step():
        pass
    for number, vector in enumerate(units(40, 1)):
        shelf.add(f"new-{number:02}", vector)
    while indexer.step():
        pass
    found = everything(Library(tmp_path, shelf), QUERY)
    assert sorted(found) == sorted(shelf.best(QUERY))


def test_only_one_keeps_an_index_at_a_time(tmp_path: Path) -> None:
    """The other finds it locked, does nothing, and may try later."""
    shelf = filled()
    with locked(tmp_path) as mine:
        assert mine
        assert not Indexer(tmp_path, shelf, SIZES).step()
    assert Indexer(tmp_path, shelf, SIZES).step()


def test_nothing_is_written_where_there_is_no_room(tmp_path: Path) -> None:
    """Search works all the same."""
    shelf = filled()
    assert not Indexer(tmp_path, shelf, SIZES, room=lambda size: size < 256 * (16 + 8)).step()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    assert is_right(tmp_path, shelf)


def test_it_can_be_stopped_at_any_moment(tmp_path: Path) -> None:
    """Nothing is left behind, and what was done is kept."""
    shelf = filled()
    for moment in range(200):
        calls = iter(range(moment))
        Indexer(tmp_path, shelf, CUT).step(lambda calls=calls: next(calls, None) is not None)  # type: ignore[misc]
        assert not list(tmp_path.glob("*.tmp"))
        assert is_right(tmp_path, shelf) or Library(tmp_path, shelf).facts().kind == "approximate"
    settle(tmp_path, shelf, CUT)
    assert Library(tmp_path, shelf).facts().sealed == 288


@pytest.mark.parametrize(("code", "kind"), [(errno.ENOSPC, DiskFullError), (errno.EIO, SearchError)])
def test_what_the_disk_refuses_is_said(tmp_path: Path, code: int, kind: type[Exception]) -> None:
    """A full disk is told from one that fails; nothing is left behind."""
    shelf = filled()
    with patch("os.fsync", side_effect=OSError(code, os.strerror(code))), pytest.raises(kind):
        Indexer(tmp_path, shelf, SIZES).step()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    assert is_right(tmp_path, shelf)


def test_what_others_left_is_tidied_away(tmp_path: Path) -> None:
    """Files of a process that was killed, and of formats that nobody reads any more."""
    (tmp_path / "shard-0-0123.bin.89ab.tmp").write_bytes(b"half")
    (tmp_path / "old.faiss").write_bytes(b"old")
    shelf = filled()
    settle(tmp_path, shelf)
    assert {path.suffix for path in tmp_path.iterdir()} == {".bin", ".json", ""}


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    """The error names it."""
    (tmp_path / "index").write_text("")
    with pytest.raises(SearchError) as caught:
        Indexer(tmp_path / "index", filled(), SIZES).step()
    assert caught.value.subject == str(tmp_path / "index")
