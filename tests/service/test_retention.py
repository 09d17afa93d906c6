"""Making room: what is removed, what never is, and the record of it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edge.delivery.messages import ReplayRequest, Span
from edge.delivery.replay import Replay
from edge.errors import StoreError
from edge.service.retention import SLICE, Cleaner, due
from edge.service.work import Outcome
from edge.settings import Settings, StoreSettings
from edge.store.backup import FOLDER, HURRIED, make_backup
from edge.store.ledger import Stat
from edge.store.outbox import Outbox
from edge.store.retention import Retention
from tests.service.corrected import Corrigible
from tests.service.outcomes import examined, seen

DAY = 86_400_000
NOW = 400 * DAY


def _settings(folder: Path, **store: object) -> Settings:
    values: dict[str, object] = {"snapshots_free": 0, **store}
    return Settings(drop=folder / "drop", state=folder / "state", store=StoreSettings.model_validate(values))


def _desk(folder: Path) -> Corrigible:
    return Corrigible.at(folder / "state")


def _image(folder: Path, name: str, minute: float, *, received: int = DAY, count: int = 1) -> Outcome:
    """An image that is there, with a snapshot."""
    outcome = seen(examined(name, minute), count=count)
    path = folder / "drop" / outcome.fate.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(name.encode() * 10)
    found = path.stat()
    stat = Stat(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    snapshot = f"snapshots/aa/{name}.jpg"
    (folder / "state" / snapshot).parent.mkdir(parents=True, exist_ok=True)
    (folder / "state" / snapshot).write_bytes(b"s" * 1000)
    assert outcome.media is not None
    media = replace(outcome.media, received=received, snapshot=snapshot)
    return replace(outcome, fate=replace(outcome.fate, stat=stat), media=media)


def _clean(desk: Corrigible, settings: Settings, now: int = NOW) -> int:
    cleaner, removed = Cleaner(settings, desk.database), 0
    while True:
        step = cleaner.step(now)
        removed += step.removed
        if not step.more:
            return removed


def _acknowledge(desk: Corrigible) -> None:
    outbox = Outbox(desk.database)
    outbox.acknowledge([row.seq for row in outbox.pending(0, 1000)])


def _back_up(desk: Corrigible) -> None:
    make_backup(desk.database.path, desk.database.path.parent / FOLDER, pace=HURRIED)


def _originals(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "drop").rglob("*.JPG"))


def test_nothing_is_removed_unless_it_is_said(tmp_path: Path) -> None:
    """With the shipped settings and enough space, images and snapshots stay for ever."""
    desk = _desk(tmp_path)
    desk.record(_image(tmp_path, "a", 0), close=True)
    _acknowledge(desk)
    _back_up(desk)
    assert _clean(desk, _settings(tmp_path, keep_acknowledged=1e10), NOW * 100) == 0
    assert _originals(tmp_path) == ["a"]


def test_snapshots_go_by_age(tmp_path: Path) -> None:
    """Off the record, off the disk, with a line that says so."""
    desk = _desk(tmp_path)
    desk.record(_image(tmp_path, "old", 0, received=NOW - 11 * DAY), _image(tmp_path, "new", 1, received=NOW))
    assert _clean(desk, _settings(tmp_path, keep_snapshots=10 * 86400.0)) == 1
    assert [path.stem for path in (tmp_path / "state" / "snapshots").rglob("*.jpg")] == ["new"]
    assert desk.database.execute("SELECT COUNT(*) FROM media WHERE snapshot != ''") == [(1,)]
    (removal,) = Retention(desk.database).removals(9)
    assert (removal.kind, removal.number, removal.size, removal.reason) == ("snapshot", 1, 1000, "too old")


def test_oldest_snapshots_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as are needed; one that was just taken and is about to be sent never."""
    desk = _desk(tmp_path)
    times = [DAY, 2 * DAY, 3 * DAY, NOW - 1000]
    desk.record(*[_image(tmp_path, f"s{n}", n, received=t) for n, t in enumerate(times)])
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage._replace(free=10_000))
    cleaner = Cleaner(_settings(tmp_path, snapshots_free=11_500), desk.database)
    assert cleaner.step(NOW).removed == 2
    cleaner = Cleaner(_settings(tmp_path, snapshots_free=2**40), desk.database)
    assert cleaner.step(NOW).removed == 1
    assert cleaner.step(NOW).removed == 0
    assert [path.stem for path in (tmp_path / "state" / "snapshots").rglob("*.jpg")] == ["s3"]


def test_originals_go_once_closed_told_and_backed_up(tmp_path: Path) -> None:
    """Each of the three is needed; every image that goes has a line of its own."""
    settings = _settings(tmp_path, keep_originals=86400.0)
    desk = _desk(tmp_path)
    desk.record(_image(tmp_path, "a", 0), _image(tmp_path, "b", 1))
    _acknowledge(desk)
    _back_up(desk)
    assert _clean(desk, settings) == 0  # open
    desk.record(close=True)
    assert _clean(desk, settings) == 0  # not acknowledged
    _acknowledge(desk)
    assert _clean(desk, settings) == 2
    assert _originals(tmp_path) == []
    assert sorted(r.what for r in Retention(desk.database).removals(9)) == ["cam/a.JPG", "cam/b.JPG"]
    assert _clean(desk, settings) == 0


def test_original_that_no_backup_has_stays(tmp_path: Path) -> None:
    """Were the card to fail now, it could be looked at again."""
    settings = _settings(tmp_path, keep_originals=86400.0)
    desk = _desk(tmp_path)
    desk.record(_image(tmp_path, "a", 0), close=True)
    _acknowledge(desk)
    assert _clean(desk, settings) == 0
    _back_up(desk)
    desk.record(_image(tmp_path, "b", 500), close=True)
    _acknowledge(desk)
    assert _clean(desk, settings) == 1
    assert _originals(tmp_path) == ["b"]


