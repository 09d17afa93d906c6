"""What every request passes before a handler sees it: its host, its origin, its token, how often, how much.

Pure ASGI, so that a refused request costs next to nothing and an endless answer passes through unchanged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge.settings import WebSettings
from edge.web.bodies import Bodies, GoneError, RefusedBodyError
from edge.web.headers import secure
from edge.web.hosts import client_key, is_loopback, is_own, own_names
from edge.web.limits import Attempts, Rate
from edge.web.problems import Problem, RefusedError, wants_html
from edge.web.sessions import COOKIE, SECURE_COOKIE, Sessions

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN: Final = frozenset({"/login", "/favicon.ico", "/manifest.webmanifest", "/robots.txt"})
"""Paths that anybody may ask for; they show nothing of what is on record."""
_OPEN_BELOW: Final = "/static/"
_BURST: Final = 20
_CROSS: Final = frozenset({"cross-site", "same-site"})

Respond = Callable[[Request, Problem], Awaitable[Response]]


@dataclass
class Keys:
    """Who may come in.

    Attributes:
        sessions: of the token; None where there is none, and only this machine may.
        attempts: that failed.
        secure: whether it is https that is spoken.
    """

    sessions: Sessions | None
    secure: bool
    attempts: Attempts = field(default_factory=Attempts)

    @property
    def cookie(self) -> str:
        """Name of the session's cookie."""
        return SECURE_COOKIE if self.secure else COOKIE

    def check(self, client: str, token: str) -> bool:
        """Whether a token is right.

        Raises:
            RefusedError: too many were wrong; this one wasn't looked at.
        """
        who = client_key(client)
        wait = self.attempts.wait(who)
        if wait:
            raise RefusedError(Problem(429, "too many wrong tokens", hint="wait a little", retry_after=wait))
        if self.sessions is None or self.sessions.knows(token):
            self.attempts.succeeded(who)
            return True
        self.attempts.failed(who)
        return False


def keys_of(settings: WebSettings) -> Keys:
    """Made from the settings."""
    lifetime = settings.session_days * 86400
    sessions = Sessions(settings.token.get_secret_value(), lifetime) if settings.token else None
    return Keys(sessions, secure=settings.cert_file is not None)


class Gate:
    """ASGI middleware; what it refuses gets no further.

    Args:
        app: what is behind it.
        settings: of the page.
        keys: who may come in.
        respond: makes the answer to a request that is refused.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings, keys: Keys, respond: Respond) -> None:
        self._app = app
        self._keys = keys
        self._respond = respond
        self._names = own_names((*settings.allowed_hosts, settings.host))
        self._rate = Rate(settings.requests, settings.requests * _BURST)
        self._bodies = Bodies(settings.upload_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _secured(send)
        request = Request(scope, receive)
        try:
            answer = self._refused(request)
            body = b"" if answer else await self._body(request)
        except RefusedError as error:
            answer = await self._respond(request, error.problem)
            if isinstance(error, RefusedBodyError):  # what is left of it won't be read
                answer.headers["Connection"] = "close"
        except GoneError:
            return
        if answer is None:
            await self._app(scope, _replayed(body, receive), send)
        else:
            await answer(scope, receive, send)

    async def _body(self, request: Request) -> bytes:
        headers = request.headers
        if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
            return b""
        small = is_open(request.url.path)  # nobody without the token takes the place of a picture
        return await self._bodies.read(request.scope, request.receive, small=small)

    def _refused(self, request: Request) -> Response | None:
        """Where a request is sent instead; None if it may go on.

        Raises:
            RefusedError: it may not.
        """
        client = request.client.host if request.client else ""
        if len(request.headers.getlist("host")) != 1 or not is_own(request.headers["host"], self._names):
            hint = "add its name to web.allowed_hosts if this machine has it"
            raise RefusedError(Problem(421, "this machine isn't called that", hint=hint))
        if self._keys.sessions is None and not is_loopback(client):
            raise RefusedError(
                Problem(403, "without a token only this machine may look", hint="set web.token")
            )
        wait = self._rate.take(client_key(client))
        if wait:
            raise RefusedError(Problem(429, "too many requests", hint="wait a little", retry_after=wait))
        if is_cross_site(request.method, request.headers):
            raise RefusedError(Problem(403, "refused: the request comes from another site's page"))
        return self._without_token(request, client)

    def _without_token(self, request: Request, client: str) -> Response | None:
        path = request.url.path
        sessions = self._keys.sessions
        request.state.session = sessions is not None
        if sessions is None or is_open(path):
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._keys.check(client, _as_sent(token.strip())):
            return None
        if sessions.holds(request.cookies.get(self._keys.cookie, "")):
            return None
        if request.method in SAFE and wants_html(request) and "hx-request" not in request.headers:
            return RedirectResponse(f"/login?next={quote(_asked(request))}", 303)
        raise RefusedError(Problem(401, "a token is needed", hint="send Authorization: Bearer TOKEN"))


def _as_sent(text: str) -> str:
    """A header's text; it comes as Latin-1, which some programs write and others take UTF-8 for."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text


def is_open(path: str) -> bool:
    """Whether anybody may ask for it."""
    return path in _OPEN or path.startswith(_OPEN_BELOW)


def is_cross_site(method: str, headers: Headers) -> bool:
    """Whether a page of elsewhere makes the browser ask; it may only lead people here.

    Browsers say so in ``Sec-Fetch-Site``, older ones in ``Origin``. What says neither is no browser, and
    has no cookies or open pages that could be misused.

    Args:
        method: of the request.
        headers: of the request.
    """
    site = headers.get("sec-fetch-site", "")
    if site in _CROSS:
        leads = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        return not (method in SAFE and leads)
    origin = headers.get("origin")
    if origin is None or (method in SAFE and not site):
        return False
    return origin.lower().partition("://")[2] != headers.get("host", "").lower()


def _asked(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A body that was read, once more; after it, whatever the client does."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _secured(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            secure(MutableHeaders(scope=message))
        await send(message)

    return sending
