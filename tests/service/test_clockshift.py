"""Clocks put right after the fact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import StoreError
from edge.service import clockshift
from edge.service.clockshift import Shift, describe, plan, shift_clock
from edge.service.known import Known
from edge.service.relabel import relabel
from edge.service.work import Outcome
from edge.settings import IntakeSettings, Settings
from edge.store.corrections import Corrections, Span, clocks
from edge.store.media import MediaStore
from edge.store.queries import files, registrations
from edge.store.record import SqliteRecord
from tests.service.corrected import SETTINGS, Corrigible
from tests.service.outcomes import MINUTE, START, examined, seen

HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 365 * DAY


@pytest.fixture
def desk(tmp_path: Path) -> Corrigible:
    """An empty one."""
    return Corrigible.at(tmp_path)


def _shift(desk: Corrigible, by: int, *, since: int | None = None, until: int | None = None) -> int:
    span = Span("cam", since, until)
    return shift_clock(desk.database, Shift(span, by), SETTINGS).images


def _starts(desk: Corrigible, deployment: str = "cam") -> list[float]:
    return [(r.start - START) / MINUTE for r in registrations(desk.database) if r.deployment == deployment]


def test_whole_deployment_moves_and_keeps_its_ids(desk: Corrigible) -> None:
    """A registration that only moves is corrected, not retracted; also one that a late image began."""
    desk.record(_at(1, seen(examined("b", 10))), _at(2, seen(examined("c", 70))), close=True)
    desk.record(_at(3, seen(examined("a", 5))), close=True)
    ids = [r.id for r in registrations(desk.database)]
    result = shift_clock(desk.database, Shift(Span("cam"), YEAR), SETTINGS)
    assert (result.images, result.messages) == (3, {"corrected": 2})
    assert _starts(desk) == [5 + YEAR / MINUTE, 70 + YEAR / MINUTE]
    assert [r.id for r in registrations(desk.database)] == ids
    assert {r.state for r in registrations(desk.database)} == {"closed"}
    desk.check()


def test_other_cameras_stay(desk: Corrigible) -> None:
    """A clock is one camera's."""
    desk.record(seen(examined("a", 0)), seen(examined("b", 0, deployment="other")), close=True)
    head = len(desk.messages())
    assert _shift(desk, HOUR) == 1
    assert _starts(desk, "other") == [0.0]
    assert {message.deployment for message in desk.messages()[head:]} == {"cam"}


def test_part_of_a_deployment_can_join_and_leave(desk: Corrigible) -> None:
    """Images that come back to where they belong leave one registration and join another."""
    desk.record(seen(examined("a", 0)), seen(examined("wrong", 5)), seen(examined("b", 300)), close=True)
    _shift(desk, 290 * MINUTE, since=START + 5 * MINUTE, until=START + 6 * MINUTE)
    assert [(s, r.media_count) for s, r in zip(_starts(desk), registrations(desk.database), strict=True)] == [
        (0, 1),
        (295, 2),
    ]
    desk.check()


def test_everything_seen_moves(desk: Corrigible) -> None:
    """People, vehicles and blanks have the image's time too."""
    desk.record(seen(examined("a", 0), count=0), close=True)
    _shift(desk, HOUR)
    assert desk.database.execute("SELECT kind, t FROM observations") == [("blank", START + HOUR)]
    assert [f.taken for f in files(desk.database)] == [START + HOUR]


def test_clock_is_right_again(desk: Corrigible) -> None:
    """What was flagged is plausible at the new time, and its registration says so."""
    desk.record(seen(examined("a", -20 * YEAR / MINUTE, clock_ok=False)), close=True)
    assert desk.messages()[-1].clock_ok is False
    found = plan(desk.database, Shift(Span("cam"), 20 * YEAR), SETTINGS)
    assert (found.doubtful_before, found.doubtful_after, found.registrations) == (1, 0, 1)
    _shift(desk, 20 * YEAR)
    assert desk.messages()[-1].clock_ok is True
    assert _starts(desk) == [0.0]
    desk.check()


