"""``/activity``: when animals come, over time and by hour of the day."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from edge.service.browsing import activity as activity_of, choices
from edge.store.overview import deployments
from edge.web.charts import HEIGHT, WIDTH, daily, styles, timeline
from edge.web.context import Here
from edge.web.pages.render import page
from edge.web.pages.wishes import wanted

router = APIRouter()


@router.get("/activity")
def activity(request: Request, here: Here) -> Response:
    """Two charts and their tables."""
    asked = wanted(request.query_params, here.settings)
    with here.reading() as database:
        found = activity_of(database, asked.filter)
        return page(
            request,
            "activity.html",
            found=found,
            daily=daily(found),
            timeline=timeline(found),
            styles=styles(found.series),
            width=WIDTH,
            height=HEIGHT,
            said=asked.said,
            names=deployments(database),
            labels=choices(database),
        )
