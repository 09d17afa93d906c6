"""The same as JSON, told by an OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Security
from fastapi.security import HTTPBearer

from edge.web.api import registrations, search, status, words
from edge.web.api.models import ProblemAnswer
from edge.web.problems import MEDIA_TYPE

DESCRIPTION: Final = """\
Registrations, cameras and health of one device; search and classification of pictures; a person's word on
what the models said.

Where the device asks for a token, give it as `Authorization: Bearer TOKEN`. Whatever isn't answered as asked
is answered with `application/problem+json`; 429 and 503 say in `Retry-After` when to ask again.
"""

_TOLD: Final = {
    401: "no token, or a wrong one",
    403: "from another site's page, or from another machine where there is no token",
    404: "not on record",
    409: "it changed since it was seen",
    413: "too large",
    422: "can't be understood, or the picture can't be read",
    429: "too many requests of this client",
    503: "the daemon hasn't run here yet, or too much to do",
}


def _responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": ProblemAnswer, "description": _TOLD[status], "content": {MEDIA_TYPE: {}}}
        for status in statuses
    }


_bearer = HTTPBearer(auto_error=False, description="web.token; the gate before all routes checks it")
_ALWAYS: Final = (401, 403, 422, 429, 503)

router = APIRouter(dependencies=[Security(_bearer)])
router.include_router(registrations.router, prefix="/api", responses=_responses(*_ALWAYS, 404))
router.include_router(search.router, prefix="/api", responses=_responses(*_ALWAYS, 404, 413))
router.include_router(words.router, prefix="/api", responses=_responses(*_ALWAYS, 404, 409))
router.include_router(status.router, prefix="/api", responses=_responses(401, 403, 429))
router.include_router(status.outside, responses=_responses(401, 403, 429))
