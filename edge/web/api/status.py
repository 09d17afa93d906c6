"""How the device is, for people's programs and for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from edge import __version__
from edge.service.metrics import CONTENT_TYPE, exposition
from edge.service.report import is_running, last_message
from edge.web.api.models import HealthAnswer, PageHealth
from edge.web.context import Here

router = APIRouter(tags=["health"])
outside = APIRouter(tags=["health"])
"""Paths that aren't below ``/api``."""


@router.get("/health")
def health(here: Here) -> HealthAnswer:
    """How the device is. Answers before the daemon has ever run, too."""
    state, work = here.settings.state, here.work
    return HealthAnswer(
        daemon="running" if is_running(state) else "not running",
        health=last_message(state),
        web=PageHealth(version=__version__, busy_seconds=round(work.busy_for, 3), waiting=work.waiting),
    )


@outside.get("/metrics", response_class=PlainTextResponse)
def metrics(here: Here) -> Response:
    """The daemon's figures in Prometheus's text format; the same as of `edge status --prometheus`."""
    state = here.settings.state
    text = exposition(last_message(state), running=is_running(state))
    return Response(text, media_type=CONTENT_TYPE)
