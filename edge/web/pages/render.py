"""From a template and what it shows to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse

from edge.service.report import is_running, last_message
from edge.store.browsing import Pictured
from edge.web.context import Context
from edge.web.pages import words
from edge.web.pages.assets import address
from edge.web.pictures import LARGE, SMALL, version

_FOLDER: Final = Path(__file__).resolve().parent.parent / "templates"
THEMES: Final = ("auto", "light", "dark")
THEME: Final = "theme"


@cache
def environment() -> Environment:
    """The templates. Everything that is put into them is escaped."""
    found = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.filters.update(words.FILTERS)
    found.globals.update(asset=address, small=SMALL, large=LARGE, span=words.span, link=link)
    return found


def link(path: str, **values: object) -> str:
    """An address with a query; values that are None or empty are left out."""
    query = urlencode({name: str(value) for name, value in values.items() if value not in (None, "")})
    return f"{path}?{query}" if query else path


def short(media_id: str) -> str:
    """A media id as it stands in addresses."""
    return media_id.removeprefix("sha256:")


def picture_address(picture: Pictured, width: int, *, blurred: bool) -> str:
    """Where a small picture is found."""
    return f"/pictures/{short(picture.media_id)}/{width}.jpg?v={version(picture, blurred=blurred)}"


def page(request: Request, name: str, status: int = 200, **shown: Any) -> HTMLResponse:
    """A page.

    Args:
        request: that it answers.
        name: of the template.
        status: of HTTP.
        shown: what the template shows.
    """
    html = environment().get_template(name).render({**_common(request), **shown})
    return HTMLResponse(html, status)


def fragment(context: Context, name: str, **shown: Any) -> str:
    """A piece of a page."""
    return environment().get_template(name).render(**_pictures(context), **shown)


def health(context: Context) -> Mapping[str, Any]:
    """How the device is, in a few words: ``tone`` is ok, warn or off."""
    state = context.settings.state
    running, last = is_running(state), last_message(state)
    if not running:
        return {"tone": "off", "words": "not running", "last": last, "running": False}
    if last is None or last.state in ("ok", "starting"):
        return {"tone": "ok", "words": "watching", "last": last, "running": True}
    number = len(last.problems)
    said = words.count(number, "problem") if number else last.state
    return {"tone": "warn", "words": said, "last": last, "running": True}


def _common(request: Request) -> dict[str, Any]:
    context: Context = request.app.state.context
    theme = request.cookies.get(THEME, "auto")
    return {
        **_pictures(context),
        "here": request.url.path,
        "address": str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
        "theme": theme if theme in THEMES else "auto",
        "closed": request.app.state.keys.sessions is not None,
        "health": health(context),
        "device": context.settings.device,
    }


def _pictures(context: Context) -> dict[str, Any]:
    return {"src": partial(picture_address, blurred=context.settings.web.blur_people), "short": short}
