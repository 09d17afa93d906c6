"""``/deployments``: the cameras, and how the device is."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from edge.errors import NotYetError
from edge.service.browsing import cameras as cameras_of
from edge.service.report import status_of
from edge.service.work import now_ms
from edge.web.context import Here
from edge.web.pages.render import page

router = APIRouter()


@router.get("/deployments")
def cameras(request: Request, here: Here) -> Response:
    """Cameras with their last picture, and the device's health; health is shown without a database too."""
    try:
        with here.reading() as database:
            found = cameras_of(database, here.settings, now_ms())
            status = status_of(here.settings, database)
    except NotYetError:
        found, status = [], None
    return page(request, "cameras.html", cameras=found, now=status)
