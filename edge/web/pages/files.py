"""Small pictures, styles, scripts and icons."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from edge.web.context import Here
from edge.web.pages.assets import Asset, assets
from edge.web.pages.registrations import media_of
from edge.web.pages.render import THEME, THEMES
from edge.web.pictures import WIDTHS
from edge.web.problems import Problem, RefusedError
from edge.web.redirects import local
from edge.web.uploads import Uploaded

router = APIRouter()
_FOREVER: Final = "max-age=31536000, immutable"
_YEAR: Final = 365 * 86400
_PLACEHOLDER: Final = "missing.svg"


@router.get("/pictures/{media}/{width}.jpg")
async def picture(request: Request, here: Here, media: str, width: int) -> Response:
    """A small picture. Under the address that pages give it never changes, so browsers keep it."""
    media_id = media_of(media)
    if width not in WIDTHS:
        raise RefusedError(Problem(404, "no pictures of this width", str(width)[:20]))
    here.check()
    found = await asyncio.wrap_future(here.pictures.ask(media_id, width))
    if found is None:
        missing = assets()[_PLACEHOLDER]
        return Response(missing.data, 404, {"Cache-Control": "no-store"}, missing.kind)
    tag = f'"{found.version}-{width}"'
    steady = request.query_params.get("v") == found.version
    headers = {"ETag": tag, "Cache-Control": f"private, {_FOREVER}" if steady else "private, no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(found.jpeg, headers=headers, media_type="image/jpeg")


@router.get("/static/{name:path}")
def static(request: Request, name: str) -> Response:
    """A style, a script, an icon; open to everybody."""
    found = assets().get(name)
    if found is None:
        raise RefusedError(Problem(404, "no such file"))
    return _sent(request, found, steady=request.query_params.get("v") == found.version)


@router.get("/favicon.ico")
def icon(request: Request) -> Response:
    """The icon, for browsers that ask for it by this name."""
    return _sent(request, assets()["icon.svg"], steady=False)


@router.get("/manifest.webmanifest")
def manifest(request: Request) -> Response:
    """What a phone's home screen shows."""
    return _sent(request, assets()["manifest.webmanifest"], steady=False)


@router.post("/theme")
def theme(sent: Uploaded) -> Response:
    """Light, dark, or as the system is; kept in a cookie that says nothing else."""
    wanted = sent.fields.get("theme", "")
    answer = RedirectResponse(local(sent.fields.get("next", "/")), 303)
    if wanted in THEMES:
        answer.set_cookie(THEME, wanted, max_age=_YEAR, httponly=True, samesite="strict")
    return answer


def _sent(request: Request, asset: Asset, *, steady: bool) -> Response:
    headers = {
        "ETag": f'"{asset.version}"',
        "Cache-Control": f"public, {_FOREVER}" if steady else "public, no-cache",
        "Vary": "Accept-Encoding",
    }
    if f'"{asset.version}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if asset.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.packed, headers=headers, media_type=asset.kind)
    return Response(asset.data, headers=headers, media_type=asset.kind)
