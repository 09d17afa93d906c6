"""``/review``: what wants a person's eye, the least certain first."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from edge.service.browsing import choices, queue
from edge.service.browsing.reviewing import Queue
from edge.store.browsing import Listed, listed
from edge.store.database import Database
from edge.store.outbox import Outbox
from edge.store.overview import Named, deployments
from edge.web.context import Here
from edge.web.pages.render import page
from edge.web.pages.wishes import wanted

router = APIRouter()
_SUGGESTED: Final = 5


@router.get("/review")
def review(request: Request, here: Here) -> Response:
    """The next one; ``after`` passes over one, ``done`` tells what became of the last."""
    fields = request.query_params
    asked = wanted(fields, here.settings)
    with here.reading() as database:
        found = queue(database, asked.filter, fields.get("after") or None)
        labels = choices(database)
        done = listed(database, [fields["done"]]) if fields.get("done") else []
        return page(
            request,
            "review.html",
            queue=found,
            suggested=suggested(found, labels),
            done=done[0] if done else None,
            delivered=_delivery(database, done),
            said=asked.said,
            names=deployments(database),
            labels=labels,
        )


def suggested(found: Queue, labels: list[Named]) -> list[str]:
    """Labels that it may well be: what its images were taken for, then what comes here most."""
    if found.row is None:
        return []
    registration = found.row.registration
    votes = sorted(registration.votes, key=lambda label: -registration.votes[label])
    seen = [d.label for shown in found.pictures for d in shown.picture.detections if d.label]
    often = [n.label for n in sorted(labels, key=lambda n: -n.registrations) if n.registrations]
    unique = dict.fromkeys([*votes, *seen, *often])
    unique.pop(registration.label, None)
    return list(unique)[:_SUGGESTED]


def _delivery(database: Database, done: list[Listed]) -> str:
    """What became of the newest message about the registration: pending, acked, set_aside; or nothing."""
    if not done:
        return ""
    rows = Outbox(database).range(done[0].seq, done[0].seq)
    return rows[0].state if rows else ""
