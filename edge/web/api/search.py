"""Searching and classifying."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter

from edge.errors import UsageError
from edge.web.api import forms
from edge.web.api.models import ClassifyAnswer, SearchAnswer
from edge.web.api.params import Classed, MediaClassed, Questioned, Searched
from edge.web.context import Here
from edge.web.problems import Problem, RefusedError
from edge.web.uploads import Upload, Uploaded

router = APIRouter(tags=["pictures"])

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_PICTURE: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "a picture: JPEG, PNG, WebP, TIFF, BMP or GIF; it is looked at and not kept",
        "content": {
            "image/*": _BINARY,
            "application/octet-stream": _BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["picture"],
                    "properties": {"picture": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


@router.get("/search")
def search(here: Here, question: Questioned) -> SearchAnswer:
    """Images that look like what words say, or like an image on record."""
    words, media = question.q, question.media
    if (words is None) == (media is None):
        raise UsageError("give q (words) or media (an image on record), one of them")
    wanted = question.wanted(here.settings)
    if media is not None:
        return forms.answer(here.ask(lambda desk: desk.by_media(media, wanted)))
    return forms.answer(here.ask(lambda desk: desk.by_words(words or "", wanted)))


@router.post("/search", openapi_extra=_PICTURE)
def search_picture(here: Here, sent: Uploaded, question: Searched) -> SearchAnswer:
    """Images that look like a picture, or like an animal in it."""
    data, wanted = _picture(sent), question.wanted(here.settings)
    return forms.answer(here.ask(lambda desk: desk.by_picture(data, wanted)))


@router.get("/classify")
def classify(here: Here, question: MediaClassed) -> ClassifyAnswer:
    """What an image on record shows, among the device's labels, those of a set, or any that are given."""
    labels = question.label_names(here.settings)
    return forms.classified(here.ask(lambda desk: desk.classify_media(question.media, labels)))


@router.post("/classify", openapi_extra=_PICTURE)
def classify_picture(here: Here, sent: Uploaded, question: Classed) -> ClassifyAnswer:
    """What a picture shows, among the device's labels, those of a set, or any that are given."""
    data, labels = _picture(sent), question.label_names(here.settings)
    return forms.classified(here.ask(lambda desk: desk.classify(data, labels)))


def _picture(sent: Upload) -> bytes:
    if sent.picture is None:
        hint = "send it as the body, or as a file in a form"
        raise RefusedError(Problem(422, "there is no picture in the request", hint=hint))
    return sent.picture
