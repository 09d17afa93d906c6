"""Whether a camera's clock jumped back, seen from its running numbers.

Within one sequence of numbers, time only goes forward. The rules, with ``start`` the first image of a run,
``last`` its highest number so far, and numbers counted round from ``start``:

- An image after ``last``, by half the counter at most: the run goes on. It jumped back if its time is before
  that of ``last``. The run's time never goes back, so that every image is flagged until the clock is right.
- An image before ``last`` that isn't before it in time: the numbering began again, and with it a new run.
- An image before ``last`` in time too: it arrived late. It jumped back if it is after ``start`` and yet
  before it in time.

"Before in time" means by more than two hours: no change between summer and winter time is larger.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from edge.intake.types import Examined

TOLERANCE_MS = 2 * 3_600_000
MEMORY = 4096

JUMPED_BACK = "the time is before that of an image with a lower number"


class Mark(NamedTuple):
    """An image's place: its number, and its event time in ms UTC."""

    number: int
    ms: int


class Run(NamedTuple):
    """What is remembered of a sequence.

    Attributes:
        start: the first image of the run.
        last: its highest number, and its latest time.
    """

    start: Mark
    last: Mark


def follow(run: Run | None, mark: Mark, modulus: int) -> tuple[Run, bool]:
    """The run after one more image, and whether that image's time jumped back."""
    if run is None:
        return Run(mark, mark), False
    position = (mark.number - run.start.number) % modulus
    reached = (run.last.number - run.start.number) % modulus
    if 0 <= position - reached <= modulus // 2:
        last = Mark(mark.number, max(mark.ms, run.last.ms))
        return Run(run.start, last), _is_before(mark, run.last)
    if not _is_before(mark, run.last):
        return Run(mark, mark), False
    return run, position < reached and _is_before(mark, run.start)


def _is_before(one: Mark, other: Mark) -> bool:
    return one.ms < other.ms - TOLERANCE_MS


class Numbering:
    """The numberings of all cameras; its memory is rebuilt by judging what is known, in any batches.

    Only times by the camera's own clock take part, and only those not in doubt already: mtime isn't by that
    clock, and a time from 2000-01-01 would be no measure for others. The sequences used least recently are
    forgotten beyond 4096.
    """

    def __init__(self) -> None:
        self._runs: OrderedDict[tuple[str, str], Run] = OrderedDict()

    def judge(self, batch: Sequence[Examined]) -> list[Examined]:
        """The batch in its order, with ``clock_ok`` False and a note where the clock jumped back.

        The batch is gone through by number, so that in a backlog the images after a jump are flagged and
        not those before it.
        """
        judged = list(batch)
        for index in sorted(range(len(batch)), key=lambda i: _number(batch[i])):
            judged[index] = self._follow(batch[index])
        return judged

    def _follow(self, image: Examined) -> Examined:
        if image.number is None or not image.clock_ok or image.time_source == "mtime":
            return image
        key = (image.deployment, image.number.sequence)
        mark = Mark(image.number.number, image.taken_ms)
        self._runs[key], jumped = follow(self._runs.get(key), mark, image.number.modulus)
        self._runs.move_to_end(key)
        if len(self._runs) > MEMORY:
            self._runs.popitem(last=False)
        return replace(image, clock_ok=False, notes=(*image.notes, JUMPED_BACK)) if jumped else image


def _number(image: Examined) -> int:
    return image.number.number if image.number else -1
