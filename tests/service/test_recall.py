"""Corrections that a database doesn't know of, after it took another one's place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.errors import StoreError
from edge.service import recall as module
from edge.service.clockshift import Shift, shift_clock
from edge.service.opening import opened
from edge.service.recall import Recall, is_recalling
from edge.service.relabel import relabel, relabel_together, unlabel
from edge.service.work import Outcome
from edge.store.backup import FOLDER, HURRIED, make_backup
from edge.store.corrections import Corrections, Span
from edge.store.database import DATABASE
from edge.store.journal import Journal
from edge.store.queries import registrations
from tests.service.corrected import SETTINGS, Corrigible
from tests.service.outcomes import MINUTE, examined, seen

HOUR = 60 * MINUTE


def _images(number: int = 8) -> list[Outcome]:
    return [seen(examined(f"i{n}", n * 20.0), label="Red_Fox") for n in range(number)]


def _desk(state: Path, saved: int = 4, number: int = 8) -> Corrigible:
    """Some images in a backup, some after it."""
    desk, images = Corrigible.at(state), _images(number)
    desk.record(*images[:saved], close=True)
    make_backup(desk.database.path, state / FOLDER, pace=HURRIED)
    desk.record(*images[saved:], close=True)
    return desk


def _replaced(desk: Corrigible) -> Corrigible:
    """The database is damaged, and the backup takes its place."""
    state = desk.database.path.parent
    desk.database.close()
    (state / DATABASE).write_bytes(b"\xa5" * 8192)
    return Corrigible.of(opened(state).database)


def _recall(desk: Corrigible) -> int:
    recall, images = Recall(SETTINGS, desk.database), 0
    while True:
        step = recall.step()
        images += step.images
        if not step.more:
            return images


def _read_again(desk: Corrigible, number: int = 8) -> None:
    for outcome in _images(number):
        desk.record(outcome, close=True)


def _id(number: int) -> str:
    media = _images()[number].media
    assert media is not None
    return media.media_id


def _said(desk: Corrigible) -> list[tuple[Any, ...]]:
    """Everything that a correction can touch."""
    rows = [
        (r.label, r.count, r.first, r.last, r.media_count, dict(r.votes))
        for r in registrations(desk.database)
    ]
    images = desk.database.execute(
        "SELECT m.media_id, m.taken, m.offset_minutes, m.clock_ok, o.kind, o.t, o.label, o.count, "
        "o.confidence, r.label, r.count, r.machine_label, r.machine_count, r.machine_confidence "
        "FROM media m LEFT JOIN observations o USING (media_id) LEFT JOIN reviews r USING (media_id) "
        "ORDER BY m.media_id, o.kind"
    )
    return [*rows, *images]


def _correct(desk: Corrigible) -> None:
    """Every kind of correction, of images in the backup and of later ones, some twice."""
    relabel(desk.database, _id(0), "Badger", 3)
    relabel(desk.database, _id(5), "Badger", None)
    relabel(desk.database, _id(1), None, 0)
    relabel(desk.database, _id(6), "Badger", 1)
    unlabel(desk.database, _id(6))
    relabel_together(desk.database, [_id(2), _id(3)], "Badger", None)
    shift_clock(desk.database, Shift(Span("cam", until=desk.observations()[5].t), 30 * HOUR), SETTINGS)
    shift_clock(desk.database, Shift(Span("cam", since=desk.observations()[6].t), -HOUR), SETTINGS)


@pytest.mark.fault(19, "corrections after the backup are made again")
def test_corrections_after_the_backup_are_made_again(tmp_path: Path) -> None:
    """Of images in it and of those that were read again, by whoever made them; subscribers hear of it."""
    desk = _desk(tmp_path)
    _correct(desk)
    truth = _said(desk)
    who = {c.made_by for c in Corrections(desk.database).made()}
    desk = _replaced(desk)
    assert is_recalling(desk.database)
    _read_again(desk)
    assert _said(desk) != truth
    assert _recall(desk) > 0
    assert _said(desk) == truth
    assert not is_recalling(desk.database)
    assert {c.made_by for c in Corrections(desk.database).made()} == who
    desk.check()
    assert _recall(desk) == 0
    desk.database.close()


def test_corrections_in_the_backup_are_not_made_twice(tmp_path: Path) -> None:
    """A clock isn't shifted again."""
    desk = _desk(tmp_path)
    _correct(desk)
    make_backup(desk.database.path, tmp_path / FOLDER, pace=HURRIED)
    truth, made = _said(desk), len(Corrections(desk.database).made())
    desk = _replaced(desk)
    assert _recall(desk) == 0
    assert (_said(desk), len(Corrections(desk.database).made())) == (truth, made)
    desk.database.close()


