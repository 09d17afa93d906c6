"""What happens when the daemon is started with other settings of the rules."""

from __future__ import annotations

from pathlib import Path

from edge.delivery.messages import BundleRef, RegistrationMessage
from edge.registration import Options
from edge.registration.engine import Engine
from edge.service.emit import Voice, message_of
from edge.service.pending import PendingTimes
from edge.service.recorder import Recorder
from edge.service.rules import apply_options
from edge.settings import Settings
from edge.store.database import open_database
from edge.store.names import remember_bundle
from edge.store.outbox import Outbox
from edge.store.queries import registrations
from edge.store.record import SqliteRecord
from edge.subscriber import Table
from tests.service.outcomes import examined, seen


def test_record_messages_and_subscriber_follow_new_settings(tmp_path: Path) -> None:
    """A smaller gap cuts what is on record; the subscriber hears of it; the same again says nothing."""
    database = open_database(tmp_path)
    remember_bundle(database, "b" * 64, "starter")
    database.remember("device", "d")
    voice = Voice("d", database.epoch, {}, BundleRef(name="starter", sha256="b" * 64))
    wide, narrow = Options(), Options(gap=5 * 60_000)
    assert apply_options(database, wide, voice) == 0
    recorder = Recorder(
        database, Engine(wide, SqliteRecord(database)), voice, PendingTimes(), Settings(device="d")
    )
    for name, minute in (("a", 0), ("b", 10)):
        file = examined(name, minute)
        recorder._pending.add(file.deployment, file.taken_ms)
        recorder.record([seen(file)])
    assert apply_options(database, narrow, voice) == 2
    assert apply_options(database, narrow, voice) == 0
    assert [r.media_count for r in registrations(database)] == [1, 1]
    table = Table()
    for row in Outbox(database).range(1, 100):
        table.apply(RegistrationMessage.model_validate_json(row.payload))
    stored = [message_of(database, r, {}) for r in registrations(database)]
    assert table.rows() == [m.model_dump(mode="json", by_alias=True) for m in stored if m]