def test_messages_that_were_pruned_count_as_told(tmp_path: Path) -> None:
    """A registration whose messages are gone from the outbox was acknowledged long ago."""
    settings = _settings(tmp_path, keep_originals=86400.0, keep_acknowledged=0.0)
    desk = _desk(tmp_path)
    desk.record(_image(tmp_path, "a", 0), close=True)
    _acknowledge(desk)
    _back_up(desk)
    assert _clean(desk, settings, now=2**45) > 2
    assert Outbox(desk.database).counts() == (0, 0, 0)
    assert _originals(tmp_path) == []


def test_message_that_was_set_aside_keeps_its_image_and_no_other_message(tmp_path: Path) -> None:
    """What was delivered behind it goes; it stays, isn't told, and a replay says which are missing."""
    settings = _settings(tmp_path, keep_originals=86400.0, keep_acknowledged=86400.0)
    desk = _desk(tmp_path)
    desk.record(_image(tmp_path, "a", 0), close=True)
    outbox = Outbox(desk.database)
    aside = outbox.head()
    for row in outbox.pending(0, 10):
        outbox.set_aside(row.seq, "too large")
    desk.record(_image(tmp_path, "b", 5000), close=True)
    _acknowledge(desk)
    _back_up(desk)
    last = outbox.head()
    assert due(settings, desk.database, 2**45)[0].number == last - aside
    _clean(desk, settings, now=2**45)
    assert [row.seq for row in outbox.range(1, last)] == list(range(1, aside + 1))
    assert _originals(tmp_path) == ["a"]
    replay = Replay(ReplayRequest.model_validate({"epoch": "e", "from": 1, "to": last}), outbox)
    assert replay.next() is None
    assert replay.reply().missing == (Span.model_validate({"from": 1, "to": last}),)
    outbox.retry([aside])
    assert [row.seq for row in outbox.pending(0, 10)] == [aside]
    desk.record(_image(tmp_path, "c", 9000), close=True)
    assert outbox.head() > last


def test_nothing_of_a_replaced_epoch_counts_as_told(tmp_path: Path) -> None:
    """Until everything was said again, numbers on record may be another epoch's."""
    settings = _settings(tmp_path, keep_originals=86400.0)
    desk = _desk(tmp_path)
    desk.record(_image(tmp_path, "a", 0), close=True)
    _acknowledge(desk)
    _back_up(desk)
    desk.database.remember("restate_after", "")
    assert _clean(desk, settings) == 0


def test_image_without_animals_has_nothing_to_tell(tmp_path: Path) -> None:
    """It goes by age and backup alone."""
    desk = _desk(tmp_path)
    desk.record(_image(tmp_path, "blank", 0, count=0))
    _back_up(desk)
    assert _clean(desk, _settings(tmp_path, keep_originals=86400.0)) == 1


@pytest.mark.parametrize("how", ["touched", "link"])
def test_file_that_is_not_the_one_that_was_read_stays(tmp_path: Path, how: str) -> None:
    """Changed since, or a link to somewhere else."""
    desk = _desk(tmp_path)
    desk.record(_image(tmp_path, "a", 0, count=0))
    _back_up(desk)
    path = tmp_path / "drop" / "cam" / "a.JPG"
    if how == "touched":
        os.utime(path, ns=(1, 1))
    else:
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    assert _clean(desk, _settings(tmp_path, keep_originals=86400.0)) == 0
    assert path.exists()


def test_file_that_cannot_be_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drop folder that is mounted read-only."""
    desk = _desk(tmp_path)
    desk.record(_image(tmp_path, "a", 0, count=0))
    _back_up(desk)

    def refuse(self: Path, *, missing_ok: bool = False) -> None:
        del missing_ok
        raise PermissionError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StoreError, match="Read-only"):
        _clean(desk, _settings(tmp_path, keep_originals=86400.0))


def test_removing_is_done_in_slices(tmp_path: Path) -> None:
    """A step is small, however much there is to do."""
    desk = _desk(tmp_path)
    number = 2 * SLICE + 10
    desk.record(*[_image(tmp_path, f"i{n}", n, count=0) for n in range(number)])
    _back_up(desk)
    cleaner = Cleaner(_settings(tmp_path, keep_originals=86400.0), desk.database)
    steps = [cleaner.step(NOW) for _ in range(4)]
    assert [step.removed for step in steps] == [SLICE, SLICE, 10, 0]
    assert [step.more for step in steps] == [True, True, True, False]


def test_what_would_go_is_shown_and_stays(tmp_path: Path) -> None:
    """Numbers by rule, and why others stay; nothing is touched."""
    desk = _desk(tmp_path)
    desk.record(_image(tmp_path, "a", 0, count=0), _image(tmp_path, "b", 1))
    _back_up(desk)
    settings = _settings(tmp_path, keep_originals=86400.0, keep_snapshots=86400.0)
    found = {(d.kind, d.number) for d in due(settings, desk.database, NOW)}
    assert {("snapshots", 2), ("originals", 1)} <= found
    assert any("1 stay: not told" in d.rule for d in due(settings, desk.database, NOW))
    assert _originals(tmp_path) == ["a", "b"]


def test_only_two_damaged_databases_are_kept(tmp_path: Path) -> None:
    """They are as large as the database itself."""
    desk = _desk(tmp_path)
    for n in range(4):
        path = tmp_path / "state" / f"corrupt-2026010{n}T000000-abcdef.db"
        path.write_bytes(b"x" * 10)
        os.utime(path, ns=(n, n))
    assert _clean(desk, _settings(tmp_path)) == 2
    assert len(list((tmp_path / "state").glob("corrupt-*"))) == 2
