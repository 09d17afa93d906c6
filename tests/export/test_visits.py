from __future__ import annotations

from edge.registration import Observation
from export.visits import MINUTE_MS, Visits, compare


def _seen(*visits: tuple[int, str, int]) -> list[Observation]:
    """Observations at minutes, with label and count."""
    return [
        Observation("d", f"m{minute:05}", minute * MINUTE_MS, label, count, 900_000)
        for minute, label, count in visits
    ]


def test_the_same_observations_make_the_same_visits() -> None:
    """Nothing is lost, added or different."""
    seen = _seen((0, "fox", 1), (100, "bear", 2))
    assert compare(seen, seen) == Visits(2, 0, 0, 0, 0)


def test_differences_are_told_apart() -> None:
    """A lost visit, a new one, another label and another count each have their own number."""
    want = _seen((0, "fox", 1), (100, "bear", 1), (200, "wolf", 1))
    have = _seen((0, "fox", 2), (100, "boar", 1), (300, "wolf", 1))
    assert compare(want, have) == Visits(3, 1, 1, 1, 1)


def test_images_without_animals_take_no_part() -> None:
    """A count of zero is no observation."""
    assert compare(_seen((0, "fox", 1), (100, "fox", 0)), _seen((0, "fox", 1))) == Visits(1, 0, 0, 0, 0)
