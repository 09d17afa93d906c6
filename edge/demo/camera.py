"""The story as files: JPEGs with the tags that trail cameras write, in the order and manner they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from edge.demo.scenes import compose
from edge.demo.story import COPIED, COPY_FILE, STORY, Moment
from edge.testing import Manner, Shot, encode_jpeg, torn

MAKE = "EDGE DEMO"
_BURST_DELAY = 0.15


def shots(evening: date, *, pace: float = 1.0) -> Iterator[Shot]:
    """Every file of the story, the re-imported copy last; images are drawn as they are asked for.

    Args:
        evening: the day that the story takes place.
        pace: seconds between two files that aren't of one burst.
    """
    before: Moment | None = None
    for moment in STORY:
        delay = _BURST_DELAY if before and _same_burst(before, moment) else pace
        yield Shot(moment.file, picture(moment, evening), delay, _manner(moment))
        before = moment
    yield Shot(COPY_FILE, picture(COPIED, evening), pace)


def picture(moment: Moment, evening: date) -> bytes:
    """The file that a camera writes at this moment, or the part of it that arrives."""
    taken = moment.taken(evening)
    data = encode_jpeg(
        compose(moment.scene),
        taken=taken,
        subsec=f"{taken.microsecond // 1000:03}",
        make=MAKE,
        model=moment.deployment,
    )
    return torn(data) if moment.arrival == "torn" else data


def _manner(moment: Moment) -> Manner:
    return "grow" if moment.arrival == "growing" else "rename"


def _same_burst(before: Moment, after: Moment) -> bool:
    return before.deployment == after.deployment and before.clock[:5] == after.clock[:5]
