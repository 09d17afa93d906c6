"""What a crash left behind: gone at the next start, and nothing else."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import StoreError
from edge.service.looker import keep_snapshot
from edge.service.sweeping import sweep
from edge.store.database import Database, open_database
from edge.store.media import MediaStore
from tests.faults.writer import media


def _id(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _snapshot(state: Path, text: str) -> Path:
    return state / keep_snapshot(state, _id(text), b"jpeg")


def _known(state: Path, database: Database, text: str) -> Path:
    path = _snapshot(state, text)
    row = replace(media(1), media_id=_id(text), snapshot=str(path.relative_to(state)))
    assert MediaStore(database).add(row)
    return path


def test_only_what_no_commit_names_goes(tmp_path: Path) -> None:
    """A snapshot whose commit never came, and halves of files; what a person put there stays."""
    database = open_database(tmp_path)
    known = [_known(tmp_path, database, f"known {n}") for n in range(20)]
    unknown = [_snapshot(tmp_path, f"unknown {n}") for n in range(20)]
    half = known[0].with_name(f".{known[0].name}.0a1b2c3d.tmp")
    beside = tmp_path / ".health.json.0a1b2c3d.tmp"
    own = [tmp_path / "snapshots" / "notes.txt", known[0].with_name("mine.jpg"), tmp_path / "other.tmp"]
    for path in [half, beside, *own]:
        path.write_bytes(b"x")
    assert sweep(tmp_path, database) == 22
    assert not any(path.exists() for path in [*unknown, half, beside])
    assert all(path.exists() for path in [*known, *own])
    assert sweep(tmp_path, database) == 0


def test_snapshot_that_was_taken_off_the_record_goes(tmp_path: Path) -> None:
    """Retention writes down first, and removes then: a crash in between leaves the file."""
    database = open_database(tmp_path)
    path = _known(tmp_path, database, "old")
    database.execute("UPDATE media SET snapshot = ''")
    assert sweep(tmp_path, database) == 1
    assert not path.exists()


def test_nothing_is_swept_after_a_database_was_replaced(tmp_path: Path) -> None:
    """The picture may be all that there still is of an image that only the lost one knew."""
    database = open_database(tmp_path)
    path = _snapshot(tmp_path, "lost")
    database.remember("revision_base", "1000000")
    assert sweep(tmp_path, database) == 0
    assert path.exists()


def test_a_new_state_folder_has_nothing_to_sweep(tmp_path: Path) -> None:
    """There may be no snapshots yet."""
    assert sweep(tmp_path, open_database(tmp_path)) == 0


def test_what_cannot_be_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that went read-only."""
    database = open_database(tmp_path)
    _snapshot(tmp_path, "unknown")

    def refuse(_self: Path, *, missing_ok: bool = False) -> None:
        del missing_ok
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StoreError, match="crash left"):
        sweep(tmp_path, database)
