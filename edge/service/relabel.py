"""A person's word on one image, kept beside the models'."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from edge.errors import UsageError
from edge.registration.types import UNIDENTIFIED, Key, Observation
from edge.service.corrections import Amender, Amendment, Corrected, by_kind, who
from edge.service.work import now_ms
from edge.store.corrections import Correction, Corrections, Review, find_media, place_of
from edge.store.database import Database

CERTAIN: Final = 1_000_000
"""Confidence of a person's label, parts per million."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is in an image: a label (None: an animal that nobody can name), and how many; 0 for no animal."""

    label: str | None
    count: int

    def __str__(self) -> str:
        """For people."""
        return f"{self.label or UNIDENTIFIED} x{self.count}" if self.count else "no animal"


@dataclass(frozen=True, slots=True)
class Relabelled:
    """What became of it.

    Attributes:
        media_id: the image.
        before, after: what was and is on record.
        done: in figures; nothing if it was so already.
    """

    media_id: str
    before: Verdict
    after: Verdict
    done: Corrected


def the_image(database: Database, name: str) -> str:
    """The id of the image that a person means.

    Args:
        database: any.
        name: an id, the beginning of one, or a path below the drop folder.

    Raises:
        UsageError: there is none, or more than one.
    """
    found = find_media(database, name)
    if not found:
        hint = "give its path below the drop folder or its media id, as `edge media` shows them"
        raise UsageError("no such image on record", subject=name, hint=hint)
    if len(found) > 1:
        raise UsageError("more than one image begins like this", subject=name, hint="give more of it")
    return found[0]


def relabel(database: Database, media_id: str, label: str | None, count: int | None) -> Relabelled:
    """Put a person's word on record in place of the models', which is kept.

    Args:
        database: opened for writing.
        media_id: an image on record.
        label: what it shows; None for an animal that nobody can name.
        count: how many; 0 for no animal, None for as many as before, at least 1.

    Raises:
        StoreError: nothing was changed.
    """
    with database.transaction():
        was = Corrections(database).animals(media_id)
        number = max(1, was.count if was else 0) if count is None else count
        verdict = Verdict(label if number else None, number)
        return _put(database, media_id, was, verdict, CERTAIN if verdict.label else 0, by_person=True)


def unlabel(database: Database, media_id: str) -> Relabelled:
    """Take a person's word on an image back: the models' counts again.

    Raises:
        UsageError: nobody has said anything of this image.
        StoreError: nothing was changed.
    """
    with database.transaction():
        store = Corrections(database)
        review = store.review(media_id)
        if review is None:
            raise UsageError("nobody has relabelled this image", subject=media_id)
        verdict = Verdict(review.machine_label, review.machine_count)
        confidence = review.machine_confidence
        return _put(database, media_id, store.animals(media_id), verdict, confidence, by_person=False)


def _put(
    database: Database,
    media_id: str,
    was: Observation | None,
    verdict: Verdict,
    confidence: int,
    *,
    by_person: bool,
) -> Relabelled:
    store = Corrections(database)
    before = Verdict(was.label, was.count) if was else Verdict(None, 0)
    review = store.review(media_id)
    if by_person and review and (review.label, review.count) == (verdict.label, verdict.count):
        return Relabelled(media_id, before, verdict, Corrected())
    deployment, taken = place_of(database, media_id)
    now = now_ms()
    line = Correction(0, now, who(), "label", deployment, f"{before} is {verdict}", media_id)
    correction = store.begin(line)
    store.keep_review(media_id, _review(review, was, verdict, correction) if by_person else None)
    store.settle_blank(media_id, deployment, taken, animals=verdict.count > 0)
    is_now = Observation(deployment, media_id, taken, verdict.label, verdict.count, confidence)
    here = [Key(taken, media_id)]
    amender = Amender(database, now)
    said = amender.said(deployment, here)
    changes = amender.apply(Amendment(deployment, [was] if was else [], [is_now], here), said)
    store.count(correction, images=1, messages=len(changes))
    return Relabelled(media_id, before, verdict, Corrected(1, by_kind(changes)))


def _review(review: Review | None, was: Observation | None, verdict: Verdict, correction: int) -> Review:
    """A person's word; the models' is that of before the first one."""
    if review is not None:
        return replace(review, label=verdict.label, count=verdict.count, correction=correction)
    if was is None:
        return Review(verdict.label, verdict.count, None, 0, 0, correction)
    return Review(verdict.label, verdict.count, was.label, was.count, was.confidence, correction)
