"""Jumps of a camera's clock, seen in its file numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from edge.intake import Examined, FileNumber, Numbering
from edge.intake.numbering import JUMPED_BACK, MEMORY, TOLERANCE_MS
from edge.intake.types import TimeSource
from tests.intake.build import HOUR_MS, NOON_MS, examined

DAY_MS = 24 * HOUR_MS


def _image(
    number: int, ms: int, *, sequence: str = "cam/IMG_", source: TimeSource = "exif", clock_ok: bool = True
) -> Examined:
    name = f"{sequence}{number:04}.JPG"
    return examined(name, ms, number=FileNumber(sequence, number, 10_000), source=source, clock_ok=clock_ok)


def _flags(numbering: Numbering, *images: Examined) -> list[bool]:
    return [image.clock_ok for image in numbering.judge(images)]


def test_numbers_and_times_that_both_go_forward_are_right() -> None:
    """One by one, and all at once."""
    images = [_image(n, NOON_MS + n * HOUR_MS) for n in range(1, 20)]
    one_by_one = Numbering()
    assert all(_flags(one_by_one, image) == [True] for image in images)
    assert all(_flags(Numbering(), *images))


def test_flags_an_image_older_than_one_with_a_lower_number() -> None:
    """And says why."""
    judged = Numbering().judge([_image(9, NOON_MS), _image(10, NOON_MS - 3 * HOUR_MS)])
    assert [image.clock_ok for image in judged] == [True, False]
    assert judged[1].notes == (JUMPED_BACK,)


def test_flags_at_one_past_the_tolerance_and_not_at_it() -> None:
    """Two hours to the millisecond: more than any change to winter time."""
    assert _flags(Numbering(), _image(9, NOON_MS), _image(10, NOON_MS - TOLERANCE_MS)) == [True, True]
    assert _flags(Numbering(), _image(9, NOON_MS), _image(10, NOON_MS - TOLERANCE_MS - 1)) == [True, False]


def test_flags_all_images_until_the_clock_is_right_again() -> None:
    """The batteries went at number 100, and somebody came at 150."""
    before = [_image(n, NOON_MS + n * HOUR_MS) for n in range(1, 100)]
    reset = [_image(n, NOON_MS - 3000 * DAY_MS + n * HOUR_MS) for n in range(100, 150)]
    after = [_image(n, NOON_MS + n * HOUR_MS) for n in range(150, 200)]
    flags = _flags(Numbering(), *before, *reset, *after)
    assert flags == [True] * 99 + [False] * 50 + [True] * 50


def test_a_backlog_in_any_order_is_judged_by_number() -> None:
    """The flags stay with their images; sorted by time, the reset ones would come first and look right."""
    images = [_image(1, NOON_MS), _image(2, NOON_MS + 1), _image(3, NOON_MS - 999 * DAY_MS)]
    by_time = sorted(images, key=lambda image: image.taken_ms)
    assert _flags(Numbering(), *by_time) == [False, True, True]


@pytest.mark.parametrize("following", [1, 2, 0])
def test_the_counter_rolls_over(following: int) -> None:
    """IMG_9999 is followed by IMG_0001, or by IMG_0000."""
    numbering = Numbering()
    assert _flags(numbering, _image(9999, NOON_MS)) == [True]
    assert _flags(numbering, _image(following, NOON_MS + HOUR_MS)) == [True]
    assert _flags(numbering, _image(following + 1, NOON_MS + 2 * HOUR_MS)) == [True]


def test_a_clock_that_is_reset_while_the_counter_rolls_over_is_flagged() -> None:
    """After 9999 comes 1, however old it is."""
    numbering = Numbering()
    assert _flags(numbering, *[_image(n, NOON_MS + n) for n in range(9000, 10_000)]) == [True] * 1000
    assert _flags(numbering, _image(1, NOON_MS - 999 * DAY_MS)) == [False]


def test_a_backlog_with_a_roll_over_inside_is_right() -> None:
    """By number the later ones come first; the earlier are from before the roll-over."""
    late = [_image(n, NOON_MS + n * HOUR_MS) for n in range(1, 50)]
    early = [_image(n, NOON_MS - (10_000 - n) * HOUR_MS) for n in range(9950, 10_000)]
    assert all(_flags(Numbering(), *early, *late))


def test_a_numbering_that_begins_again_is_right() -> None:
    """A formatted card: low numbers, later times."""
    numbering = Numbering()
    assert _flags(numbering, *[_image(n, NOON_MS + n) for n in range(1, 500)]) == [True] * 499
    assert _flags(numbering, _image(1, NOON_MS + DAY_MS), _image(2, NOON_MS + DAY_MS)) == [True, True]
    assert _flags(numbering, _image(3, NOON_MS)) == [False]


def test_an_image_that_arrives_late_is_right() -> None:
    """Lower number, earlier time; and it doesn't set the measure back."""
    numbering = Numbering()
    assert _flags(numbering, _image(1, NOON_MS), _image(10, NOON_MS + 9 * DAY_MS)) == [True, True]
    assert _flags(numbering, _image(5, NOON_MS + 4 * DAY_MS)) == [True]
    assert _flags(numbering, _image(11, NOON_MS + 4 * DAY_MS)) == [False]


