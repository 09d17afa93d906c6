"""The application: routes, and what stands before them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from edge import __version__
from edge.settings import Settings
from edge.web import pages
from edge.web.context import Context
from edge.web.desk import Desk
from edge.web.work import Worker


def make_app(settings: Settings) -> FastAPI:
    """The page and its API for one state folder."""
    worker = Worker(lambda: Desk(settings), places=settings.web.queue, patience=settings.web.patience)
    context = Context(settings, worker)
    app = FastAPI(title="edge", version=__version__, lifespan=_life, docs_url=None, redoc_url=None)
    app.state.context = context
    app.include_router(pages.router, include_in_schema=False)
    return app


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    context.work.start()
    yield
    context.stopping.set()
    context.work.stop()
