"""A damaged database: what takes its place, and what subscribers make of it."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from edge.delivery.messages import RegistrationMessage
from edge.errors import DiskFullError
from edge.service.emit import message_of
from edge.service.opening import opened
from edge.service.recovery import STEP, replace_database
from edge.service.relabel import relabel
from edge.service.restating import has_strays, is_restating, restate, settle_strays
from edge.service.salvage import salvage
from edge.service.work import Outcome
from edge.store.backup import FOLDER, HURRIED, backups, make_backup
from edge.store.database import DATABASE, open_database
from edge.store.queries import registrations, scientific_names
from edge.store.recovery import damaged, is_missing, parts
from edge.subscriber import Table
from tests.service.corrected import Corrigible
from tests.service.outcomes import examined, seen

PAGE = 4096


def _images(number: int, step: float = 20.0) -> list[Outcome]:
    return [seen(examined(f"i{n}", n * step, deployment=f"cam-{n % 2}")) for n in range(number)]


def _table(*logs: list[RegistrationMessage]) -> Table:
    table = Table()
    for log in logs:
        for message in log:
            table.apply(message)
    return table


def _on_record(desk: Corrigible) -> list[str]:
    names = scientific_names(desk.database)
    said = [message_of(desk.database, r, names) for r in registrations(desk.database)]
    return sorted(m.model_dump_json() for m in said if m)


def _held(table: Table) -> list[str]:
    rows = [RegistrationMessage.model_validate(row) for row in table.rows()]
    return sorted(row.model_dump_json() for row in rows)


def _say_everything(desk: Corrigible) -> None:
    while restate(desk.database, desk.voice(), 1, limit=3):
        pass
    after = ""
    while True:
        after, _ = settle_strays(desk.database, desk.voice(), 1, after, limit=2)
        if not after:
            return


def _reopened(state: Path) -> Corrigible:
    return Corrigible.of(opened(state).database)


def _backup(desk: Corrigible) -> None:
    make_backup(desk.database.path, desk.database.path.parent / FOLDER, pace=HURRIED)


def _overwrite(path: Path, page: int, pages: int = 3) -> None:
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(b"\xa5" * pages * PAGE)


def _spoil_header(state: Path) -> None:
    _overwrite(state / DATABASE, 0, 1)


def _spoil_pages(state: Path) -> None:
    _overwrite(state / DATABASE, 2)


def _cut(state: Path) -> None:
    with (state / DATABASE).open("r+b") as file:
        file.truncate((state / DATABASE).stat().st_size // 2 + 100)


def _empty(state: Path) -> None:
    (state / DATABASE).write_bytes(b"")


def _remove(state: Path) -> None:
    (state / DATABASE).unlink()


SPOILERS = [_spoil_header, _spoil_pages, _cut, _empty, _remove]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_newest_backup_is_restored_and_the_subscriber_gets_it_right(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """Whatever is wrong with the file: the backup is there, the rest is read again, nothing doubles."""
    images = _images(20)
    desk = Corrigible.at(tmp_path)
    desk.record(*images[:10], close=True)
    _backup(desk)
    desk.record(*images[10:], close=True)
    before, epoch = desk.messages(), desk.database.epoch
    desk.database.close()
    spoil(tmp_path)
    database, note = opened(tmp_path)
    assert note is not None
    assert note.code == "database_replaced"
    desk = Corrigible.of(database)
    assert desk.database.epoch != epoch
    assert len(desk.observations("cam-0")) == 5
    for outcome in images:
        desk.record(outcome)
    _say_everything(desk)
    assert _held(_table(before, desk.messages())) == _on_record(desk)
    assert len(desk.observations("cam-0")) == len(desk.observations("cam-1")) == 10
    desk.check()
    desk.database.close()


def test_damaged_backup_is_passed_over(tmp_path: Path) -> None:
    """The next older one is taken; if none is sound, an empty database."""
    images = _images(8)
    desk = Corrigible.at(tmp_path)
    for image in images[:2]:
        desk.record(image)
        _backup(desk)
    desk.database.close()
    (_, older), (_, newer) = backups(tmp_path / FOLDER)
    _overwrite(newer, 3)
    _spoil_header(tmp_path)
    desk = _reopened(tmp_path)
    assert len(desk.observations("cam-0")) + len(desk.observations("cam-1")) == 1
    desk.database.close()
    _overwrite(older, 3)
    _spoil_header(tmp_path)
    desk = _reopened(tmp_path)
    assert desk.observations("cam-0") == desk.observations("cam-1") == []
    desk.database.close()
    assert len(damaged(tmp_path)) == 2


def test_corrections_survive_in_the_backup(tmp_path: Path) -> None:
    """A person's word that is in the backup is there after it was restored."""
    desk = Corrigible.at(tmp_path)
    desk.record(*_images(4), close=True)
    relabel(desk.database, "sha256:cam-0-i0", "Badger", None)
    _backup(desk)
    desk.database.close()
    _spoil_pages(tmp_path)
    desk = _reopened(tmp_path)
    assert [r.label for r in registrations(desk.database)].count("Badger") == 1
    assert desk.database.execute("SELECT COUNT(*) FROM reviews") == [(1,)]
    desk.database.close()


