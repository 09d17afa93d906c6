"""What is answered when something can't be: one form for people, one for programs (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edge.errors import (
    BundleError,
    DiskFullError,
    EdgeError,
    ImageError,
    NotYetError,
    ProviderError,
    SearchError,
    StoreBusyError,
    StoreCorruptError,
    StoreVersionError,
    TooBusyError,
    UsageError,
)

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request wasn't answered as asked.

    Attributes:
        status: of HTTP.
        title: what went wrong, one clause.
        detail: on what; may be empty.
        hint: what to do about it; may be empty.
        retry_after: seconds after which it may go better.
    """

    status: int
    title: str
    detail: str = ""
    hint: str = ""
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        found = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return found | ({"WWW-Authenticate": "Bearer"} if self.status == HTTPStatus.UNAUTHORIZED else {})


_STATUS: Final[tuple[tuple[type[EdgeError], int, int | None], ...]] = (
    (NotYetError, 503, 5),
    (TooBusyError, 503, 2),
    (StoreBusyError, 503, 2),
    (StoreVersionError, 503, 30),  # between an upgrade and the daemon's restart
    (StoreCorruptError, 503, 30),  # the daemon puts a sound one in its place
    (DiskFullError, 507, None),
    (ImageError, 422, None),
    (UsageError, 422, None),
    (SearchError, 404, None),
    (BundleError, 503, None),
    (ProviderError, 503, None),
)
"""The first that fits counts; whatever isn't here is a fault of this side."""


class RefusedError(EdgeError):
    """A request that isn't answered, and the problem to answer instead."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.title, subject=problem.detail, hint=problem.hint)
        self.problem = problem


def problem_of(error: EdgeError) -> Problem:
    """An error of this product as an answer."""
    if isinstance(error, RefusedError):
        return error.problem
    for kind, status, retry in _STATUS:
        if isinstance(error, kind):
            return Problem(status, error.what, error.subject, error.hint, retry)
    return Problem(500, error.what, hint=error.hint or "the log says more: journalctl -u edge-web")


def of_status(status: int, detail: str = "") -> Problem:
    """A plain status of HTTP."""
    phrase = HTTPStatus(status).phrase
    return Problem(status, phrase, "" if detail == phrase else detail)


def wants_html(request: Request) -> bool:
    """Whether a person reads the answer."""
    path = request.url.path
    if path.startswith("/api/") or path == "/metrics":
        return False
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers


def as_json(problem: Problem) -> Response:
    """For programs."""
    content: dict[str, Any] = {"type": "about:blank", "title": problem.title, "status": problem.status}
    if problem.detail:
        content["detail"] = problem.detail
    if problem.hint:
        content["hint"] = problem.hint
    return JSONResponse(content, problem.status, problem.headers, MEDIA_TYPE)
