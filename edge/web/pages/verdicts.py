"""What people say of registrations and pictures, put on record."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from edge.errors import UsageError
from edge.registration.types import UNIDENTIFIED
from edge.service.browsing import judge
from edge.service.browsing.reviewing import MOST
from edge.service.relabel import relabel, unlabel, unlabel_together
from edge.store.database import Database
from edge.store.queries import scientific_names
from edge.web.context import Here
from edge.web.pages.registrations import media_of
from edge.web.pages.render import link
from edge.web.redirects import local
from edge.web.uploads import Upload, Uploaded

router = APIRouter()
_MOST: Final = 1000
_LONGEST: Final = 100
_NUMBERS: Final = re.compile(r"(\d{1,15})-(\d{1,15})", re.ASCII)


@router.post("/registrations/{registration_id}/verdict")
def of_registration(here: Here, registration_id: str, sent: Uploaded) -> Response:
    """One word on all images of a registration; a corrected message follows.

    Raises:
        UsageError: the form says nothing sensible, or the registration changed since it was seen.
    """
    revision = sent.fields.get("revision", "")
    if not revision.isascii() or not revision.isdigit():
        raise UsageError("the form doesn't say what was seen", hint="open the registration again")
    with here.writing() as database:
        label, count = _word(database, sent)
        judged = judge(database, registration_id, label, count, revision=int(revision[:9]))
    first, last = judged.corrections
    return _back(sent, f"/registrations/{registration_id}", done=registration_id, undo=f"{first}-{last}")


@router.post("/review/undo")
def undo(here: Here, sent: Uploaded) -> Response:
    """Take the word back that was given last: the models' word again."""
    found = _NUMBERS.fullmatch(sent.fields.get("undo", ""))
    if found is None or int(found[2]) - int(found[1]) >= MOST:
        raise UsageError("the form doesn't say what to take back")
    with here.writing() as database:
        unlabel_together(database, int(found[1]), int(found[2]))
    return _back(sent, "/review", done=sent.fields.get("done", ""))


@router.post("/pictures/{media}/verdict")
def of_picture(here: Here, media: str, sent: Uploaded) -> Response:
    """One word on one image, or the models' word again."""
    media_id = media_of(media)
    with here.writing() as database:
        if sent.fields.get("say") == "machine":
            unlabel(database, media_id)
        else:
            label, count = _word(database, sent)
            relabel(database, media_id, label, count)
    return _back(sent, f"/pictures/{media}")


def _word(database: Database, sent: Upload) -> tuple[str | None, int | None]:
    """A label (None: nobody can tell) and a count (0: no animal; None: as many as before) from a form."""
    say = sent.fields.get("say", "label")
    if say == "none":
        return None, 0
    if say == "unidentified":
        return None, _count(sent)
    label = sent.fields.get("pick") or sent.fields.get("label", "")
    label = label.strip()[:_LONGEST]
    if not label:
        raise UsageError("no label was given", hint="choose one, or say that there is no animal")
    if label == UNIDENTIFIED:
        return None, _count(sent)
    return known(database, label, new=sent.fields.get("new") == "yes"), _count(sent)


def known(database: Database, label: str, *, new: bool = False) -> str:
    """The label that is meant; people write spaces and lower case.

    Raises:
        UsageError: no label set that was used here has it.
    """
    names = scientific_names(database)
    if label in names:
        return label
    folded = label.replace(" ", "_").casefold()
    for name, scientific in names.items():
        if folded in (name.casefold(), scientific.replace(" ", "_").casefold()):
            return name
    if new and label.isprintable():
        return label.replace(" ", "_")
    raise UsageError("no label set used here has this label", subject=label, hint="choose one of the list")


def _count(sent: Upload) -> int | None:
    text = sent.fields.get("count", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MOST):
        raise UsageError("not a number of animals", subject=text[:_LONGEST], hint=f"1 to {_MOST}")
    return int(text)


def _back(sent: Upload, otherwise: str, **said: str) -> Response:
    """To where the form was sent from."""
    target = local(sent.fields.get("next", "")) if sent.fields.get("next") else otherwise
    parts = urlsplit(target)
    if parts.path == "/review" and said:
        target += ("&" if parts.query else "?") + link("", **said)[1:]
    return RedirectResponse(target, 303)
