"""``/review``: what wants a person's eye, the least certain first."""

from __future__ import annotations

from typing import Final, NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from edge.service.browsing import choices, queue
from edge.service.browsing.reviewing import Queue
from edge.store.browsing import Listed, listed
from edge.store.database import Database
from edge.store.outbox import Outbox
from edge.store.overview import Named, deployments
from edge.vision.labels import load_label_set
from edge.web.context import Here
from edge.web.pages.registrations import media_of
from edge.web.pages.render import fragment, page
from edge.web.pages.wishes import wanted

router = APIRouter()


class Suggested(NamedTuple):
    """A label to choose, and how likely it is, 0 to 1; None where that isn't known."""

    label: str
    confidence: float | None = None


_SUGGESTED: Final = 4


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
            undo=fields.get("undo", ""),
            said=asked.said,
            names=deployments(database),
            labels=labels,
        )


@router.get("/review/guesses")
def guesses(here: Here, media: str, label: str = "") -> Response:
    """Names that a picture is nearest to, as buttons, without the one that it has."""
    media_id = media_of(media)
    labels = load_label_set(here.settings.vision.labels)
    found = here.ask(lambda desk: desk.classify_media(media_id, labels))
    shown = [Suggested(guess.label, guess.confidence) for guess in found.top if guess.label != label]
    return HTMLResponse(fragment(here, "guesses.html", suggested=shown))


def suggested(found: Queue, labels: list[Named]) -> list[Suggested]:
    """Labels that it may well be: what its images were taken for, then what comes here most."""
    if found.row is None:
        return []
    registration = found.row.registration
    votes = sorted(registration.votes, key=lambda label: -registration.votes[label])
    seen = [d.label for shown in found.pictures for d in shown.picture.detections if d.label]
    often = [n.label for n in sorted(labels, key=lambda n: -n.registrations) if n.registrations]
    unique = dict.fromkeys([*votes, *seen, *often])
    unique.pop(registration.label, None)
    return [Suggested(label) for label in list(unique)[:_SUGGESTED]]


def _delivery(database: Database, done: list[Listed]) -> str:
    """What became of the newest message about the registration: pending, acked, set_aside; or nothing."""
    if not done:
        return ""
    rows = Outbox(database).range(done[0].seq, done[0].seq)
    return rows[0].state if rows else ""