def test_clock_is_wrong_where_it_is_moved_to_the_future(desk: Corrigible) -> None:
    """A correction can be wrong as well; it is told in the plan and flagged."""
    desk.record(seen(examined("a", 0)), close=True)
    assert plan(desk.database, Shift(Span("cam"), 50 * YEAR), SETTINGS).doubtful_after == 1
    _shift(desk, 50 * YEAR)
    assert desk.messages()[-1].clock_ok is False
    assert MediaStore(desk.database).newest("cam") is None
    desk.check()


def test_images_that_stay_are_believed_again(desk: Corrigible) -> None:
    """Where a clock was ahead at first, the images after it was set right were flagged for jumping back."""
    desk.record(
        seen(examined("IMG_0001", DAY / MINUTE)),
        seen(examined("IMG_0002", DAY / MINUTE + 1)),
        seen(examined("IMG_0003", 10, clock_ok=False)),
        close=True,
    )
    result = shift_clock(desk.database, Shift(Span("cam", START + HOUR), -DAY), SETTINGS)
    assert result.images == 2
    assert [f.clock_ok for f in files(desk.database)] == [True, True, True]
    assert [r.media_count for r in registrations(desk.database)] == [3]
    desk.check()


def test_image_that_only_lost_its_doubt_is_told_of(desk: Corrigible) -> None:
    """Its registration doesn't move, but says that the clock is right."""
    desk.record(
        seen(examined("IMG_0001", DAY / MINUTE)),
        seen(examined("IMG_0002", 10, clock_ok=False)),
        close=True,
    )
    result = shift_clock(desk.database, Shift(Span("cam", START + HOUR), HOUR - DAY), SETTINGS)
    assert result.messages == {"corrected": 2}
    assert [message.clock_ok for message in desk.messages()[-2:]] == [True, True]
    desk.check()


def test_image_that_still_stands_wrong_stays_in_doubt(desk: Corrigible) -> None:
    """A shift that doesn't bring an image after the one with the number before it doesn't clear it."""
    desk.record(
        seen(examined("IMG_0001", DAY / MINUTE)),
        seen(examined("IMG_0002", 10, clock_ok=False)),
        close=True,
    )
    _shift(desk, HOUR)
    assert [f.clock_ok for f in files(desk.database)] == [True, False]


def test_same_shift_is_not_applied_twice(desk: Corrigible) -> None:
    """Only what came since is moved; ``again`` moves all once more; back and forth is possible."""
    desk.record(seen(examined("a", 0)), close=True)
    assert _shift(desk, HOUR) == 1
    assert _shift(desk, HOUR) == 0
    assert len(Corrections(desk.database).made()) == 1
    desk.record(seen(examined("late", 200)), close=True)
    found = plan(desk.database, Shift(Span("cam"), HOUR), SETTINGS)
    assert (len(found.moved), found.done) == (1, 1)
    assert _shift(desk, HOUR) == 1
    assert _starts(desk) == [60, 260]
    assert shift_clock(desk.database, Shift(Span("cam"), HOUR, again=True), SETTINGS).images == 2
    assert _shift(desk, -2 * HOUR) == 2
    assert _shift(desk, HOUR) == 2
    assert _starts(desk) == [60, 260]
    desk.check()


def test_times_of_files_are_not_the_cameras(desk: Corrigible) -> None:
    """An image that is dated by its file's mtime stays, unless it is asked for."""
    outcome = seen(examined("a", 0))
    assert outcome.media is not None
    desk.record(replace(outcome, media=replace(outcome.media, time_source="mtime")), close=True)
    found = plan(desk.database, Shift(Span("cam"), HOUR), SETTINGS)
    assert (len(found.moved), found.by_mtime) == (0, 1)
    assert _shift(desk, HOUR) == 0
    assert shift_clock(desk.database, Shift(Span("cam"), HOUR, mtime=True), SETTINGS).images == 1


def test_local_time_follows_the_zone(desk: Corrigible) -> None:
    """Moved from winter to summer, an image is shown in summer time; a stated offset stays."""
    zone = Settings(device="d", intake=IntakeSettings(timezone="Europe/Berlin"))
    desk.record(seen(examined("winter", 0)), close=True)
    shift_clock(desk.database, Shift(Span("cam"), 180 * DAY), zone)
    assert desk.messages()[-1].start == "2026-06-30T02:00:00.000+02:00"
    tokyo = Settings(device="d", intake=IntakeSettings(timezone="Asia/Tokyo"))
    shift_clock(desk.database, Shift(Span("cam"), -180 * DAY), tokyo)
    assert desk.messages()[-1].start.endswith("+02:00")


