"""How other tools group images into events, as options of our rules.

Each comes from the tool's published rule; ``docs/interchange.md`` says what they are, and where ours can't
follow.

- camtrapR: ``filterRecordTable`` and ``assessTemporalIndependence``. Per station and species; a record is
  independent from *at least* ``minDeltaTime`` after the reference on.
- AddaxAI Connect: per place and species; a new event after *more* than the interval since the image before.
- camtraptools: per deployment, whatever was seen; a new event after more than the gap since the image before.
- Mbaza: per station and label; a new event after more than the duration since the *first* image of the event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from edge.registration.types import MINUTE_MS, ComparedTo, Method, Options, SplitOn

Name = Literal["camtrapr", "addax-connect", "camtraptools", "mbaza"]
DIALECTS: tuple[Name, ...] = get_args(Name)


@dataclass(frozen=True, slots=True)
class Dialect:
    """A way to group images.

    Attributes:
        method: whether labels are smoothed.
        split_on: what splits besides the gap.
        compared_to: what the gap is measured from.
        per_label: whether each label of a deployment is followed on its own.
        gap_splits: whether exactly the gap already opens a new registration; otherwise it still joins.
        gap: ms, where the caller names none.
    """

    method: Method = "windowed"
    split_on: frozenset[SplitOn] = frozenset({"label"})
    compared_to: ComparedTo = "last_image"
    per_label: bool = False
    gap_splits: bool = False
    gap: int = 30 * MINUTE_MS

    def gap_for(self, gap: int | None) -> int:
        """The rules' gap, ms, for one that the tool would be given.

        Event times are whole milliseconds, so "at least the gap" is "more than a millisecond less".
        """
        wanted = self.gap if gap is None else gap
        return max(wanted - 1, 0) if self.gap_splits else wanted

    def options(self, gap: int | None = None) -> Options:
        """The rules' options."""
        return Options(
            method=self.method, gap=self.gap_for(gap), split_on=self.split_on, compared_to=self.compared_to
        )


OURS = Dialect()
_PER_LABEL = Dialect(method="simple", per_label=True)
_BY_NAME: dict[Name, Dialect] = {
    "camtrapr": Dialect(method="simple", per_label=True, gap_splits=True, compared_to="registration_start"),
    "addax-connect": _PER_LABEL,
    "camtraptools": Dialect(method="simple", split_on=frozenset()),
    "mbaza": Dialect(method="simple", per_label=True, compared_to="registration_start"),
}


def dialect(name: Name) -> Dialect:
    """The way in which a tool groups images."""
    return _BY_NAME[name]