def test_a_late_image_from_before_the_run_began_is_flagged() -> None:
    """Number 5 can't be older than number 1."""
    numbering = Numbering()
    assert _flags(numbering, _image(1, NOON_MS), _image(10, NOON_MS + 9 * DAY_MS)) == [True, True]
    assert _flags(numbering, _image(5, NOON_MS - DAY_MS)) == [False]


def test_a_card_imported_again_is_right() -> None:
    """The same images judged a second time."""
    images = [_image(n, NOON_MS + n * HOUR_MS) for n in range(1, 9000, 7)]
    numbering = Numbering()
    assert all(_flags(numbering, *images))
    assert all(_flags(numbering, *images))


def test_sequences_do_not_mix() -> None:
    """Another folder or another stem is another numbering."""
    numbering = Numbering()
    assert _flags(numbering, _image(9, NOON_MS)) == [True]
    for other in ("cam/100EK113/IMG_", "cam/RCNX"):
        assert _flags(numbering, _image(10, NOON_MS - DAY_MS, sequence=other)) == [True]


def test_times_that_are_not_the_camera_s_or_in_doubt_already_are_no_measure() -> None:
    """Neither mtime nor a time from the future says anything of the next image."""
    numbering = Numbering()
    assert _flags(numbering, _image(8, NOON_MS + DAY_MS, source="mtime")) == [True]
    assert _flags(numbering, _image(9, NOON_MS + 9999 * DAY_MS, clock_ok=False)) == [False]
    assert _flags(numbering, _image(10, NOON_MS)) == [True]


def test_an_image_without_a_number_is_left_as_it_is() -> None:
    """Whatever its time."""
    image = examined("cam/a.jpg", 0)
    assert Numbering().judge([image]) == [image]


def test_memory_is_bounded() -> None:
    """Names that are all different don't fill it."""
    numbering = Numbering()
    numbering.judge([_image(1, NOON_MS, sequence=f"cam/{n}-") for n in range(MEMORY + 100)])
    assert len(numbering._runs) == MEMORY


@given(st.permutations(range(1, 40)), st.integers(1, 40))
def test_a_right_clock_is_never_flagged_in_whatever_batches_images_arrive(
    order: list[int], size: int
) -> None:
    """Any order, any batches: no number above another is older."""
    numbering = Numbering()
    images = [_image(n, NOON_MS + n * DAY_MS) for n in order]
    for start in range(0, len(images), size):
        assert all(_flags(numbering, *images[start : start + size]))


@given(
    st.lists(st.tuples(st.integers(0, 9999), st.integers(-(10**12), 10**12)), max_size=40), st.integers(1, 9)
)
def test_judging_keeps_images_and_their_order(pairs: list[tuple[int, int]], size: int) -> None:
    """Only the flag and the notes change."""
    numbering = Numbering()
    images = [_image(n, NOON_MS + ms) for n, ms in pairs]
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        judged = numbering.judge(batch)
        assert [j.candidate for j in judged] == [i.candidate for i in batch]
        assert [j.taken_ms for j in judged] == [i.taken_ms for i in batch]
