"""``/live``: what changes, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from edge.service.browsing import Wish, matches
from edge.web.context import Context, Here
from edge.web.live import News, Watcher
from edge.web.pages.render import fragment, health
from edge.web.pages.wishes import wish

router = APIRouter()
_PATIENCE: Final = 15.0
"""Seconds of silence after which a comment is sent: phones and proxies drop silent connections."""
_AGAIN: Final = 2000
_DIGITS: Final = 18


@router.get("/live")
async def stream(request: Request, here: Here) -> Response:
    """Registrations that the page's filter lets through, as pieces of HTML.

    ``since`` is the number of the newest message that the page has; a browser that comes back says it in
    ``Last-Event-ID``. Events: ``change`` (HTML of a card), ``gone`` (an id), ``health`` (HTML), ``reload``.
    """
    here.check()
    wanted, _ = wish(request.query_params, here.settings)
    since = request.headers.get("last-event-id") or request.query_params.get("since", "")
    place = ExitStack()  # taken before the answer begins, so that a refusal is one
    number = int(since[:_DIGITS]) if since.isascii() and since.isdigit() else None
    watcher = place.enter_context(here.live.watching(number))
    return _Told(_events(here, wanted, watcher), place)


class _Told(StreamingResponse):
    """Events for one browser, whose place is given back however it ends: before the first of them, too."""

    def __init__(self, events: AsyncIterator[str], place: ExitStack) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        with self._place:
            await super().__call__(scope, receive, send)


async def _events(here: Context, wanted: Wish, watcher: Watcher) -> AsyncIterator[str]:
    yield f"retry: {_AGAIN}\n\n"
    while True:
        news = await watcher.next(_PATIENCE)
        if news is None:
            yield ":\n\n"
            continue
        if news.kind == "end":
            return
        yield event(here, wanted, news)


def event(here: Context, wanted: Wish, news: News) -> str:
    """News as an event for a browser that shows these registrations."""
    if news.row is not None:
        if matches(news.row, wanted):
            return _event("change", fragment(here, "card.html", row=news.row, fresh=True), news.seq)
        return _event("gone", news.row.registration.id, news.seq)
    if news.kind == "health":
        return _event("health", fragment(here, "health.html", health=health(here)))
    return _event("reload", "")


def _event(kind: str, data: str, seq: int | None = None) -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return (f"id: {seq}\n" if seq is not None else "") + f"event: {kind}\n{lines}\n"
