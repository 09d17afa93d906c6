"""From a change of the registration core to the message that tells of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edge.delivery.messages import MEDIA_LIMIT, BundleRef, MediaEntry, RegistrationMessage, timestamp
from edge.registration.types import Change

_PARTS_PER_MILLION = 1_000_000
_BOX_DIGITS = 4


@dataclass(frozen=True, slots=True)
class MediaLine:
    """One image of a registration, as the store knows it.

    Attributes:
        media_id: identity of the image.
        file: path below the drop folder, ``/`` between parts.
        t: event time, ms UTC.
        label: the image's own label, None where the models weren't sure.
        count: animals in the image.
        boxes: of its animals: x, y, width, height, each 0 to 1, from the top left.
    """

    media_id: str
    file: str
    t: int
    label: str | None
    count: int
    boxes: Sequence[tuple[float, float, float, float]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Who speaks, and how the times of the images were found.

    Attributes:
        device: name of the machine.
        epoch: id of its database.
        bundle: the models that looked at the images.
        scientific_names: by label; a label that isn't in it has none.
        offset_minutes: of the deployment's time zone at the event, for display.
        time_source: where the event times come from.
        clock_ok: False when the camera's or the machine's clock can't be right.
    """

    device: str
    epoch: str
    bundle: BundleRef
    scientific_names: Mapping[str, str]
    offset_minutes: int = 0
    time_source: Literal["exif", "filename", "mtime"] = "exif"
    clock_ok: bool = True


def choose_media(lines: Iterable[MediaLine], limit: int = MEDIA_LIMIT) -> list[MediaLine]:
    """The first, the last and those of largest count, in time order; of equal counts the earlier ones.

    Args:
        lines: of one registration, in any order, each image once. All of them, or at least the first, the
            last and the ``limit`` of largest count (earliest first among equals): the result is the same.
        limit: at most so many; 2 or more.
    """
    ordered = sorted(lines, key=_order)
    if len(ordered) <= limit:
        return ordered
    inner = sorted(ordered[1:-1], key=lambda line: (-line.count, *_order(line)))
    return sorted([ordered[0], ordered[-1], *inner[: limit - 2]], key=_order)


def registration_message(
    change: Change, media: Iterable[MediaLine], origin: Origin, *, seq: int, observed: int
) -> RegistrationMessage:
    """The message that tells of a change.

    Args:
        change: from the registration core, with the registration whole.
        media: its images, or those that :func:`choose_media` asks for.
        origin: who speaks.
        seq: number of the message within the epoch, from 1.
        observed: when the device noticed the change, ms UTC.

    Raises:
        pydantic.ValidationError: a value is out of its range; a fault of the caller.
    """
    about, offset = change.registration, origin.offset_minutes
    return RegistrationMessage(
        device=origin.device,
        epoch=origin.epoch,
        seq=seq,
        change=change.kind,
        registration_id=about.id,
        revision=about.revision,
        state=about.state,
        superseded_by=about.superseded_by,
        deployment=about.deployment,
        label=about.label,
        scientific_name=origin.scientific_names.get(about.label),
        count=about.count,
        start=timestamp(about.start, offset),
        end=timestamp(about.end, offset),
        confidence=about.confidence / _PARTS_PER_MILLION,
        votes=dict(sorted(about.votes.items())),
        media_count=about.media_count,
        media=tuple(media_entry(line, offset) for line in choose_media(media)),
        time_source=origin.time_source,
        clock_ok=origin.clock_ok,
        bundle=origin.bundle,
        observed_at=timestamp(observed, offset),
    )


def _order(line: MediaLine) -> tuple[int, str]:
    return (line.t, line.media_id)


def media_entry(line: MediaLine, offset_minutes: int) -> MediaEntry:
    """An image as messages list it; its time is shown in a zone so many minutes from UTC."""
    return MediaEntry(
        media_id=line.media_id,
        file=line.file,
        taken=timestamp(line.t, offset_minutes),
        label=line.label,
        count=line.count,
        boxes=tuple(_rounded(box) for box in line.boxes),
    )


def _rounded(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x, y, width, height = (round(side, _BOX_DIGITS) for side in box)
    return (x, y, width, height)