def test_revisions_begin_above_all_that_were_sent_without_asking_a_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time after time, also with a clock in 1970, and where the file can't be opened any more."""
    monkeypatch.setattr("time.time", lambda: 0.0)
    desk = Corrigible.at(tmp_path)
    greatest = 0
    for round_number in range(3):
        for image in _images(6):
            desk.record(image)
        _say_everything(desk)
        sent = [message.revision for message in desk.messages()]
        assert min(sent) > greatest
        greatest = max(sent)
        assert desk.database.revision_base == round_number * STEP
        desk.database.close()
        _spoil_header(tmp_path)
        desk = _reopened(tmp_path)
    desk.database.close()


def test_stray_whose_images_are_gone_stays(tmp_path: Path) -> None:
    """Nothing contradicts it: subscribers know more than the device now."""
    desk = Corrigible.at(tmp_path)
    desk.record(*_images(2), close=True)
    before = desk.messages()
    desk.database.close()
    _spoil_header(tmp_path)
    desk = _reopened(tmp_path)
    _say_everything(desk)
    assert desk.messages() == []
    assert has_strays(desk.database)
    assert len(_table(before, desk.messages())) == 2
    desk.database.close()


def test_salvage_finds_the_last_word_of_each(tmp_path: Path) -> None:
    """Every living registration with its time and an image, and the greatest revision."""
    desk = Corrigible.at(tmp_path)
    for image in _images(12, step=5.0):
        desk.record(image)
    truth = list(registrations(desk.database))
    sent = max(message.revision for message in desk.messages())
    desk.database.close()
    found = salvage(parts(tmp_path / DATABASE))
    assert found.revision == sent
    assert sorted((s.registration_id, s.first_t, s.last_t, s.media_id) for s in found.living) == sorted(
        (r.id, r.start, r.end, r.first.media_id) for r in truth
    )


@given(st.integers(0, 2**32), st.binary(min_size=1, max_size=5000))
@settings(max_examples=30, deadline=None)
def test_salvage_survives_any_bytes(seed: int, noise: bytes) -> None:
    """Garbage gives nothing, or less; never an error."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        word = b'{"schema":"edge.registration/1","device":"d","epoch":"e","seq":1,"change":"opened","registr'
        at = seed % len(noise)
        path.write_bytes(noise[:at] + word + noise[at:])
        assert salvage([path, Path(folder) / "x"]).living == ()


@given(st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_table_is_the_record_after_any_history(seed: int) -> None:
    """Images in any order before, after a backup and after the damage; any lost corrections: they agree."""
    chance = random.Random(seed)
    images = [
        seen(
            examined(f"i{n}", chance.randrange(0, 400)),
            chance.choice(["Red_Fox", "Badger", None]),
            media_id=f"sha256:{n}",
        )
        for n in range(chance.randrange(4, 14))
    ]
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        desk = Corrigible.at(state)
        for number, image in enumerate(chance.sample(images, len(images))):
            desk.record(image, close=chance.random() < 0.3)
            if chance.random() < 0.15 and number:
                _backup(desk)
        if chance.random() < 0.5:
            relabel(desk.database, "sha256:0", chance.choice(["Badger", None]), chance.choice([None, 0, 2]))
        before = desk.messages()
        desk.database.close()
        chance.choice([_spoil_header, _spoil_pages])(state)
        desk = _reopened(state)
        for image in chance.sample(images, len(images)):
            desk.record(image, close=chance.random() < 0.3)
            if chance.random() < 0.3:
                restate(desk.database, desk.voice(), 1, limit=2)
        _say_everything(desk)
        assert not is_restating(desk.database)
        assert _held(_table(before, desk.messages())) == _on_record(desk)
        assert not has_strays(desk.database)
        desk.check()
        desk.database.close()


def test_nothing_changes_where_there_is_no_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The damaged one stays where it is until another one is ready."""
    desk = Corrigible.at(tmp_path)
    desk.record(*_images(4))
    _backup(desk)
    desk.database.close()
    _spoil_header(tmp_path)
    content = (tmp_path / DATABASE).read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfile", refuse)
        with pytest.raises(DiskFullError):
            opened(tmp_path)
    assert (tmp_path / DATABASE).read_bytes() == content
    assert damaged(tmp_path) == []
    assert len(_reopened(tmp_path).observations("cam-0")) == 2


