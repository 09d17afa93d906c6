"""``/classify``: which animal a picture shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from edge.errors import UsageError
from edge.service.searching import Classified, class_labels
from edge.store.browsing import Pictured, picture
from edge.store.queries import scientific_names
from edge.vision.labels import LabelSet, load_label_set
from edge.web.context import Context, Here
from edge.web.pages.registrations import media_of
from edge.web.pages.render import page
from edge.web.uploads import Uploaded

router = APIRouter()
_MOST: Final = 200
_LONGEST: Final = 4000


@router.get("/classify")
def classify(request: Request, here: Here) -> Response:
    """The form; with ``media``, what a picture on record shows."""
    fields = request.query_params
    media = fields.get("media", "").strip()
    if not media:
        return _shown(request, here, None, fields)
    media_id, labels = media_of(media), _labels(fields, here)
    found = here.ask(lambda desk: desk.classify_media(media_id, labels))
    return _shown(request, here, found, fields, media_id)


@router.post("/classify")
def classify_upload(request: Request, here: Here, sent: Uploaded) -> Response:
    """What a picture that is sent shows; it isn't kept.

    Raises:
        UsageError: no picture was sent.
    """
    data = sent.picture
    if data is None:
        raise UsageError("no picture was chosen", hint="choose a file, or take a photo")
    labels = _labels(sent.fields, here)
    return _shown(request, here, here.ask(lambda desk: desk.classify(data, labels)), sent.fields)


def _labels(fields: Mapping[str, str], here: Context) -> LabelSet:
    """The label set of the settings, or classes that the form names, by lines or commas."""
    text = fields.get("labels", "")[:_LONGEST]
    names = list(dict.fromkeys(name.strip() for name in text.replace(",", "\n").split("\n") if name.strip()))
    if len(names) > _MOST:
        raise UsageError(f"more than {_MOST} names to choose from")
    return class_labels(names) if names else load_label_set(here.settings.vision.labels)


def _shown(
    request: Request,
    here: Context,
    found: Classified | None,
    fields: Mapping[str, str],
    media_id: str | None = None,
) -> Response:
    with here.reading() as database:
        shown: Pictured | None = picture(database, media_id) if media_id else None
        return page(
            request,
            "classify.html",
            found=found,
            picture=shown,
            said=fields.get("labels", "")[:_LONGEST],
            label_set=here.settings.vision.labels,
            scientific=scientific_names(database),
        )
