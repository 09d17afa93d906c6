"""Groups of outcomes, their registrations and their messages, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edge.delivery.messages import BundleRef, RegistrationMessage
from edge.errors import StoreError
from edge.registration import Options
from edge.registration.engine import Engine
from edge.service.emit import Voice, message_of
from edge.service.looker import settled
from edge.service.pending import PendingTimes
from edge.service.recorder import Recorder
from edge.service.work import Outcome
from edge.settings import RegistrationSettings, Settings
from edge.store.database import Database, open_database
from edge.store.ledger import Ledger
from edge.store.names import remember_bundle
from edge.store.outbox import Outbox
from edge.store.queries import files, registrations
from edge.store.record import SqliteRecord
from edge.subscriber import Table
from tests.service.outcomes import examined, seen

SETTINGS = Settings(device="d", registration=RegistrationSettings(idle_close=100.0, allowed_lateness=0.0))


@dataclass
class Desk:
    """A recorder with a clock that stands still, and what it writes to."""

    database: Database
    pending: PendingTimes
    now: float = 0.0

    def recorder(self) -> Recorder:
        """A recorder as a new process makes it."""
        remember_bundle(self.database, "b" * 64, "starter")
        self.database.remember("device", "d")
        voice = Voice(
            "d", self.database.epoch, {"Red_Fox": "Vulpes vulpes"}, BundleRef(name="starter", sha256="b" * 64)
        )
        engine = Engine(Options(), SqliteRecord(self.database))
        return Recorder(self.database, engine, voice, self.pending, SETTINGS, clock=lambda: self.now)

    def record(self, *outcomes: Outcome, recorder: Recorder | None = None) -> Recorder:
        """Record one group; returns the recorder."""
        recorder = recorder or self.recorder()
        for outcome in outcomes:
            if outcome.examined:
                self.pending.add(outcome.examined.deployment, outcome.examined.taken_ms)
        recorder.record(outcomes)
        return recorder

    def messages(self) -> list[RegistrationMessage]:
        """Everything in the outbox."""
        rows = Outbox(self.database).range(1, 10_000)
        return [RegistrationMessage.model_validate_json(row.payload) for row in rows]

    def changes(self) -> list[tuple[str, str]]:
        """What the outbox says: change and label."""
        return [(message.change, message.label) for message in self.messages()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An empty one."""
    return Desk(open_database(tmp_path), PendingTimes())


def test_image_registration_and_message_are_on_record_together(desk: Desk) -> None:
    """One group gives the ledger's line, the registration and its message."""
    desk.record(seen(examined("a", 0)))
    assert [(f.file, f.state, f.label) for f in files(desk.database)] == [
        ("cam/a.JPG", "processed", "Red_Fox")
    ]
    assert [r.label for r in registrations(desk.database)] == ["Red_Fox"]
    assert desk.changes() == [("opened", "Red_Fox")]


def test_nothing_is_on_record_when_the_commit_fails(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the message can't be written, neither is the image; the same group can be recorded later."""
    recorder = desk.recorder()

    def refuse(*_: object, **__: object) -> int:
        raise StoreError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "append", refuse)
        with pytest.raises(StoreError, match="disk is full"):
            desk.record(seen(examined("a", 0)), recorder=recorder)
    assert list(files(desk.database)) == []
    assert list(registrations(desk.database)) == []
    assert desk.pending.oldest("cam") is not None
    recorder.record([seen(examined("a", 0))])
    assert desk.changes() == [("opened", "Red_Fox")]


def test_same_content_twice_is_one_observation(desk: Desk) -> None:
    """Also when both are in one group: the second is a duplicate."""
    first, second = examined("a", 0), examined("b", 5)
    desk.record(seen(first, media_id="sha256:same"), seen(second, media_id="sha256:same"))
    assert {f.file: f.state for f in files(desk.database)} == {
        "cam/a.JPG": "processed",
        "cam/b.JPG": "duplicate",
    }
    assert [r.media_count for r in registrations(desk.database)] == [1]


def test_blank_images_are_stored_and_raise_nothing(desk: Desk) -> None:
    """An empty trigger has an observation of its own kind and no registration."""
    desk.record(seen(examined("a", 0), count=0))
    assert [(f.kind, f.count) for f in files(desk.database)] == [("blank", 0)]
    assert desk.messages() == []


def test_watermark_closes_what_later_images_cannot_change(desk: Desk) -> None:
    """An image more than gap and window later closes the registration before it."""
    desk.record(seen(examined("a", 0)))
    desk.record(seen(examined("b", 61)))
    assert [r.state for r in registrations(desk.database)] == ["closed", "open"]


def test_blank_image_moves_the_watermark_too(desk: Desk) -> None:
    """Time passes in front of a camera that sees nothing."""
    desk.record(seen(examined("a", 0)), seen(examined("b", 61), count=0))
    assert [r.state for r in registrations(desk.database)] == ["closed"]


def test_files_that_wait_hold_the_watermark(desk: Desk) -> None:
    """As long as an older image waits in the drop folder, nothing that it could change is closed."""
    desk.pending.add("cam", examined("z", 10).taken_ms)
    desk.record(seen(examined("a", 0)), seen(examined("b", 61)))
    assert [r.state for r in registrations(desk.database)] == ["open", "open"]


def test_wrong_clock_makes_no_other_image_late(desk: Desk) -> None:
    """A time in the far future doesn't move the watermark; its registration says that the clock is wrong."""
    wrong = seen(examined("w", 10_000_000, clock_ok=False))
    desk.record(seen(examined("a", 0)), wrong)
    found = list(registrations(desk.database))
    assert [r.state for r in found] == ["open", "open"]
    names: dict[str, str] = {}
    messages = [message_of(desk.database, r, names) for r in found]
    assert [m.clock_ok for m in messages if m] == [True, False]


