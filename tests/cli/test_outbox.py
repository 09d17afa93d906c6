"""``edge outbox``: messages that the broker refuses."""

from __future__ import annotations

import json
from pathlib import Path

from edge.delivery.messages import RegistrationMessage
from edge.store.database import open_database
from edge.store.outbox import Outbox
from edge.subscriber import Table
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


def test_subcommands_list_and_retry(run: Run, state: Path) -> None:
    """``list`` shows what the bare command shows; ``retry`` takes numbers, or all of them."""
    _set_aside(state)
    assert run("outbox", "list", "--state", state).out == run("outbox", "--state", state).out
    assert (
        run("outbox", "list", "--state", state, "--json").out == run("outbox", "--state", state, "--json").out
    )
    for wrong in ([], ["1", "--all"], ["2"], ["1", "99"]):
        assert run("outbox", "retry", *wrong, "--state", state).code == 2
    assert "packet_too_large" in run("outbox", "list", "--state", state).out
    assert "back in line: 1" in run("outbox", "retry", "1", "--state", state).out
    assert run("outbox", "list", "--state", state).out == "no message was set aside\n"
    assert "back in line: 0" in run("outbox", "retry", "--all", "--state", state).out


def test_options_in_front_of_a_subcommand_are_not_lost_in_silence(run: Run, state: Path) -> None:
    """They would do nothing there."""
    assert run("outbox", "--state", state, "list").code == 2


def test_messages_are_written_to_a_file_to_carry_by_hand(run: Run, state: Path, tmp_path: Path) -> None:
    """A line of JSON for each, as it would be published; nothing changes, and no file is replaced unasked."""
    _set_aside(state)
    target = tmp_path / "card.jsonl"
    result = run("outbox", "export", target, "--state", state)
    assert (result.code, result.out) == (0, "")
    assert [json.loads(line)["seq"] for line in target.read_text().splitlines()] == [1]
    assert run("outbox", "export", target, "--state", state).code == 2
    assert run("outbox", "export", target, "--state", state, "--which", "all", "--force").code == 0
    table = Table()
    lines = target.read_text().splitlines()
    assert all(table.apply(RegistrationMessage.model_validate_json(line)) for line in lines)
    assert table.missing() == []
    pending = run("outbox", "export", "-", "--state", state, "--which", "pending", "--after", "2").out
    assert [json.loads(line)["seq"] for line in pending.splitlines()] == list(range(3, len(lines) + 1))
    assert "packet_too_large" in run("outbox", "list", "--state", state).out
    assert run("outbox", "export", tmp_path / "no" / "where", "--state", state).code == 1
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_no_database_is_made(run: Run, tmp_path: Path) -> None:
    """A wrong folder is told, also with --retry."""
    result = run("outbox", "--state", tmp_path, "--retry")
    assert (result.code, list(tmp_path.iterdir())) == (1, [])
    assert "no database here" in result.err
