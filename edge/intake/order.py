"""The order in which images are processed."""

from __future__ import annotations

from collections.abc import Sequence

from edge.intake.numbering import Numbering
from edge.intake.types import Examined


def in_event_order(batch: Sequence[Examined], numbering: Numbering) -> list[Examined]:
    """A backlog judged by its numbering, then sorted by event time, sub-second and file name."""
    return sorted(numbering.judge(batch), key=lambda image: image.order)
