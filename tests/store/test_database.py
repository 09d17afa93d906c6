"""Opening, transactions, damage."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from edge.errors import DiskFullError, StoreBusyError, StoreCorruptError, StoreError, StoreVersionError
from edge.store.database import DATABASE, open_database, open_readonly
from edge.store.files import LOCK, StateLock, write_durably
from edge.store.schema import MIGRATIONS


def test_new_database_is_durable_and_has_an_epoch(tmp_path: Path) -> None:
    """WAL with synchronous=FULL, a schema version, and an epoch that stays."""
    database = open_database(tmp_path)
    assert database.execute("PRAGMA journal_mode") == [("wal",)]
    assert database.execute("PRAGMA synchronous") == [(2,)]
    epoch = database.epoch
    database.close()
    assert open_database(tmp_path).epoch == epoch


def test_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    """What a failing block wrote is gone."""
    database = open_database(tmp_path)
    with pytest.raises(ZeroDivisionError), database.transaction():
        database.remember("a", "1")
        raise ZeroDivisionError
    assert database.one("SELECT 1 FROM meta WHERE key = 'a'") is None


def test_inner_transaction_joins_the_outer(tmp_path: Path) -> None:
    """An inner block that ends doesn't commit what the outer one may still undo."""
    database = open_database(tmp_path)
    with pytest.raises(ZeroDivisionError), database.transaction():
        with database.transaction():
            database.remember("a", "1")
        raise ZeroDivisionError
    assert database.one("SELECT 1 FROM meta WHERE key = 'a'") is None


def test_reading_goes_on_while_another_process_holds_the_lock(tmp_path: Path) -> None:
    """Who waits for SQLite's lock doesn't keep this process's other threads waiting with it."""
    database, other = open_database(tmp_path), sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    began = threading.Event()

    def write() -> None:
        began.set()
        with database.transaction(60.0):
            database.remember("a", "1")

    other.execute("BEGIN IMMEDIATE")
    writer = threading.Thread(target=write)
    writer.start()
    assert began.wait(60)
    for _ in range(20):
        assert database.one("SELECT 1 FROM meta WHERE key = 'a'") is None
    assert writer.is_alive()
    other.execute("COMMIT")
    writer.join(60)
    assert database.meta("a") == "1"
    other.close()


def test_a_lock_held_for_too_long_is_told(tmp_path: Path) -> None:
    """Nothing is done, neither in a transaction nor outside of one; afterwards everything works again."""
    database, other = open_database(tmp_path), sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    database.patience = 0.05
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusyError):
        database.remember("a", "1")
    with pytest.raises(StoreBusyError), database.transaction():
        database.remember("b", "1")
    other.execute("COMMIT")
    other.close()
    assert database.execute("SELECT key FROM meta WHERE key IN ('a', 'b')") == []
    with database.transaction():
        database.remember("a", "2")
    assert database.meta("a") == "2"


def test_threads_take_turns(tmp_path: Path) -> None:
    """Transactions of several threads don't mix, and none fails because another one runs."""
    database = open_database(tmp_path)
    database.remember("n", "0")

    def count() -> None:
        for _ in range(50):
            with database.transaction():
                number = int(database.meta("n"))
                database.remember("n", str(number + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.meta("n") == "200"


def test_reader_sees_commits_of_a_running_writer(tmp_path: Path) -> None:
    """Commands read beside the daemon, and can't write."""
    database = open_database(tmp_path)
    reader = open_readonly(tmp_path)
    database.remember("a", "1")
    assert reader.meta("a") == "1"
    with pytest.raises(StoreError, match="readonly"):
        reader.remember("a", "2")


def test_reader_says_what_to_do_where_there_is_no_database(tmp_path: Path) -> None:
    """A wrong --state gets a clear word, and no empty database."""
    with pytest.raises(StoreError, match="no database here"):
        open_readonly(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("page", [1, 3, 7])
def test_damage_is_found_at_start(tmp_path: Path, page: int) -> None:
    """An overwritten page is found before anything is written."""
    database = open_database(tmp_path)
    with database.transaction():
        for number in range(2000):
            database.remember(f"key {number}", "x" * 50)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    with (tmp_path / DATABASE).open("r+b") as file:
        file.seek(page * 4096)
        file.write(b"\xa5" * 4096)
    with pytest.raises(StoreCorruptError):
        open_database(tmp_path)


def test_newer_database_is_refused(tmp_path: Path) -> None:
    """An older program doesn't touch what a newer one made."""
    open_database(tmp_path).close()
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreVersionError, match="newer") as caught:
        open_database(tmp_path)
    assert caught.value.exit_code == 78


def test_one_daemon_for_each_state_folder(tmp_path: Path) -> None:
    """The lock is held by one, and free again after it."""
    with StateLock(tmp_path), pytest.raises(StoreBusyError, match="another"), StateLock(tmp_path):
        pass
    with StateLock(tmp_path):
        pass


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    """A file is the old one or the new one; no temporary file stays."""
    path = tmp_path / "folder" / "file"
    write_durably(path, b"old")
    write_durably(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """The disk's refusal comes out as a store error with the path in it."""
    (tmp_path / "folder").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="file can't be written"):
        write_durably(tmp_path / "folder" / "file", b"x")


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    """The same snapshot from two threads at once is written by both, and stays whole."""
    path = tmp_path / "file"
    start = threading.Barrier(4)
    failures: list[StoreError] = []

    def write() -> None:
        start.wait()
        for _ in range(25):
            try:
                write_durably(path, b"same bytes")
            except StoreError as error:
                failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_file_for_which_there_is_no_space_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A full disk is told from a broken one, and what was written of the file doesn't stay."""

    def refuse(_descriptor: int) -> None:
        raise OSError(number, "no space")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        with pytest.raises(DiskFullError, match="file can't be written"):
            write_durably(tmp_path / "file", b"x")
    assert list(tmp_path.iterdir()) == []
    write_durably(tmp_path / "file", b"x")


def test_who_only_looks_keeps_no_daemon_from_starting(tmp_path: Path) -> None:
    """``edge status`` at the very moment of a start is no other daemon."""
    with StateLock(tmp_path):
        pass
    looking = os.open(tmp_path / LOCK, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.08, os.close, (looking,)).start()
    with StateLock(tmp_path):
        pass
