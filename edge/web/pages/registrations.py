"""``/registrations/{id}`` and ``/pictures/{id}``: one registration, one picture."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from edge.service.browsing import choices, detail, one_picture
from edge.service.browsing.detail import PICTURES
from edge.web.context import Here
from edge.web.pages.render import page
from edge.web.problems import Problem, RefusedError

router = APIRouter()
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@router.get("/registrations/{registration_id}")
def registration(request: Request, here: Here, registration_id: str, offset: int = 0) -> Response:
    """A registration: its images with their boxes, votes, and how it came to be what it is."""
    offset = min(max(0, offset), 1_000_000)
    with here.reading() as database:
        found = detail(database, registration_id, offset=offset)
        if found is None:
            raise RefusedError(Problem(404, "no such registration", hint="it may be of another database"))
        return page(request, "registration.html", found=found, size=PICTURES, labels=choices(database))


@router.get("/pictures/{media}")
def picture(request: Request, here: Here, media: str) -> Response:
    """One picture: what was found in it, and what it is taken for."""
    media_id = media_of(media)
    with here.reading() as database:
        found = one_picture(database, media_id)
        if found is None:
            raise RefusedError(Problem(404, "no such picture on record"))
        shown, registration_id = found
        return page(
            request,
            "picture.html",
            shown=shown,
            registration_id=registration_id,
            labels=choices(database),
        )


def media_of(text: str) -> str:
    """A media id from an address.

    Raises:
        RefusedError: it is none.
    """
    text = text.removeprefix("sha256:")
    if not _HASH.fullmatch(text):
        raise RefusedError(Problem(404, "no such picture on record"))
    return f"sha256:{text}"
