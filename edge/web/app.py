"""The application: routes, and what stands before them."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from edge import __version__
from edge.errors import EdgeError
from edge.settings import Settings
from edge.web import api, login, pages
from edge.web.context import Context
from edge.web.desk import Desk
from edge.web.gate import Gate, keys_of
from edge.web.headers import secure
from edge.web.limits import Rate
from edge.web.live import Live
from edge.web.pictures import Pictures
from edge.web.problems import Problem, as_json, of_status, problem_of, wants_html
from edge.web.work import Worker

log = logging.getLogger("edge.web")

_BURST: Final = 10
_FAULT: Final = 500


def make_app(settings: Settings) -> FastAPI:
    """The page and its API for one state folder."""
    web = settings.web
    keys = keys_of(web)
    worker = Worker(lambda: Desk(settings), places=web.queue, patience=web.patience)
    app = FastAPI(
        title="edge",
        summary="What a camera-trap device sees",
        version=__version__,
        description=api.DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_life,
    )
    stopping = threading.Event()
    live, pictures = Live(settings.state, stopping), Pictures(settings)
    rate = Rate(web.searches, web.searches * _BURST)
    app.state.context = Context(settings, worker, rate, live, pictures, stopping)
    app.state.keys = keys
    app.add_middleware(Gate, settings=web, keys=keys, respond=respond)
    app.add_exception_handler(EdgeError, _on_error)
    app.add_exception_handler(HTTPException, _on_error)
    app.add_exception_handler(RequestValidationError, _on_error)
    app.add_exception_handler(Exception, _on_fault)
    app.include_router(api.router)
    app.include_router(login.router)
    app.include_router(pages.router, include_in_schema=False)
    return app


async def respond(request: Request, problem: Problem) -> Response:
    """The answer to a request that can't be answered as asked."""
    if not wants_html(request):
        return as_json(problem)
    return await run_in_threadpool(pages.problem_page, request, problem)


async def _on_error(request: Request, error: Exception) -> Response:
    problem = _problem(error)
    if problem.status == _FAULT:
        log.error("%s %r: %s", request.method, request.url.path, error)
    return await respond(request, problem)


async def _on_fault(request: Request, _error: Exception) -> Response:
    """A mistake of ours: it is logged by whoever called; this answer passes the gate no more."""
    answer = await respond(request, of_status(_FAULT))
    secure(answer.headers)
    return answer


def _problem(error: Exception) -> Problem:
    if isinstance(error, EdgeError):
        return problem_of(error)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"][1:])
        return Problem(422, "the request can't be understood", name, str(first["msg"]))
    if isinstance(error, HTTPException):
        return of_status(error.status_code, str(error.detail))
    return of_status(_FAULT)


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    context.work.start()
    context.live.start()
    yield
    context.live.stop()
    context.pictures.stop()
    context.work.stop()
