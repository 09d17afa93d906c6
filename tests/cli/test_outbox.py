"""``edge outbox``: messages that the broker refuses."""

from __future__ import annotations

import json
from pathlib import Path

from edge.store.database import open_database
from edge.store.outbox import Outbox
from tests.cli.conftest import Run


def _set_aside(state: Path) -> None:
    database = open_database(state)
    Outbox(database).set_aside(1, "packet_too_large [sic]")
    database.close()


def test_messages_set_aside_are_shown_with_the_reason(run: Run, state: Path) -> None:
    """As a table for people and as JSON; looking changes nothing."""
    _set_aside(state)
    assert "packet_too_large [sic]" in run("outbox", "--state", state).out
    (row,) = json.loads(run("outbox", "--state", state, "--json").out)
    assert (row["seq"], row["deployment"], row["reason"]) == (1, "cam", "packet_too_large [sic]")
    assert row["size"] > 100


def test_messages_set_aside_are_put_back_in_line_beside_a_daemon(run: Run, state: Path) -> None:
    """They are pending again, also while another process has the database open."""
    _set_aside(state)
    daemon = open_database(state)
    assert [row.seq for row in Outbox(daemon).pending(0, 1)] == [2]
    assert "back in line: 1" in run("outbox", "--state", state, "--retry").out
    assert [row.seq for row in Outbox(daemon).pending(0, 1)] == [1]
    daemon.close()
    assert run("outbox", "--state", state).out == "no message was set aside\n"


def test_no_database_is_made(run: Run, tmp_path: Path) -> None:
    """A wrong folder is told, also with --retry."""
    result = run("outbox", "--state", tmp_path, "--retry")
    assert (result.code, list(tmp_path.iterdir())) == (1, [])
    assert "no database here" in result.err
