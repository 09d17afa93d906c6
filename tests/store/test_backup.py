"""Backups of a database that is in use."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from edge.errors import DiskFullError, StoreBusyError, StoreCorruptError, StoreError
from edge.store.backup import FOLDER, HURRIED, Pace, StoppedError, backups, check, make_backup, rotate
from edge.store.database import DATABASE, VERSION, Database, open_database
from edge.store.files import StateLock, copy_file
from edge.store.schema import MIGRATIONS

SMALL = Pace(pages=1, rest=0.001, share=1.0, sync_every=4)


def _filled(state: Path, number: int = 500) -> Database:
    database = open_database(state)
    with database.transaction():
        for key in range(number):
            database.remember(f"key {key}", "x" * 200)
    return database


def _keys(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        (number,) = connection.execute("SELECT COUNT(*) FROM meta WHERE key LIKE 'key %'").fetchone()
    return int(number)


def test_backup_has_what_was_committed(tmp_path: Path) -> None:
    """What lies in the write-ahead log only is in it too; it is sound, and named after the schema."""
    database = _filled(tmp_path)
    made = make_backup(tmp_path / DATABASE, tmp_path / FOLDER)
    check(made.path)
    assert _keys(made.path) == 500
    assert made.path.name.endswith(f"-v{VERSION}.db")
    assert not (tmp_path / FOLDER / ".making.tmp").exists()
    database.close()


def test_writers_go_on_meanwhile_and_are_not_seen(tmp_path: Path) -> None:
    """Commits beside the copy succeed at once, it doesn't begin again, and holds the moment it began."""
    database = _filled(tmp_path)
    steps, written = [], 0

    def write() -> bool:
        nonlocal written
        steps.append(1)
        if written < 40:
            with database.transaction():
                database.remember(f"key later {written}", "y" * 4000)
            written += 1
        return True

    made = make_backup(tmp_path / DATABASE, tmp_path / FOLDER, pace=SMALL, go_on=write)
    check(made.path)
    assert written == 40
    assert _keys(made.path) == 500
    assert len(steps) < 200
    database.close()


def test_stopped_backup_leaves_nothing(tmp_path: Path) -> None:
    """Neither a backup nor a temporary file."""
    database = _filled(tmp_path)
    answers = iter([True, True, False])
    with pytest.raises(StoppedError):
        make_backup(tmp_path / DATABASE, tmp_path / FOLDER, pace=SMALL, go_on=lambda: next(answers))
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == [".lock"]
    database.close()


def test_only_one_at_a_time(tmp_path: Path) -> None:
    """A timer and the daemon never make one at once; the second is told."""
    _filled(tmp_path).close()
    (tmp_path / FOLDER).mkdir()
    with StateLock(tmp_path / FOLDER, ".lock"), pytest.raises(StoreBusyError, match="another backup"):
        make_backup(tmp_path / DATABASE, tmp_path / FOLDER)


def test_backup_that_would_not_fit_is_not_begun(tmp_path: Path) -> None:
    """The reserve stays free."""
    _filled(tmp_path).close()
    with pytest.raises(DiskFullError, match="no space for a backup"):
        make_backup(tmp_path / DATABASE, tmp_path / FOLDER, reserve=2**62)
    assert backups(tmp_path / FOLDER) == []


def test_copy_of_a_damaged_database_is_no_backup(tmp_path: Path) -> None:
    """It fails its check, and gets no name."""
    _filled(tmp_path, 3000).close()
    with (tmp_path / DATABASE).open("r+b") as file:
        file.seek(5 * 4096)
        file.write(b"\xa5" * 3 * 4096)
    with pytest.raises(StoreCorruptError):
        make_backup(tmp_path / DATABASE, tmp_path / FOLDER, pace=HURRIED)
    assert backups(tmp_path / FOLDER) == []


@pytest.mark.parametrize("content", [b"", b"no database, but long enough to be one" * 20])
def test_check_refuses_what_is_no_database(tmp_path: Path, content: bytes) -> None:
    """An empty file opens, but is nothing to restore."""
    (tmp_path / "x.db").write_bytes(content)
    with pytest.raises(StoreCorruptError):
        check(tmp_path / "x.db")