def test_images_that_are_missing_are_waited_for(tmp_path: Path) -> None:
    """A card that is put in again later: its corrections are made then."""
    desk = _desk(tmp_path)
    _correct(desk)
    truth = _said(desk)
    desk = _replaced(desk)
    _recall(desk)
    assert is_recalling(desk.database)
    _read_again(desk)
    _recall(desk)
    assert _said(desk) == truth
    assert not is_recalling(desk.database)
    desk.database.close()


def test_camera_whose_clock_is_now_read_right_is_not_shifted_twice(tmp_path: Path) -> None:
    """Its error was put into the settings meanwhile: images that are read again have the right times."""
    desk = _desk(tmp_path, saved=0)
    shift_clock(desk.database, Shift(Span("cam"), HOUR), SETTINGS)
    right = [o.t for o in desk.observations()]
    desk = _replaced(desk)
    for number in range(8):
        desk.record(seen(examined(f"i{number}", number * 20.0 + 60.0), label="Red_Fox"), close=True)
    assert _recall(desk) == 0
    assert [o.t for o in desk.observations()] == right
    desk.database.close()


def test_word_that_is_given_meanwhile_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By another process, between two steps: the newest is the last."""
    monkeypatch.setattr(module, "SLICE", 1)
    desk = _desk(tmp_path)
    for number in range(4):
        relabel(desk.database, _id(number), "Badger", 1)
    desk = _replaced(desk)
    recall = Recall(SETTINGS, desk.database)
    assert recall.step() == (1, True)
    relabel(desk.database, _id(3), "Red_Fox", 7)
    while recall.step().more:
        pass
    assert [(o.label, o.count) for o in desk.observations()][:4] == [("Badger", 1)] * 3 + [("Red_Fox", 7)]
    desk.database.close()


def test_step_that_fails_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy database, say: nothing of it is forgotten."""
    desk = _desk(tmp_path)
    relabel(desk.database, _id(0), "Badger", 3)
    truth = _said(desk)
    desk = _replaced(desk)
    _read_again(desk)
    recall = Recall(SETTINGS, desk.database)
    with monkeypatch.context() as patch, pytest.raises(StoreError):
        patch.setattr(module, "again", _failing)
        recall.step()
    assert recall.step().images == 1
    assert _said(desk) == truth
    desk.database.close()


def _failing(*_: object) -> None:
    raise StoreError("database refused")


def test_correction_that_cannot_be_kept_is_not_made(tmp_path: Path) -> None:
    """Whoever made it is told, and nothing was changed."""
    desk = _desk(tmp_path)
    truth = _said(desk)
    (tmp_path / "corrections.jsonl").mkdir()
    with pytest.raises(StoreError, match="correction can't be kept"):
        relabel(desk.database, _id(0), "Badger", 3)
    with pytest.raises(StoreError, match="correction can't be kept"):
        shift_clock(desk.database, Shift(Span("cam"), HOUR), SETTINGS)
    assert _said(desk) == truth
    desk.database.close()


def test_word_that_changes_nothing_is_not_kept(tmp_path: Path) -> None:
    """Said twice is said once."""
    desk = _desk(tmp_path)
    relabel(desk.database, _id(0), "Badger", 3)
    relabel(desk.database, _id(0), "Badger", 3)
    assert len(Journal(tmp_path).entries()) == 1
    desk.database.close()