def test_quiet_deployment_is_closed(desk: Desk) -> None:
    """After ``idle_close`` of quiet everything that a deployment has is closed, and nothing else."""
    recorder = desk.record(seen(examined("a", 0)))
    desk.now = 60.0
    desk.record(seen(examined("b", 0, deployment="other")), recorder=recorder)
    desk.now = 110.0
    assert len(recorder.close_quiet()) == 1
    assert {r.deployment: r.state for r in registrations(desk.database)} == {"cam": "closed", "other": "open"}


def test_quiet_is_counted_anew_after_a_restart(desk: Desk) -> None:
    """What was open when the process ended is closed by a new one after ``idle_close``."""
    desk.record(seen(examined("a", 0)))
    desk.now = 5000.0
    recorder = desk.recorder()
    assert recorder.close_quiet() == []
    desk.now = 5101.0
    assert len(recorder.close_quiet()) == 1


def test_waiting_files_keep_a_deployment_from_being_quiet(desk: Desk) -> None:
    """A slow device with a backlog doesn't close what the backlog will change."""
    desk.pending.add("cam", examined("z", 10).taken_ms)
    recorder = desk.record(seen(examined("a", 0)))
    desk.now = 500.0
    assert recorder.close_quiet() == []


def test_late_image_corrects_a_closed_registration(desk: Desk) -> None:
    """An image from before, days late, changes the registration that it belongs to."""
    desk.record(seen(examined("a", 0)), seen(examined("b", 61)))
    desk.record(seen(examined("late", 5), count=3))
    assert desk.changes()[-1] == ("corrected", "Red_Fox")
    assert [r.count for r in registrations(desk.database)] == [3, 1]


def test_incomplete_file_is_waited_for_and_set_aside_in_the_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that never becomes whole stays incomplete for hours, then is set aside."""
    file = examined("a", 0)
    cut = settled(file, "incomplete", "cut off")
    desk.record(cut)
    assert [(f.state, f.reason) for f in files(desk.database)] == [("incomplete", "cut off")]
    seen_at = Ledger(desk.database).first_seen("cam/a.JPG")
    assert seen_at is not None
    later = seen_at + round(SETTINGS.intake.incomplete_after * 1000)
    monkeypatch.setattr("edge.service.recorder.now_ms", lambda: later)
    desk.record(cut)
    assert [(f.state, f.reason) for f in files(desk.database)] == [
        ("set_aside", "never became whole: cut off")
    ]


def test_subscriber_table_equals_the_store(desk: Desk) -> None:
    """Applying the outbox in order gives the store's own table, field by field."""
    recorder = desk.recorder()
    labels = ("Red_Fox", "Red_Fox", None, "Badger", "Badger", "Badger")
    for number, label in enumerate(labels):
        file = examined(f"i{number}", number * 17 % 60)
        desk.record(seen(file, label, number % 3 + 1), recorder=recorder)
    recorder.close_all()
    table = Table()
    for message in desk.messages():
        table.apply(message)
    names = {"Red_Fox": "Vulpes vulpes"}
    stored = [message_of(desk.database, r, names) for r in registrations(desk.database)]
    assert table.rows() == [m.model_dump(mode="json", by_alias=True) for m in stored if m]
    assert {row["state"] for row in table.rows()} == {"closed"}


def test_message_shows_at_most_twenty_images(desk: Desk) -> None:
    """The first, the last and those of largest count; ``media_count`` is the truth."""
    recorder = desk.recorder()
    group = [seen(examined(f"i{n:02}", n / 10), count=1 + (n == 15)) for n in range(40)]
    desk.record(*group, recorder=recorder)
    message = desk.messages()[-1]
    assert (message.media_count, len(message.media)) == (40, 20)
    shown = [entry.file for entry in message.media]
    assert shown[0] == "cam/i00.JPG"
    assert shown[-1] == "cam/i39.JPG"
    assert "cam/i15.JPG" in shown


def test_same_file_again_stays_processed(desk: Desk) -> None:
    """A file that was only touched is no copy of itself."""
    first = examined("a", 0)
    recorder = desk.record(seen(first))
    media_id = "sha256:cam-a"
    desk.record(settled(first, "duplicate", "copy", media_id), recorder=recorder)
    desk.record(seen(first), recorder=recorder)
    desk.record(settled(examined("b", 0), "duplicate", "copy", media_id), recorder=recorder)
    assert [(f.file, f.state, f.media_id) for f in files(desk.database)] == [
        ("cam/a.JPG", "processed", media_id),
        ("cam/b.JPG", "duplicate", media_id),
    ]


def test_file_that_cannot_be_read_is_never_given_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong permissions may be put right after days, and the file doesn't show it: it stays to be tried."""
    refused = replace(settled(examined("a", 0), "incomplete", "can't read the file"), unreadable=True)
    desk.record(refused)
    monkeypatch.setattr("edge.service.recorder.now_ms", lambda: 2**50)
    desk.record(refused)
    assert [f.state for f in files(desk.database)] == ["incomplete"]


def test_watermark_moves_on_when_the_file_that_held_it_is_a_copy(desk: Desk) -> None:
    """Whatever becomes of the last file that waited, what it held up is closed with it."""
    waiting = examined("z", 10)
    desk.pending.add("cam", waiting.taken_ms)
    recorder = desk.record(seen(examined("a", 0)), seen(examined("b", 61)))
    assert [r.state for r in registrations(desk.database)] == ["open", "open"]
    recorder.record([settled(waiting, "duplicate", "copy", "sha256:cam-a")])
    assert [r.state for r in registrations(desk.database)] == ["closed", "open"]
