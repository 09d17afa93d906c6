"""``/``: registrations as they open and close, the latest first."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from edge.service.browsing import choices, page as list_page
from edge.store.browsing import head, waiting
from edge.store.overview import deployments
from edge.store.queries import Filter
from edge.web.context import Here
from edge.web.pages.render import page
from edge.web.pages.wishes import wish

router = APIRouter()
SIZE: Final = 18


@router.get("/")
def live(request: Request, here: Here) -> Response:
    """The list; ``after`` goes on behind a page of it."""
    fields = request.query_params
    wanted, asked = wish(fields, here.settings)
    after = fields.get("after") or None
    with here.reading() as database:
        found = list_page(database, wanted, after, SIZE)
        return page(
            request,
            "live.html",
            rows=found.rows,
            after=found.after,
            begins=after is None,
            seq=head(database),
            said=asked.said,
            names=deployments(database),
            labels=choices(database),
            waiting=waiting(database, Filter()),
        )
