"""``edge clock``, ``edge relabel`` and ``edge registrations show``: corrections, and what came of them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from edge.cli.correct import duration
from edge.delivery.messages import BundleRef, RegistrationMessage
from edge.errors import UsageError
from edge.registration import Options
from edge.service.emit import Voice
from edge.service.rules import apply_options
from edge.store.database import open_database
from edge.store.outbox import Outbox
from tests.cli.conftest import BUNDLE, NAMES, Run

HOUR = 3_600_000


@pytest.fixture
def record(state: Path) -> Path:
    """The state folder as a daemon leaves it, rules noted."""
    database = open_database(state)
    voice = Voice("ridge-01", database.epoch, NAMES, BundleRef(name="starter", sha256=BUNDLE))
    apply_options(database, Options(), voice)
    database.close()
    return state


def _messages(state: Path) -> list[RegistrationMessage]:
    database = open_database(state)
    rows = Outbox(database).range(1, 1000)
    database.close()
    return [RegistrationMessage.model_validate_json(row.payload) for row in rows]


@pytest.mark.parametrize(
    ("text", "ms"),
    [("+1h", HOUR), ("-90m", -90 * 60_000), ("+365d", 365 * 24 * HOUR), ("+1d2h30m", 26 * HOUR + 30 * 60_000),
     ("-500ms", -500), ("+1s", 1000)],
)  # fmt: skip
def test_durations(text: str, ms: int) -> None:
    """A sign, then numbers with units."""
    assert duration(text) == ms


@pytest.mark.parametrize("text", ["", "1h", "+", "+1", "+1y", "+0h", "-h", "+1h-1m", "+99999d", "+ 1h"])
def test_durations_that_are_none(text: str) -> None:
    """Without a sign it isn't clear which way, and a year is no fixed length."""
    with pytest.raises(UsageError):
        duration(text)


def test_shift_is_told_before_and_after(run: Run, record: Path) -> None:
    """What moves from where to where, how many registrations, how many messages, and what comes next."""
    before = len(_messages(record))
    result = run("clock", "shift", "-d", "cam", "--by", "+1h", "--yes", "--state", record)
    assert result.code == 0
    assert "from  2026-01-01 01:00:00 to 2026-01-01 01:20:00" in result.out
    assert "to  2026-01-01 02:00:00 to 2026-01-01 02:20:00" in result.out
    assert "cam: images 3, registrations 1, by +1:00:00" in result.out
    assert "moved 3 images; messages: 1 updated" in result.out
    assert "add 3600 to clock_offset" in result.out
    (message,) = _messages(record)[before:]
    assert (message.change, message.deployment) == ("updated", "cam")


def test_dry_run_changes_nothing(run: Run, record: Path) -> None:
    """Also as JSON, for scripts that want to know first."""
    before = _messages(record)
    shift = ("clock", "shift", "-d", "cam", "--by", "-1h", "--state", record, "--dry-run")
    assert "images 3" in run(*shift).out
    told = json.loads(run(*shift, "--json").out)
    assert (told["images"], told["registrations"], told["done"]) == (3, 1, None)
    assert _messages(record) == before


