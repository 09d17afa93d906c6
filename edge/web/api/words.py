"""A person's word: correct, confirm, take back."""

from __future__ import annotations

from difflib import get_close_matches

from fastapi import APIRouter

from edge.errors import UsageError
from edge.registration.types import UNIDENTIFIED
from edge.service import browsing
from edge.service.corrections import Corrected
from edge.service.relabel import relabel, unlabel
from edge.store.browsing import Listed, listed
from edge.store.corrections import find_media
from edge.store.database import Database
from edge.store.queries import scientific_names
from edge.web.api.models import Confirm, Done, Say, SayOfRegistration
from edge.web.api.params import MediaId, RegistrationId
from edge.web.context import Here
from edge.web.problems import Problem, RefusedError

router = APIRouter(tags=["a person's word"])


@router.post("/registrations/{registration_id}/label")
def say(here: Here, registration_id: RegistrationId, word: SayOfRegistration) -> Done:
    """Say what all images of a registration show; the models' word is kept beside it."""
    with here.writing() as database, database.transaction():
        label = checked(database, word.label, new=word.new)
        _seen(database, registration_id, word.revision)
        judged = browsing.judge(database, registration_id, label, word.count, revision=word.revision)
    return _done(judged.done)


@router.post("/registrations/{registration_id}/confirm")
def confirm(here: Here, registration_id: RegistrationId, word: Confirm) -> Done:
    """Say that a registration is right as it is."""
    with here.writing() as database, database.transaction():
        seen = _seen(database, registration_id, word.revision).registration
        label = None if seen.label == UNIDENTIFIED else seen.label
        judged = browsing.judge(database, registration_id, label, None, revision=word.revision)
    return _done(judged.done)


@router.post("/media/{media_id}/label")
def say_of_image(here: Here, media_id: MediaId, word: Say) -> Done:
    """Say what one image shows; the models' word is kept beside it."""
    with here.writing() as database:
        _there(database, media_id)
        label = checked(database, word.label, new=word.new)
        return _done(relabel(database, media_id, label, word.count).done)


@router.delete("/media/{media_id}/label")
def take_back(here: Here, media_id: MediaId) -> Done:
    """Take a person's word on an image back: the models' counts again."""
    with here.writing() as database:
        _there(database, media_id)
        return _done(unlabel(database, media_id).done)


def checked(database: Database, label: str | None, *, new: bool) -> str | None:
    """A label that is known, or meant to be new; None for an animal that nobody can name.

    Raises:
        UsageError: it is neither.
    """
    if label is None or label == UNIDENTIFIED:
        return None
    known = scientific_names(database)
    if label in known or (new and label.strip() and label.isprintable()):
        return label
    near = get_close_matches(label, known, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else ""
    raise UsageError("no label set used here has this label", subject=label, hint=hint)


def _seen(database: Database, registration_id: str, revision: int) -> Listed:
    """The registration that a person saw; another word on one that changed since would be on something else.

    Raises:
        RefusedError: there is none, or it changed.
    """
    found = listed(database, [registration_id])
    if not found or not found[0].living:
        raise RefusedError(Problem(404, "no such registration (any more)", registration_id))
    if found[0].registration.revision != revision:
        hint = f"look at it again: it has revision {found[0].registration.revision} now"
        raise RefusedError(Problem(409, "the registration changed meanwhile", registration_id, hint))
    return found[0]


def _there(database: Database, media_id: str) -> None:
    if not find_media(database, media_id):
        raise RefusedError(Problem(404, "no image with this content on record", media_id))


def _done(done: Corrected) -> Done:
    return Done(images=done.images, messages=dict(done.messages))
