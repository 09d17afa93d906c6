"""``edge registrations``, ``edge media``, ``edge status`` on what is on record."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from edge.cli.common import reading
from edge.delivery.messages import RegistrationMessage
from edge.service.report import HEALTH_FILE
from edge.store.database import open_database
from edge.store.files import StateLock
from edge.store.ledger import Fate, Ledger, Stat
from edge.store.media import Embedded
from edge.store.reembedding import Reembedding
from tests.cli.conftest import BUNDLE, Run


def test_registrations_as_json_are_messages(run: Run, state: Path) -> None:
    """The same object that a subscriber gets, so one program reads both."""
    result = run("registrations", "--state", state, "--json")
    rows = json.loads(result.out)
    messages = [RegistrationMessage.model_validate(row) for row in rows]
    assert [(m.deployment, m.label, m.count, m.media_count) for m in messages] == [
        ("cam", "Red_Fox", 2, 2),
        ("ridge [west]", "Red_Deer", 1, 1),
    ]
    assert messages[0].scientific_name == "Vulpes vulpes"
    assert messages[0].start == "2026-01-01T01:00:00.000+01:00"
    assert rows[0]["schema"] == "edge.registration/1"


def test_registrations_as_csv(run: Run, state: Path) -> None:
    """One row each, with a heading; numbers as numbers."""
    rows = list(csv.DictReader(io.StringIO(run("registrations", "--state", state, "--csv").out)))
    assert [(row["label"], row["count"], row["media_count"]) for row in rows] == [
        ("Red_Fox", "2", "2"),
        ("Red_Deer", "1", "1"),
    ]
    assert float(rows[0]["confidence"]) == pytest.approx(0.8)


def test_registrations_as_a_table(run: Run, state: Path) -> None:
    """For people; a folder's name with brackets is shown as it is."""
    out = run("registrations", "--state", state).out
    assert "2026-01-01 01:00:00" in out
    assert "ridge [west]" in out


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        (["--label", "Red_Deer"], ["Red_Deer"]),
        (["--deployment", "cam"], ["Red_Fox"]),
        (["--from", "2026-01-01T00:15"], ["Red_Deer"]),
        (["--from", "2026-01-01T01:15+01:00"], ["Red_Deer"]),
        (["--to", "2026-01-01T00:30"], ["Red_Fox"]),
        (["--from", "2026-01-02"], []),
    ],
)
def test_registrations_are_filtered(run: Run, state: Path, options: list[str], labels: list[str]) -> None:
    """By label, camera and time; a time without offset is in the configured zone."""
    result = run("registrations", "--state", state, "--json", *options)
    assert [row["label"] for row in json.loads(result.out)] == labels


@pytest.mark.parametrize("command", ["registrations", "media"])
def test_times_are_the_chosen_cameras(run: Run, state: Path, tmp_path: Path, command: str) -> None:
    """As on the page: who names a camera means its clock. Without one it is the zone of all."""
    config = tmp_path / "zones.toml"
    config.write_text('[intake.deployments.cam]\ntimezone = "Asia/Tokyo"\n')
    call = [command, "--config", config, "--state", state, "--json", "--from", "2026-01-01T09:00"]
    assert json.loads(run(*call).out) == []
    assert json.loads(run(*call, "--deployment", "cam").out) != []
    assert json.loads(run(*call[:-1], "2026-01-01T09:31", "--deployment", "cam").out) == []


def test_a_time_that_is_none(run: Run, state: Path) -> None:
    """A usage error, with how to write one."""
    result = run("registrations", "--state", state, "--from", "yesterday")
    assert (result.code, "2026-05-04T18:00" in result.err) == (2, True)


def test_media_tell_what_became_of_each_file(run: Run, state: Path) -> None:
    """Processed with what was seen, set aside with the reason."""
    rows = {row["file"]: row for row in json.loads(run("media", "--state", state, "--json").out)}
    assert set(rows) == {
        "cam/a.JPG", "cam/b.JPG", "cam/c.JPG", "cam/broken.JPG", "ridge [west]/d.JPG",
    }  # fmt: skip
    assert (rows["cam/b.JPG"]["label"], rows["cam/b.JPG"]["count"]) == ("Red_Fox", 2)
    assert rows["cam/c.JPG"]["kind"] == "blank"
    assert (rows["cam/broken.JPG"]["state"], rows["cam/broken.JPG"]["reason"]) == ("set_aside", "it is empty")