def test_shift_is_asked_for(run: Run, record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody at a terminal has to say yes; without one it takes --yes."""
    before = _messages(record)
    shift = ("clock", "shift", "-d", "cam", "--by", "+1h", "--state", record)
    result = run(*shift)
    assert (result.code, "--yes" in result.err) == (2, True)
    for answer, messages in (("n\n", 0), ("y\n", 1)):
        terminal = io.StringIO(answer)
        terminal.isatty = lambda: True  # type: ignore[method-assign]  # a person sits there
        monkeypatch.setattr(sys, "stdin", terminal)
        assert run(*shift).code == (not messages)
        assert len(_messages(record)) == len(before) + messages


def test_same_shift_again_says_so(run: Run, record: Path) -> None:
    """Nothing moves twice by accident."""
    shift = ("clock", "shift", "-d", "cam", "--by", "+1h", "--yes", "--state", record)
    run(*shift)
    head = len(_messages(record))
    out = run(*shift).out
    assert "images 0" in out
    assert "3 images stay: moved by the same amount before" in out
    assert len(_messages(record)) == head
    assert json.loads(run(*shift, "--again", "--json").out)["done"]["images"] == 3


def test_shift_of_a_span(run: Run, record: Path) -> None:
    """--from and --to are times on record."""
    span = ("--from", "2026-01-01T00:05", "--to", "2026-01-01T00:15")
    told = json.loads(
        run("clock", "shift", "-d", "cam", "--by", "+1d", *span, "--state", record, "--json").out
    )
    assert (told["images"], told["done"]["images"]) == (1, 1)
    media = {row["file"]: row["taken"] for row in json.loads(run("media", "--state", record, "--json").out)}
    assert media["cam/b.JPG"].startswith("2026-01-02T01:10")
    assert media["cam/a.JPG"].startswith("2026-01-01T01:00")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["clock", "shift", "-d", "cam", "--by", "1h"], "duration with its sign"),
        (["clock", "shift", "-d", "cma", "--by", "+1h"], "there are cam, ridge [west]"),
        (["relabel", "cam/a.JPG"], "say what it shows"),
        (["relabel", "cam/a.JPG", "Red_Deer", "--none"], "say what it shows"),
        (["relabel", "cam/a.JPG", "--none", "--count", "2"], "--count goes with"),
        (["relabel", "cam/a.JPG", "Red_Dear"], "did you mean Red_Deer"),
        (["relabel", "cam/nothing.JPG", "Red_Deer"], "no such image"),
        (["relabel", "cam/a.JPG", "--machine"], "nobody has relabelled"),
        (["registrations", "show", "zzz"], "no registration with this id"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_change_nothing(run: Run, record: Path, arguments: list[str], words: str) -> None:
    """Exit code 2, why, and what to write instead."""
    before = _messages(record)
    result = run(*arguments, "--state", record)
    assert (result.code, words in result.err) == (2, True), result.err
    assert _messages(record) == before


def test_record_without_rules_is_left_alone(run: Run, state: Path) -> None:
    """Before a daemon has said by which rules the record is made, nothing is changed in it."""
    result = run("relabel", "cam/a.JPG", "Red_Deer", "--state", state)
    assert (result.code, "edge run" in result.err) == (1, True)


def test_clock_show(run: Run, record: Path) -> None:
    """Each camera's times, and the shifts made; nothing for one that has none."""
    run("clock", "shift", "-d", "cam", "--by", "+1h", "--yes", "--state", record)
    out = run("clock", "show", "--state", record).out
    assert "ridge [west]" in out
    assert "clock +1:00:00" in out
    cam, ridge = json.loads(run("clock", "show", "--state", record, "--json").out)
    assert (cam["deployment"], cam["images"], cam["shifted"], cam["doubtful"]) == ("cam", 3, 3, 0)
    assert [(s["by_ms"], s["images"], s["from"]) for s in cam["shifts"]] == [(HOUR, 3, None)]
    assert ridge["shifts"] == []


def test_relabel_and_take_it_back(run: Run, record: Path) -> None:
    """A person's word, then the models' again."""
    result = run("relabel", "ridge [west]/d.JPG", "Red_Fox", "--count", "3", "--state", record)
    assert result.out == "Red_Deer x1 is now Red_Fox x3; messages: 1 updated\n"
    assert (_messages(record)[-1].label, _messages(record)[-1].count) == ("Red_Fox", 3)
    again = run("relabel", "ridge [west]/d.JPG", "Red_Fox", "--count", "3", "--state", record)
    assert again.out == "nothing to change: Red_Fox x3 already\n"
    back = json.loads(run("relabel", "ridge [west]/d.JPG", "--machine", "--state", record, "--json").out)
    assert back["after"] == {"label": "Red_Deer", "count": 1}
    assert _messages(record)[-1].label == "Red_Deer"


def test_labels_of_no_set_and_of_nobody(run: Run, record: Path) -> None:
    """--new takes any; unidentified takes the label away and leaves the animal."""
    assert run("relabel", "cam/a.JPG", "Sasquatch", "--new", "--state", record).code == 0
    assert _messages(record)[-1].votes == {"Red_Fox": 1, "Sasquatch": 1}
    run("relabel", "cam/a.JPG", "unidentified", "--state", record)
    last = _messages(record)[-1]
    assert (last.votes, last.media_count) == ({"Red_Fox": 1}, 2)


def test_show_one_registration(run: Run, record: Path) -> None:
    """Votes, every image with both words on it, and what changed in each revision."""
    run("relabel", "cam/b.JPG", "Red_Deer", "--count", "4", "--state", record)
    id_ = _messages(record)[-1].registration_id
    out = run("registrations", "show", id_[:8], "--state", record).out
    for words in (id_, "Red_Deer 1, Red_Fox 1", "1 with a person's word", "Red_Fox x2", "person", "0.80",
                  "count: 2 → 4", "cam/b.JPG: Red_Fox x2 → Red_Deer x4"):  # fmt: skip
        assert words in out
    shown = json.loads(run("registrations", "show", id_, "--state", record, "--json").out)
    assert [(i["file"], i["label"], i["count"], i["by"]) for i in shown["images"]] == [
        ("cam/a.JPG", "Red_Fox", 1, "models"),
        ("cam/b.JPG", "Red_Deer", 4, "person"),
    ]
    assert shown["images"][1]["machine"] == {"label": "Red_Fox", "count": 2, "confidence": 0.8}
    assert len(shown["images"][0]["detections"]) == 1
    assert [(r["revision"], r["change"]) for r in shown["revisions"]] == [(1, "opened"), (2, "updated")]
    changed = {d["what"]: (d["before"], d["after"]) for d in shown["revisions"][1]["differences"]}
    assert changed["count"] == (2, 4)
    assert RegistrationMessage.model_validate(shown["registration"]).revision == 2


def test_show_a_retracted_registration(run: Run, record: Path) -> None:
    """What is left of it is its messages."""
    run("relabel", "ridge [west]/d.JPG", "--none", "--state", record)
    id_ = _messages(record)[-1].registration_id
    out = run("registrations", "show", id_, "--state", record).out
    assert "retracted, revision 2" in out
    shown = json.loads(run("registrations", "show", id_, "--state", record, "--json").out)
    assert (shown["living"], shown["images"]) == (False, [])
    assert [r["change"] for r in shown["revisions"]] == ["opened", "retracted"]


def test_show_says_where_a_revision_is_not_kept(run: Run, record: Path) -> None:
    """Messages are kept for a time only; a difference over a hole isn't told as one revision's."""
    for count in (3, 4):
        run("relabel", "cam/b.JPG", "Red_Fox", "--count", count, "--state", record)
    database = open_database(record)
    database.execute("DELETE FROM outbox WHERE CAST(payload AS TEXT) LIKE '%\"revision\":2,%'")
    database.close()
    id_ = _messages(record)[-1].registration_id
    assert "a revision between isn't kept" in run("registrations", "show", id_, "--state", record).out