def test_power_cut_between_the_renames_is_made_good(tmp_path: Path) -> None:
    """The damaged one is aside, the new one has no name yet, a log lies alone: the next start goes on."""
    desk = Corrigible.at(tmp_path)
    desk.record(*_images(4))
    _backup(desk)
    before = desk.messages()
    desk.database.close()
    (tmp_path / DATABASE).rename(tmp_path / "corrupt-20260101T000000-abcdef.db")
    (tmp_path / f"{DATABASE}-wal").write_bytes(b"\xa5" * 9000)
    (tmp_path / ".edge.db.new").write_bytes(b"half")
    assert is_missing(tmp_path)
    desk = _reopened(tmp_path)
    assert len(desk.observations("cam-0")) == 2
    assert desk.database.revision_base >= STEP > max(message.revision for message in before)
    desk.database.close()


def test_log_that_lies_alone_does_not_hide_what_was_said(tmp_path: Path) -> None:
    """What subscribers may know is read from the database that was moved aside, though its log wasn't yet."""
    images = _images(4)
    desk = Corrigible.at(tmp_path)
    desk.record(*images[:2], close=True)
    _backup(desk)
    desk.record(*images[2:], close=True)
    late = {r.id for r in registrations(desk.database)}
    desk.database.close()
    (tmp_path / DATABASE).rename(tmp_path / "corrupt-20260101T000000-abcdef.db")
    (tmp_path / f"{DATABASE}-wal").write_bytes(b"\xa5" * 9000)
    desk = _reopened(tmp_path)
    late -= {r.id for r in registrations(desk.database)}
    assert late
    assert {row[0] for row in desk.database.execute("SELECT registration_id FROM strays")} == late
    desk.database.close()


def test_first_start_is_no_recovery(tmp_path: Path) -> None:
    """An empty folder gets a database and no note."""
    database, note = opened(tmp_path)
    assert (note, database.revision_base) == (None, 0)
    database.close()
    database, note = opened(tmp_path)
    assert note is None
    database.close()


def test_log_with_garbage_is_found_and_what_is_sound_goes_on(tmp_path: Path) -> None:
    """SQLite would read the log up to there and say nothing; numbers would be given out twice."""
    desk = Corrigible.at(tmp_path)
    for image in _images(8):  # few enough that none is moved from the log into the database
        desk.record(image)
    before = desk.messages()
    # A killed process leaves its log; closing would write it back.
    files = {path.name: path.read_bytes() for path in parts(tmp_path / DATABASE)}
    desk.database.close()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / f"{DATABASE}-shm").unlink(missing_ok=True)
    with (tmp_path / f"{DATABASE}-wal").open("r+b") as wal:
        wal.seek(32 + 70 * (24 + PAGE) + 500)
        wal.write(b"\xa5" * 100)
    desk = _reopened(tmp_path)
    assert desk.database.epoch != before[0].epoch
    assert 0 < len(desk.observations("cam-0")) < 4
    for image in _images(8):
        desk.record(image)
    _say_everything(desk)
    assert _held(_table(before, desk.messages())) == _on_record(desk)
    desk.database.close()


def test_damage_met_while_running_makes_the_next_start_look_closer(tmp_path: Path) -> None:
    """An index that contradicts its table passes the quick check; after damage was met it doesn't."""
    desk = Corrigible.at(tmp_path)
    desk.record(*_images(4))
    _backup(desk)
    database = desk.database
    database.execute("PRAGMA writable_schema = ON")
    database.execute(
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX media_by_arrival ON media (bytes)' "
        "WHERE name = 'media_by_arrival'"
    )
    database.close()
    database, note = opened(tmp_path)
    assert note is None
    database.close()
    (tmp_path / "suspect").touch()
    database, note = opened(tmp_path)
    assert note is not None
    database.close()
    assert not (tmp_path / "suspect").exists()


def test_restored_by_hand_counts_as_damage_does(tmp_path: Path) -> None:
    """A sound database that a person replaces is kept, and subscribers follow just as well."""
    desk = Corrigible.at(tmp_path)
    desk.record(*_images(4), close=True)
    _backup(desk)
    desk.record(*_images(8)[4:], close=True)
    before = desk.messages()
    desk.database.close()
    replaced = replace_database(tmp_path)
    assert replaced.aside is not None
    assert replaced.strays == 4
    desk = Corrigible.of(open_database(tmp_path))
    assert desk.database.epoch == replaced.epoch
    for image in _images(8):
        desk.record(image)
    _say_everything(desk)
    assert _held(_table(before, desk.messages())) == _on_record(desk)
    desk.database.close()