def test_media_tell_the_light(run: Run, state: Path) -> None:
    """Infrared, not, or unknown; files that are no images have none."""
    database = open_database(state)
    for file, night in (("cam/a.JPG", 1), ("cam/b.JPG", 0)):
        database.execute("UPDATE media SET night = ? WHERE file = ?", (night, file))
    database.close()
    rows = {row["file"]: row["night"] for row in json.loads(run("media", "--state", state, "--json").out)}
    assert (rows["cam/a.JPG"], rows["cam/b.JPG"], rows["cam/c.JPG"]) == (True, False, None)
    assert rows["cam/broken.JPG"] is None


def test_media_by_outcome(run: Run, state: Path) -> None:
    """Only the files that need a person."""
    result = run("media", "--state", state, "--outcome", "set_aside")
    assert "cam/broken.JPG" in result.out
    assert "cam/a.JPG" not in result.out


def test_media_table_shows_names_as_they_are(run: Run, state: Path) -> None:
    """Square brackets in a path aren't taken for styles."""
    assert "ridge [west]/d.JPG" in run("media", "--state", state).out


def test_status_as_json(run: Run, state: Path) -> None:
    """Numbers of files, registrations and messages, and that no daemon runs."""
    status = json.loads(run("status", "--state", state, "--json").out)
    assert (status["daemon"], status["state"]) == ("not running", "stopped")
    assert status["files"] == {"processed": 4, "set_aside": 1}
    assert status["registrations"]["open"] + status["registrations"]["closed"] == 2
    assert status["outbox"]["waiting"] >= 2
    assert status["disk_free"] > 0
    assert not [key for key in (*status, *status["outbox"]) if " " in key]


def test_status_sees_a_running_daemon(run: Run, state: Path) -> None:
    """Whoever holds the lock runs."""
    with StateLock(state):
        assert json.loads(run("status", "--state", state, "--json").out)["daemon"] == "running"


def test_status_tells_how_far_embedding_again_is(run: Run, state: Path) -> None:
    """In per cent, with the images that can't be; not a word of it where there was no change of bundle."""
    new = "n" * 64
    for bundle, told in ((BUNDLE, False), (new, True)):
        (state / HEALTH_FILE).write_text(json.dumps({"models": {"bundle": {"sha256": bundle}}}))
        assert ("0 % of 4 images re-embedded" in run("status", "--state", state).out) == told
    database = open_database(state)
    (media_id,) = database.execute("SELECT media_id FROM media LIMIT 1")[0]
    Reembedding(database, new).keep(media_id, [Embedded("image", b"0000")], night=False)
    Reembedding(database, new).finish(3, cleared=True)
    database.close()
    out = " ".join(run("status", "--state", state).out.split())
    assert "25 % of 4 images re-embedded; the originals of 3 are gone or damaged" in out
    assert json.loads(run("status", "--state", state, "--json").out)["search"] == {
        "images": 4,
        "embedded": 1,
        "unreachable": 3,
        "running": False,
    }


def test_status_table_is_for_people(run: Run, state: Path) -> None:
    """Counts with their names; no Python in it."""
    out = run("status", "--state", state).out
    assert "4 processed, 1 set aside" in out
    assert re.search(r"disk free +[\d.]+ (GB|MB)", out)
    assert not set("{}[]'") & set(out)


@pytest.mark.parametrize("command", ["registrations", "media", "status"])
def test_no_database(run: Run, tmp_path: Path, command: str) -> None:
    """Exit code 1, with where it was looked for, and nothing is made."""
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run(command, "--state", empty)
    assert (result.code, result.out) == (1, "")
    expected = (
        f"edge: no database here: {empty}/edge.db (`edge run --state DIR` makes one; is --state right?)\n"
    )
    assert result.err == expected
    assert list(empty.iterdir()) == []


def test_no_drop_folder(run: Run, tmp_path: Path) -> None:
    """Importing from a folder that isn't there ends at once."""
    result = run(
        "run", "--drop", tmp_path / "x", "--state", tmp_path / "s", "--broker", "none", "--until-idle"
    )
    assert result.code == 78
    assert "no drop folder" in result.err


def test_commands_read_one_moment(run: Run, state: Path) -> None:
    """What a daemon writes while a command reads doesn't show half."""
    with reading(None, state) as (_, database):
        before = Ledger(database).counts()
        writer = open_database(state)
        Ledger(writer).settle([Fate("cam/new.JPG", Stat(1, 2, 3, 4), "processed")], now=1)
        assert Ledger(database).counts() == before
        writer.close()
    assert json.loads(run("status", "--state", state, "--json").out)["files"]["processed"] == 5
