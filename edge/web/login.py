"""Logging in and out: a token in, a cookie out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from edge.web import pages
from edge.web.gate import Keys
from edge.web.problems import Problem, RefusedError
from edge.web.redirects import local
from edge.web.uploads import Uploaded

router = APIRouter(include_in_schema=False)


@router.get("/login")
def ask(request: Request, *, to: Annotated[str, Query(alias="next")] = "/") -> Response:
    """The form; whoever needs none is sent on."""
    keys: Keys = request.app.state.keys
    if keys.sessions is None or keys.sessions.holds(request.cookies.get(keys.cookie, "")):
        return RedirectResponse(local(to), 303)
    return pages.login_page(request, None)


@router.post("/login")
def login(request: Request, sent: Uploaded) -> Response:
    """A cookie for the right token."""
    keys: Keys = request.app.state.keys
    token, to = sent.fields.get("token", "").strip(), sent.fields.get("next", "/")
    try:
        right = keys.check(request.client.host if request.client else "", token)
    except RefusedError as error:
        return pages.login_page(request, error.problem)
    if not right:
        return pages.login_page(request, Problem(401, "that is not the token"))
    answer = RedirectResponse(local(to), 303)
    if keys.sessions is not None:
        answer.set_cookie(
            keys.cookie,
            keys.sessions.begin(),
            max_age=int(keys.sessions.lifetime),
            httponly=True,
            samesite="strict",
            secure=keys.secure,
        )
    return answer


@router.post("/logout")
def logout(request: Request) -> Response:
    """The cookie counts no more."""
    keys: Keys = request.app.state.keys
    if keys.sessions is not None:
        keys.sessions.end(request.cookies.get(keys.cookie, ""))
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(keys.cookie, httponly=True, samesite="strict", secure=keys.secure)
    return answer