def test_disk_that_refuses_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An fsync that fails makes no backup."""
    _filled(tmp_path).close()

    def refuse(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        with pytest.raises(StoreError, match="Input/output"):
            make_backup(tmp_path / DATABASE, tmp_path / FOLDER)
    assert backups(tmp_path / FOLDER) == []


def test_old_ones_go(tmp_path: Path) -> None:
    """Of three of one day the two newest stay; another program's files stay too."""
    _filled(tmp_path).close()
    for _ in range(3):
        make_backup(tmp_path / DATABASE, tmp_path / FOLDER, pace=HURRIED)
    (tmp_path / FOLDER / "notes.txt").write_text("mine")
    removed = rotate(tmp_path / FOLDER, days=3, weeks=2)
    assert [path.name[:11] for path in removed] == ["edge-000001"]
    assert (tmp_path / FOLDER / "notes.txt").exists()
    assert [backup.number for backup, _ in backups(tmp_path / FOLDER)] == [2, 3]


def _version_1(state: Path) -> None:
    """A database as the first version of this program made it, with a file on record."""
    with closing(sqlite3.connect(state / DATABASE)) as connection:
        connection.executescript(MIGRATIONS[0])
        connection.execute("PRAGMA user_version = 1")
        connection.execute("INSERT INTO meta VALUES ('epoch', 'first')")
        connection.execute("INSERT INTO labels VALUES ('Red_Deer', 'Cervus elaphus')")
        connection.commit()


def test_migration_keeps_a_backup_and_what_is_on_record(tmp_path: Path) -> None:
    """From version 1: everything is there, the version is this program's, and the way back is a file."""
    _version_1(tmp_path)
    database = open_database(tmp_path)
    assert database.epoch == "first"
    assert database.execute("SELECT scientific_name FROM labels") == [("Cervus elaphus",)]
    assert database.execute("PRAGMA user_version") == [(VERSION,)]
    database.close()
    ((backup, path),) = backups(tmp_path / FOLDER)
    assert backup.version == 1
    check(path)
    open_database(tmp_path).close()
    assert len(backups(tmp_path / FOLDER)) == 1


def test_database_is_not_changed_if_its_backup_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No space for the backup: the old version stays as it is."""
    _version_1(tmp_path)
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _path: usage._replace(free=1000))
        with pytest.raises(DiskFullError):
            open_database(tmp_path)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


def test_interrupted_migration_goes_on(tmp_path: Path) -> None:
    """A version is one transaction: what ends the process in between leaves the last whole one."""
    _version_1(tmp_path)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        connection.executescript(MIGRATIONS[1])
        connection.execute("PRAGMA user_version = 2")
        connection.commit()
    database = open_database(tmp_path)
    assert database.execute("SELECT COUNT(*) FROM removals") == [(0,)]
    database.close()
    assert [backup.version for backup, _ in backups(tmp_path / FOLDER)] == [2]


def test_backups_in_threads_and_processes_number_on(tmp_path: Path) -> None:
    """Two at once: one is made, the other is told; numbers never repeat."""
    _filled(tmp_path).close()
    longer_than_a_lock_is_waited_for = Pace(pages=1, rest=0.03, share=1.0, sync_every=4)
    told: list[StoreError] = []

    def make() -> None:
        try:
            make_backup(tmp_path / DATABASE, tmp_path / FOLDER, pace=longer_than_a_lock_is_waited_for)
        except StoreBusyError as error:
            told.append(error)

    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(backups(tmp_path / FOLDER)) + len(told) == 3
    assert told


def test_copies_are_nobody_else_s(tmp_path: Path) -> None:
    """A backup and what is restored of it are for their owner alone, whatever the umask is."""
    before = os.umask(0)
    try:
        _filled(tmp_path).close()
        made = make_backup(tmp_path / DATABASE, tmp_path / FOLDER)
        copy_file(made.path, tmp_path / "restored")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (made.path, tmp_path / "restored")} == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_makes_is_the_folder_s_owner_s(tmp_path: Path) -> None:
    """A backup that root makes by hand can be restored by the service."""
    _filled(tmp_path).close()
    folder = tmp_path / FOLDER
    folder.mkdir()
    os.chown(folder, 4711, 4712)
    made = make_backup(tmp_path / DATABASE, folder).path.stat()
    assert (made.st_uid, made.st_gid) == (4711, 4712)
