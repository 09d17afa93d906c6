"""When the watermark closes a registration: to the millisecond."""

from __future__ import annotations

from edge.registration import Engine, MemoryRecord, Options, watermark
from tests.registration.build import DEPLOYMENT, MINUTE, at, living

HALF_HOUR = 30 * MINUTE


def closed_at(options: Options, w: int, *minutes_and_labels: tuple[float, str]) -> list[bool]:
    """For each registration of some images, whether a watermark closes it; checks both orders of events."""
    record, early = MemoryRecord(), MemoryRecord()
    images = [at(minute, label, media=f"{n}") for n, (minute, label) in enumerate(minutes_and_labels)]
    Engine(options, record).accept(images)
    Engine(options, record).advance(DEPLOYMENT, w)
    Engine(options, early).advance(DEPLOYMENT, w)
    Engine(options, early).accept(images)
    states = [r.state == "closed" for r in living(record)]
    assert states == [r.state == "closed" for r in living(early)]
    return states


def test_last_registration_closes_one_past_the_gap() -> None:
    """With nothing after it, a registration stays open while an image on time could be within the gap."""
    assert closed_at(Options(), HALF_HOUR, (0, "deer")) == [False]
    assert closed_at(Options(), HALF_HOUR + 1, (0, "deer")) == [True]


def test_waits_for_the_window_where_it_is_longer() -> None:
    """With W above the gap, a label can change until W has passed."""
    options = Options(window=HALF_HOUR, gap=MINUTE)
    assert closed_at(options, HALF_HOUR - 1, (0, "deer")) == [False]
    assert closed_at(options, HALF_HOUR, (0, "deer")) == [True]


def test_waits_for_the_following_label() -> None:
    """A following image within the gap whose label isn't settled may yet join: past the gap isn't enough."""
    images = (0, "deer"), (1, "deer"), (29, "fox"), (32, "fox"), (32.1, "fox"), (32.2, "fox")
    settled = 29 * MINUTE + HALF_HOUR
    assert closed_at(Options(), settled - 1, *images) == [False, False]
    assert closed_at(Options(), settled, *images) == [True, False]


def test_gap_to_the_following_is_enough() -> None:
    """A following image further than the gap parts them for good, once nothing can come in between."""
    images = (0, "deer"), (31, "deer")
    assert closed_at(Options(), HALF_HOUR, *images) == [False, False]
    assert closed_at(Options(), HALF_HOUR + 1, *images) == [True, False]


def test_exactly_the_gap_to_the_following_is_not_enough() -> None:
    """A following image exactly the gap away could still join, so it has to be settled."""
    images = (0, "deer"), (30, "fox")
    assert closed_at(Options(), HALF_HOUR + 1, *images) == [False, False]
    assert closed_at(Options(), 2 * HALF_HOUR - 1, *images) == [False, False]
    assert closed_at(Options(), 2 * HALF_HOUR, *images) == [True, False]


def test_own_labels_settle_at_once() -> None:
    """Under ``simple`` an image of another label closes what was before, once the watermark is past it."""
    options = Options(method="simple")
    assert closed_at(options, MINUTE, (0, "deer"), (1, "fox")) == [False, False]
    assert closed_at(options, MINUTE + 1, (0, "deer"), (1, "fox")) == [True, False]


def test_an_image_of_the_same_instant_is_still_on_time() -> None:
    """At the watermark exactly, an image may still come between two of that instant."""
    options = Options(method="simple")
    instant = (0, "deer"), (0, "fox"), (0, "deer")
    assert closed_at(options, 0, *instant) == [False, False, False]
    assert closed_at(options, 1, *instant) == [True, True, False]


def test_another_count_keeps_them_apart() -> None:
    """Where count splits, no image after the following one can give it this registration's count."""
    options = Options(split_on=frozenset({"label", "count"}))
    record = MemoryRecord()
    engine = Engine(options, record)
    engine.accept([at(0), at(20, count=2), at(20.5, count=2)])
    engine.advance(DEPLOYMENT, HALF_HOUR)
    assert [r.state for r in living(record)] == ["closed", "open"]


def test_registration_start_closes_from_the_start() -> None:
    """Under ``registration_start`` nothing can join once the gap from the start has passed."""
    options = Options(method="simple", compared_to="registration_start")
    assert closed_at(options, HALF_HOUR, (0, "deer"), (29, "deer")) == [False]
    assert closed_at(options, HALF_HOUR + 1, (0, "deer"), (29, "deer")) == [True]


def test_watermark_waits_for_the_oldest_pending() -> None:
    """The watermark is the newest event time less the lateness, but never above what still waits."""
    assert watermark(1_000, 300, None) == 700
    assert watermark(1_000, 300, 650) == 650
    assert watermark(1_000, 300, 750) == 700
