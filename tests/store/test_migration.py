"""From the database of an older program to this one's: everything that was on record still is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.delivery.messages import RegistrationMessage
from edge.store.backup import FOLDER, backups
from edge.store.database import DATABASE, VERSION, Database, open_database
from edge.store.media import Embedded, add_embeddings
from edge.store.outbox import Outbox
from edge.store.queries import registrations
from edge.store.schema import MIGRATIONS

DUMP = Path(__file__).with_name("version_2.sql")
Content = dict[tuple[str, str], list[tuple[object, ...]]]
"""Rows by the name of their table and the names of its columns."""


def _older(state: Path, version: int) -> Content:
    """A real database of version 2, or one of a later version that it became; returns its rows."""
    with closing(sqlite3.connect(state / DATABASE)) as connection:
        connection.executescript(DUMP.read_text())
        for number, script in enumerate(MIGRATIONS[2:version], start=3):
            connection.executescript(script)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.commit()
        found = connection.execute(
            "SELECT t.name, group_concat(c.name) FROM sqlite_master t, pragma_table_info(t.name) c "
            "WHERE t.type = 'table' GROUP BY t.name"
        )
        return {table: sorted(connection.execute(_rows(*table)), key=repr) for table in found.fetchall()}


def _content(database: Database, before: Content) -> Content:
    return {table: sorted(database.execute(_rows(*table)), key=repr) for table in before}


def _rows(table: str, columns: str) -> str:
    return f"SELECT {columns} FROM {table}"  # noqa: S608 - names of tables and columns


@pytest.mark.parametrize("version", range(2, VERSION + 1))
def test_everything_on_record_stays(tmp_path: Path, version: int) -> None:
    """Every row of every table, whatever version it comes from; the way back is a backup of that version."""
    before = _older(tmp_path, version)
    assert {"media", "outbox", "embeddings"} <= {table for (table, _), rows in before.items() if rows}
    database = open_database(tmp_path, thorough=True)
    assert database.execute("PRAGMA user_version") == [(VERSION,)]
    assert _content(database, before) == before
    database.close()
    kept = [backup.version for backup, _ in backups(tmp_path / FOLDER)]
    assert kept == ([version] if version < VERSION else [])


def test_numbers_and_registrations_go_on(tmp_path: Path) -> None:
    """What is read of it is what it said in its messages, and the next number is the next."""
    before = {table: rows for (table, _), rows in _older(tmp_path, 2).items()}
    database = open_database(tmp_path)
    outbox = Outbox(database)
    kept = outbox.range(1, 1000)
    assert [row.seq for row in kept] == list(range(1, len(before["outbox"]) + 1))
    said = {}
    for row in kept:
        message = RegistrationMessage.model_validate_json(row.payload)
        said[message.registration_id] = (message.revision, message.label, message.media_count)
    living = {r.id: (r.revision, r.label, r.media_count) for r in registrations(database)}
    assert living
    assert living.items() <= said.items()
    assert outbox.head() == len(kept)
    database.close()


def test_vectors_are_numbered_in_the_order_in_which_they_were_stored(tmp_path: Path) -> None:
    """Those of version 4 get ascending numbers; a number is never used again, also not the newest."""
    _older(tmp_path, 4)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        stored = connection.execute("SELECT vector FROM embeddings ORDER BY rowid").fetchall()
    database = open_database(tmp_path)
    assert database.execute("SELECT vector FROM embeddings ORDER BY id") == stored
    newest = database.execute("SELECT MAX(id) FROM embeddings")[0][0]
    database.execute("DELETE FROM embeddings WHERE id = ?", (newest,))
    add_embeddings(database, "sha256:new", "b", [Embedded("image", b"\0\0")])
    assert database.execute("SELECT MAX(id) FROM embeddings") == [(newest + 1,)]
    database.close()
