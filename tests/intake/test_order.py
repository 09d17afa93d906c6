"""The order of a backlog."""

from __future__ import annotations

from edge.intake import FileNumber, Numbering, in_event_order
from tests.intake.build import NOON_MS, examined


def test_time_then_fraction_then_name() -> None:
    """Burst frames of one second keep their order."""
    expected = [
        examined("z.jpg", NOON_MS - 1),
        examined("b.jpg", NOON_MS, nanos=1),
        examined("a.jpg", NOON_MS, nanos=2),
        examined("c.jpg", NOON_MS, nanos=2),
        examined("a.jpg", NOON_MS + 1),
    ]
    assert in_event_order(expected[::-1], Numbering()) == expected


def test_a_backlog_is_judged_before_it_is_sorted() -> None:
    """The image whose clock was reset comes first, and is the flagged one."""
    right = examined("IMG_0001.JPG", NOON_MS, number=FileNumber("IMG_", 1, 10_000))
    reset = examined("IMG_0002.JPG", NOON_MS - 10**11, number=FileNumber("IMG_", 2, 10_000))
    ordered = in_event_order([right, reset], Numbering())
    assert [image.candidate.name for image in ordered] == ["IMG_0002.JPG", "IMG_0001.JPG"]
    assert [image.clock_ok for image in ordered] == [False, True]
