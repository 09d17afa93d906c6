"""``edge backup``, ``edge restore``, ``edge retention``."""

from __future__ import annotations

import json
from pathlib import Path

from edge.store.backup import FOLDER, backups, check
from edge.store.database import DATABASE, open_database
from edge.store.files import StateLock
from tests.cli.conftest import Run


def test_backup_is_made_beside_a_daemon(run: Run, state: Path) -> None:
    """With the database in use and the state folder locked."""
    database = open_database(state)
    with StateLock(state):
        result = run("backup", "--state", state, "--json")
    assert result.code == 0
    said = json.loads(result.out)
    check(Path(said["path"]))
    assert said["made"] is True
    assert [path for _, path in backups(state / FOLDER)] == [Path(said["path"])]
    database.close()


def test_backup_elsewhere_removes_nothing_there(run: Run, state: Path, tmp_path: Path) -> None:
    """Onto a stick as often as one likes; the state folder's own stay as they are."""
    for _ in range(5):
        assert run("backup", "--state", state, "--to", tmp_path / "stick").code == 0
    assert len(backups(tmp_path / "stick")) == 5
    assert backups(state / FOLDER) == []


def test_backup_only_if_due(run: Run, state: Path) -> None:
    """For a timer: where the daemon just made one, nothing is done, and that is no fault."""
    assert json.loads(run("backup", "--state", state, "--if-due", "--json").out)["made"] is True
    result = run("backup", "--state", state, "--if-due")
    assert (result.code, len(backups(state / FOLDER))) == (0, 1)
    assert "recent enough" in result.out


def test_backup_of_nothing_is_an_error(run: Run, tmp_path: Path) -> None:
    """A wrong --state is said, and no folder made."""
    result = run("backup", "--state", tmp_path / "nowhere")
    assert result.code == 1
    assert "no database here" in result.err
    assert not (tmp_path / "nowhere").exists()


def test_restore_is_refused_while_a_daemon_runs(run: Run, state: Path) -> None:
    """It would have the database open."""
    run("backup", "--state", state)
    with StateLock(state):
        result = run("restore", "--newest", "--state", state)
    assert result.code == 1
    assert "another edge daemon" in result.err


def test_restore_keeps_what_it_replaces(run: Run, state: Path) -> None:
    """The newest one takes its place under a new epoch; the old file is beside it."""
    run("backup", "--state", state)
    database = open_database(state)
    epoch = database.epoch
    database.remember("later", "1")
    database.close()
    said = json.loads(run("restore", "--newest", "--state", state, "--json").out)
    database = open_database(state)
    assert database.epoch == said["epoch"] != epoch
    assert database.one("SELECT 1 FROM meta WHERE key = 'later'") is None
    assert database.execute("SELECT COUNT(*) FROM outbox") == [(0,)]
    database.close()
    assert Path(said["kept"]).is_file()


def test_dry_run_changes_nothing(run: Run, state: Path) -> None:
    """It checks, and leaves every file as it was."""
    run("backup", "--state", state)
    before = {path.name: path.stat().st_mtime_ns for path in state.iterdir() if path.name != "edge.lock"}
    result = run("restore", "--newest", "--dry-run", "--state", state)
    assert (result.code, "nothing was changed" in result.out) == (0, True)
    assert {p.name: p.stat().st_mtime_ns for p in state.iterdir() if p.name != "edge.lock"} == before


def test_restore_of_what_is_no_backup(run: Run, state: Path, tmp_path: Path) -> None:
    """Missing, damaged, of a newer version, none at all: said, and nothing is touched."""
    (tmp_path / "broken.db").write_bytes(b"\xa5" * 9000)
    content = (state / DATABASE).read_bytes()
    for arguments, word in (
        ((tmp_path / "missing.db",), "no such backup"),
        ((tmp_path / "broken.db",), "damaged"),
        (("--newest",), "there is none"),
    ):
        result = run("restore", *arguments, "--state", state)
        assert result.code == 1
        assert word in result.err
    assert (state / DATABASE).read_bytes() == content
    assert run("restore", "--state", state).code == 2


def test_list_of_backups(run: Run, state: Path) -> None:
    """Names, sizes and versions."""
    assert "no backups" in run("backup", "--state", state, "--list").out
    run("backup", "--state", state)
    (row,) = json.loads(run("backup", "--state", state, "--list", "--json").out)
    assert row["number"] == 1
    assert row["size"] > 0
    assert "edge-000001-" in run("backup", "--state", state, "--list").out


def test_retention_shows_what_would_go(run: Run, state: Path) -> None:
    """By rule; nothing is removed by looking."""
    said = json.loads(run("retention", "--state", state, "--json").out)
    assert {line["kind"] for line in said["due"]} == {"messages", "snapshots", "originals"}
    assert said["removed"] == []
    assert "never" in run("retention", "--state", state).out
