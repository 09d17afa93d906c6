"""What changed from one message about a registration to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edge.delivery.messages import RegistrationMessage

_FIELDS = (
    "label", "count", "start", "end", "confidence", "votes", "media_count", "state", "clock_ok",
    "time_source", "superseded_by", "bundle",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that changed; a value is None where there was, or is, none.

    Attributes:
        what: a message's field, or an image's: ``cam-07/IMG_0004.JPG``.
        before, after: as messages say it.
    """

    what: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class Revision:
    """One message, and what it says that the one before didn't.

    Attributes:
        message: as sent.
        differences: empty for the first that is kept.
        follows: whether the revision before it is kept too.
    """

    message: RegistrationMessage
    differences: tuple[Difference, ...] = ()
    follows: bool = False


def revisions(messages: Sequence[RegistrationMessage]) -> list[Revision]:
    """Messages about one registration, in order, each with what changed.

    Args:
        messages: those that are kept, in the order of their numbers.
    """
    first = [Revision(message) for message in messages[:1]]
    return first + [
        Revision(after, tuple(differences(before, after)), after.revision == before.revision + 1)
        for before, after in pairwise(messages)
    ]


def differences(before: RegistrationMessage, after: RegistrationMessage) -> Iterator[Difference]:
    """What changed between two messages; of images only those that messages list."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    for name in _FIELDS:
        if old[name] != new[name]:
            yield Difference(name, old[name], new[name])
    if after.change != "retracted":
        yield from _of_images(before, after)


def _of_images(before: RegistrationMessage, after: RegistrationMessage) -> Iterator[Difference]:
    """An image that isn't listed any more is only gone for sure where all were listed before and after."""
    old = {entry.media_id: entry for entry in before.media}
    new = {entry.media_id: entry for entry in after.media}
    whole = len(old) == before.media_count and len(new) == after.media_count
    for media_id in sorted(old.keys() | new.keys(), key=lambda m: (new.get(m) or old[m]).taken):
        was, is_now = old.get(media_id), new.get(media_id)
        if was is not None and is_now is not None:
            said = [(f"{e.label or 'no label'} x{e.count}", e.taken) for e in (was, is_now)]
            for a, b in zip(*said, strict=True):
                if a != b:
                    yield Difference(is_now.file, a, b)
        elif whole:
            entry = is_now or was
            assert entry is not None  # noqa: S101 - it is in one of them
            yield Difference(entry.file, was and "a member", is_now and "a member")