def test_watermark_that_a_wrong_clock_raised_goes_back(desk: Corrigible) -> None:
    """Images on time aren't late after a clock that was ahead is put right."""
    desk.record(seen(examined("a", 600)))
    assert SqliteRecord(desk.database).watermark("cam") == START + 600 * MINUTE
    _shift(desk, -600 * MINUTE)
    assert SqliteRecord(desk.database).watermark("cam") == START
    desk.record(seen(examined("b", 20)))
    assert desk.changes()[-1] == ("updated", "Red_Fox")
    desk.check()


def test_many_images_take_several_transactions(desk: Corrigible, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is complete in itself: after an interruption the same shift does the rest."""
    monkeypatch.setattr(clockshift, "CHUNK", 8)
    monkeypatch.setattr(clockshift, "_NEAR", 3)
    monkeypatch.setattr(clockshift, "PAUSE", 0.01)
    desk.record(*_visits(40), close=True)
    ids = {r.id for r in registrations(desk.database)}

    def stop(images: int) -> None:
        desk.check()
        if images > 20:
            raise StoreError("power cut")

    with pytest.raises(StoreError, match="power cut"):
        shift_clock(desk.database, Shift(Span("cam"), HOUR), SETTINGS, told=stop)
    moved = next(summary.shifted for summary in clocks(desk.database))
    assert 20 < moved < 40
    rest = shift_clock(desk.database, Shift(Span("cam"), HOUR), SETTINGS)
    assert moved + rest.images == 40
    assert {r.id for r in registrations(desk.database)} == ids
    assert sum(made.images for made in Corrections(desk.database).made()) == 40
    assert [o.t for o in desk.observations()] == [START + HOUR + _minute(n) * MINUTE for n in range(40)]
    desk.check()


def test_relabelled_image_keeps_its_label(desk: Corrigible) -> None:
    """Time and label are corrected independently."""
    desk.record(seen(examined("a", 0)), close=True)
    relabel(desk.database, "sha256:cam-a", "Badger", 2)
    _shift(desk, HOUR)
    assert [(r.label, r.count) for r in registrations(desk.database)] == [("Badger", 2)]
    desk.check()


def test_clocks_at_a_glance(desk: Corrigible) -> None:
    """Images, from when to when, in doubt, moved."""
    desk.record(seen(examined("a", 0)), seen(examined("b", 5, clock_ok=False)), close=True)
    _shift(desk, HOUR, until=START + MINUTE)
    (summary,) = clocks(desk.database)
    assert (summary.images, summary.doubtful, summary.shifted, summary.by_mtime) == (2, 1, 1, 0)
    assert (summary.first, summary.last) == (START + 5 * MINUTE, START + HOUR)


@pytest.mark.parametrize(
    ("by", "words"),
    [(YEAR, "+365 days, 0:00:00"), (-90 * MINUTE, "-1:30:00"), (500, "+0:00:00.500000")],
)
def test_shift_in_words(by: int, words: str) -> None:
    """The sign is the first character, whatever follows."""
    assert describe(by) == words


def _at(received: int, outcome: Outcome) -> Outcome:
    assert outcome.media is not None
    return replace(outcome, media=replace(outcome.media, received=received))


def _minute(number: int) -> int:
    return number // 4 * 61 + number % 4


def _visits(number: int) -> list[Outcome]:
    return [seen(examined(f"{n:04}", _minute(n))) for n in range(number)]


def test_running_daemon_judges_clocks_by_what_was_corrected(desk: Corrigible) -> None:
    """What is known of a camera's images is asked for again once a clock was put right, and only then."""
    known = Known(desk.database, SETTINGS.intake)
    assert known() == []
    desk.record(seen(examined("IMG_0001", 600)))
    assert known() is None
    _shift(desk, -HOUR)
    assert [image.taken_ms for image in known() or ()] == [START + 9 * HOUR]
    relabel(desk.database, "sha256:cam-IMG_0001", "Badger", 1)
    assert known() is None
