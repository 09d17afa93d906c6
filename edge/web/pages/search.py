"""``/search``: by words, by a picture that is sent, or by one on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from edge.service.browsing import choices
from edge.service.searching import Answer, Hit, Wanted as Asked
from edge.store.browsing import Pictured, picture
from edge.store.database import Database
from edge.store.overview import deployments
from edge.web.context import Context, Here
from edge.web.pages.registrations import media_of
from edge.web.pages.render import page
from edge.web.pages.wishes import Wanted, wanted
from edge.web.uploads import Uploaded

router = APIRouter()
TOPS: Final = (12, 24, 48)
_LONGEST: Final = 300


@dataclass(frozen=True, slots=True)
class Found:
    """One answer of a search: where it belongs, how near it is, and its picture."""

    hit: Hit
    picture: Pictured


@router.get("/search")
def search(request: Request, here: Here) -> Response:
    """By words (``q``) or by a picture on record (``like``); without either, the empty form."""
    fields = request.query_params
    both = _asked(fields, here)
    asked = both[0]
    words, like = fields.get("q", "").strip()[:_LONGEST], fields.get("like", "").strip()
    answer = None
    if like:
        media_id = media_of(like)
        answer = here.ask(lambda desk: desk.by_media(media_id, asked))
    elif words:
        answer = here.ask(lambda desk: desk.by_words(words, asked))
    return _shown(request, here, both, answer, {"q": words, "like": like})


@router.post("/search")
def search_by_upload(request: Request, here: Here, sent: Uploaded) -> Response:
    """By a picture that is sent, which isn't kept; without one, by the words."""
    both = _asked(sent.fields, here)
    asked = both[0]
    words, data = sent.fields.get("q", "").strip()[:_LONGEST], sent.picture
    if data is not None:
        answer: Answer | None = here.ask(lambda desk: desk.by_picture(data, asked))
    else:
        answer = here.ask(lambda desk: desk.by_words(words, asked)) if words else None
    by = {"q": "" if data is not None else words, "like": "", "sent": "yes" if data is not None else ""}
    return _shown(request, here, both, answer, by)


def _asked(fields: Mapping[str, str], here: Context) -> tuple[Asked, Wanted]:
    found = wanted(fields, here.settings)
    top = next((top for top in TOPS if fields.get("top") == str(top)), TOPS[0])
    every = fields.get("all") == "yes"
    said = {**found.said, **({"all": "yes"} if every else {}), "top": str(top)}
    asked = Asked(found.filter, top=top, every=every, night=found.night)
    return asked, Wanted(found.filter, found.night, said)


def _shown(
    request: Request,
    here: Context,
    asked: tuple[Asked, Wanted],
    answer: Answer | None,
    by: Mapping[str, str],
) -> Response:
    with here.reading() as database:
        like = picture(database, media_of(by["like"])) if by["like"] else None
        labels = choices(database)
        return page(
            request,
            "search.html",
            answer=answer,
            found=_pictured(database, answer) if answer else (),
            by=by,
            like=like,
            said=asked[1].said,
            wish=asked[0],
            tops=TOPS,
            names=deployments(database),
            labels=labels,
            examples=[n.label for n in sorted(labels, key=lambda n: -n.registrations) if n.registrations][:3],
        )


def _pictured(database: Database, answer: Answer) -> tuple[Found, ...]:
    """Hits with their pictures; one that went since is left out."""
    found = ((hit, picture(database, hit.place.media_id)) for hit in answer.hits)
    return tuple(Found(hit, shown) for hit, shown in found if shown is not None)
