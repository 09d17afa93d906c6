"""A person's word on one image, kept beside the models'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from edge.errors import UsageError
from edge.registration.types import UNIDENTIFIED, Observation
from edge.service.corrections import Amender, Amendment, Corrected, by_kind, who
from edge.service.work import now_ms
from edge.store.corrections import Correction, Corrections, Review, find_media, place_of
from edge.store.database import Database
from edge.store.journal import Entry, Journal, Said

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
        word = _word(media_id, was, label, count)
        done = _put(database, [word], by_person=True)
        return Relabelled(media_id, _before(was), word.verdict, done)


def relabel_together(
    database: Database, media_ids: Sequence[str], label: str | None, count: int | None
) -> Corrected:
    """Put one word on several images of one deployment at once; their registrations change once.

    Args:
        database: opened for writing.
        media_ids: images on record.
        label: as for ``relabel``, of each.
        count: likewise.

    Returns:
        what was done; nothing where all was so already.

    Raises:
        StoreError: nothing was changed.
    """
    with database.transaction():
        store = Corrections(database)
        words = [_word(media_id, store.animals(media_id), label, count) for media_id in media_ids]
        return _put(database, words, by_person=True)


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
        was = store.animals(media_id)
        word = _Word(media_id, was, verdict, review.machine_confidence)
        return Relabelled(media_id, _before(was), verdict, _put(database, [word], by_person=False))


def unlabel_together(database: Database, first: int, last: int) -> Corrected:
    """Take back what was said in corrections with these numbers, where nothing was said after them.

    Args:
        database: opened for writing.
        first: number of the first correction; all are of one deployment.
        last: number of the last one.

    Raises:
        UsageError: nothing of it stands any more, or it is of several deployments.
        StoreError: nothing was changed.
    """
    with database.transaction():
        store = Corrections(database)
        words = []
        for media_id in store.reviewed_by(first, last):
            review, was = store.review(media_id), store.animals(media_id)
            if review is not None:
                verdict = Verdict(review.machine_label, review.machine_count)
                words.append(_Word(media_id, was, verdict, review.machine_confidence))
        if not words:
            raise UsageError("nothing to take back", hint="it was corrected again, or taken back already")
        if len({place_of(database, word.media_id)[0] for word in words}) > 1:
            raise UsageError("these corrections are of several cameras", subject=f"{first} to {last}")
        return _put(database, words, by_person=False)


class _Word(NamedTuple):
    """What is to be put on record of one image, and what is there; ``confidence`` in ppm."""

    media_id: str
    was: Observation | None
    verdict: Verdict
    confidence: int


def _word(media_id: str, was: Observation | None, label: str | None, count: int | None) -> _Word:
    number = max(1, was.count if was else 0) if count is None else count
    verdict = Verdict(label if number else None, number)
    return _Word(media_id, was, verdict, CERTAIN if verdict.label else 0)


def _before(was: Observation | None) -> Verdict:
    return Verdict(was.label, was.count) if was else Verdict(None, 0)


def again(database: Database, media_id: str, said: Said | None, made_by: str) -> Corrected:
    """What a person said once, in a database that doesn't know of it; joins the caller's transaction.

    Args:
        database: opened for writing.
        media_id: an image on record.
        said: the word; None: that of the models counts.
        made_by: who it was.

    Raises:
        StoreError: nothing was changed.
    """
    store = Corrections(database)
    was, review = store.animals(media_id), store.review(media_id)
    if said is not None:
        word = _word(media_id, was, said.label, said.number)
        return _put(database, [word], by_person=True, remembered=made_by)
    if review is None:
        return Corrected()
    verdict = Verdict(review.machine_label, review.machine_count)
    word = _Word(media_id, was, verdict, review.machine_confidence)
    return _put(database, [word], by_person=False, remembered=made_by)


def _put(
    database: Database, words: Sequence[_Word], *, by_person: bool, remembered: str | None = None
) -> Corrected:
    """Put words on record of images of one deployment, and tell.

    Args:
        database: in a transaction.
        words: the words.
        by_person: not the models' come back.
        remembered: of whom, if the journal has them already.
    """
    now, by, lines, removed, added = now_ms(), remembered or who(), [], [], []
    told: dict[str, Said | None] = {}
    for word in words:
        if by_person and _said_already(database, word):
            continue
        correction, is_now = _keep(database, word, now, by, by_person=by_person)
        told[word.media_id] = Said(word.verdict.label, word.verdict.count) if by_person else None
        lines.append(correction)
        removed += [word.was] if word.was else []
        added.append(is_now)
    if not added:
        return Corrected()
    amender, touched = Amender(database, now), [observation.key for observation in added]
    deployment = added[0].deployment
    said = amender.said(deployment, touched)
    changes = amender.apply(Amendment(deployment, removed, added, touched), said)
    store = Corrections(database)
    for number, line in enumerate(lines):  # the messages are of all of them: counted once
        store.count(line, images=1, messages=0 if number else len(changes))
    if remembered is None:
        Journal(database.path.parent).append(Entry(now, by, told, {}))
    return Corrected(len(added), by_kind(changes))


def _said_already(database: Database, word: _Word) -> bool:
    review = Corrections(database).review(word.media_id)
    return review is not None and (review.label, review.count) == (word.verdict.label, word.verdict.count)


def _keep(database: Database, word: _Word, now: int, by: str, *, by_person: bool) -> tuple[int, Observation]:
    """Everything of one word but the registrations: the line of the correction, and what is true now."""
    store, verdict = Corrections(database), word.verdict
    deployment, taken = place_of(database, word.media_id)
    what = f"{_before(word.was)} is {verdict}"
    correction = store.begin(Correction(0, now, by, "label", deployment, what, word.media_id))
    review = _review(store.review(word.media_id), word.was, verdict, correction) if by_person else None
    store.keep_review(word.media_id, review)
    store.settle_blank(word.media_id, deployment, taken, animals=verdict.count > 0)
    is_now = Observation(deployment, word.media_id, taken, verdict.label, verdict.count, word.confidence)
    return correction, is_now


def _review(review: Review | None, was: Observation | None, verdict: Verdict, correction: int) -> Review:
    """A person's word; the models' is that of before the first one."""
    if review is not None:
        return replace(review, label=verdict.label, count=verdict.count, correction=correction)
    if was is None:
        return Review(verdict.label, verdict.count, None, 0, 0, correction)
    return Review(verdict.label, verdict.count, was.label, was.count, was.confidence, correction)
