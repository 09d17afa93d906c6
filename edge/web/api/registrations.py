"""Registrations, cameras and labels: to look at."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from edge.registration.types import UNIDENTIFIED
from edge.service import browsing
from edge.service.work import now_ms
from edge.vision.labels import list_label_sets
from edge.web.api import forms
from edge.web.api.models import (
    CamerasAnswer,
    ImageAnswer,
    LabelAnswer,
    LabelsAnswer,
    RegistrationDetail,
    RegistrationPage,
)
from edge.web.api.params import Listing, MediaId, RegistrationId
from edge.web.context import Here
from edge.web.problems import Problem, RefusedError

router = APIRouter(tags=["on record"])


@router.get("/registrations")
def registrations(here: Here, wanted: Listing) -> RegistrationPage:
    """Living registrations, newest first, page by page."""
    with here.reading() as database:
        page = browsing.page(database, wanted.wish(here.settings), wanted.cursor or None, wanted.limit)
    return RegistrationPage(registrations=tuple(map(forms.registration, page.rows)), next=page.after)


@router.get("/registrations/{registration_id}")
def registration(
    here: Here,
    registration_id: RegistrationId,
    *,
    offset: Annotated[int, Query(ge=0, le=10_000_000, description="images to pass over")] = 0,
    limit: Annotated[int, Query(ge=0, le=200, description="images at most")] = 60,
) -> RegistrationDetail:
    """A registration with its images and all that was said of it."""
    with here.reading() as database:
        found = browsing.detail(database, registration_id, offset=offset, limit=limit)
    if found is None:
        raise RefusedError(Problem(404, "no such registration", registration_id))
    return forms.detailed(found)


@router.get("/media/{media_id}")
def media(here: Here, media_id: MediaId) -> ImageAnswer:
    """An image on record; not its pixels."""
    with here.reading() as database:
        found = browsing.one_picture(database, media_id)
    if found is None:
        raise RefusedError(Problem(404, "no image with this content on record", media_id))
    return forms.image(found[0])


@router.get("/deployments")
def deployments(here: Here) -> CamerasAnswer:
    """The cameras, and how each is."""
    with here.reading() as database:
        found = browsing.cameras(database, here.settings, now_ms())
    return CamerasAnswer(deployments=tuple(map(forms.camera, found)))


@router.get("/labels")
def labels(here: Here) -> LabelsAnswer:
    """Labels that a person may choose from, and the sets that pictures can be classified by."""
    with here.reading() as database:
        found = browsing.choices(database)
    return LabelsAnswer(
        labels=tuple(
            LabelAnswer(
                label=one.label, scientific_name=one.scientific_name or None, registrations=one.registrations
            )
            for one in found
            if one.label != UNIDENTIFIED
        ),
        sets=tuple(sorted(list_label_sets())),
    )
