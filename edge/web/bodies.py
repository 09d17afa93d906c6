"""A request's body, read whole before anything parses it: not too large, and not too slowly."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from edge.web.problems import Problem, RefusedError

SMALL: Final = 64 * 1024
"""Bytes of a body that isn't a picture."""
_AROUND: Final = 64 * 1024
"""Bytes that a form has around its picture."""
_SMALL_SECONDS: Final = 15.0
_LARGE_SECONDS: Final = 90.0
_LARGE_AT_ONCE: Final = 3
_DRAIN_SECONDS: Final = 20.0
_DRAIN_TIMES: Final = 12
_DRAINS_AT_ONCE: Final = 2
_DRAIN_PAUSE: Final = 0.005
"""Between two pieces of 64 KB: what is thrown away comes at 13 MB a second at most, and costs little."""


class RefusedBodyError(RefusedError):
    """A body that isn't taken, and what to answer."""


class GoneError(Exception):
    """The client went away while it sent."""


@dataclass
class Bodies:
    """Reads bodies; a few large ones at once, so that memory is limited too.

    Args:
        most: bytes of a picture.
    """

    most: int

    def __post_init__(self) -> None:
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        self._drains = asyncio.Semaphore(_DRAINS_AT_ONCE)

    async def read(self, scope: Scope, receive: Receive, *, small: bool = False) -> bytes:
        """All of it.

        Args:
            scope: of the request.
            receive: where it comes from.
            small: a picture isn't wanted here, whatever the body says it is.

        Raises:
            RefusedBodyError: it is too large or comes too slowly, or too many large ones come at once.
            GoneError: the client went away.
        """
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        limit = self.most + _AROUND if _is_upload(headers) and not small else SMALL
        if length.isdigit() and int(length) > limit:
            await self._drained(headers, receive, int(length))
            raise RefusedBodyError(too_large(limit))
        if limit == SMALL or (
            length.isdigit() and int(length) <= SMALL
        ):  # a form's few words wait for nobody
            return await self._read(receive, SMALL, _SMALL_SECONDS)
        if self._large.locked():
            raise RefusedBodyError(Problem(503, "too many pictures are being uploaded", retry_after=5))
        async with self._large:
            return await self._read(receive, limit, _LARGE_SECONDS)

    async def _drained(self, headers: Headers, receive: Receive, length: int) -> None:
        """Let the client finish sending, within reason: most browsers read no answer before they have."""
        asks_first = "100-continue" in headers.get("expect", "").lower()
        if not asks_first and length <= _DRAIN_TIMES * self.most:
            await self._drop(receive)

    async def _read(self, receive: Receive, limit: int, seconds: float) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(seconds):
                while True:
                    message = await receive()
                    _check_there(message)
                    body += message.get("body", b"")
                    if len(body) > limit:
                        body.clear()
                        if message.get("more_body", False):
                            await self._drop(receive)
                        raise RefusedBodyError(too_large(limit))
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError as error:
            raise RefusedBodyError(Problem(408, "the request came too slowly")) from error

    async def _drop(self, receive: Receive) -> None:
        """Read on and keep nothing, for a while."""
        if self._drains.locked():
            return
        with suppress(TimeoutError):
            async with self._drains, asyncio.timeout(_DRAIN_SECONDS):
                more = True
                while more:
                    message = await receive()
                    _check_there(message)
                    more = message.get("more_body", False)
                    await asyncio.sleep(_DRAIN_PAUSE)


def too_large(limit: int) -> Problem:
    """The answer to a body of more bytes than are taken."""
    size = f"{limit / 1024 / 1024:.0f} MB" if limit >= 1024 * 1024 else f"{limit // 1024} KB"
    return Problem(413, "too large", f"at most {size} are taken", "send a smaller picture")


def _is_upload(headers: Headers) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind.startswith("image/") or kind in ("multipart/form-data", "application/octet-stream")


def _check_there(message: Message) -> None:
    if message["type"] == "http.disconnect":
        raise GoneError
