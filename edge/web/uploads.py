"""What a form or a program sent: fields, and at most one picture, all in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from edge.web.problems import Problem, RefusedError

_MOST_FIELDS: Final = 64
_FIELD_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """What was sent.

    Attributes:
        fields: by name; the last of those with the same name.
        lists: all values by name.
        picture: the bytes of a file, untouched; None if none was chosen.
    """

    fields: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]
    picture: bytes | None


class _InMemory(MultiPartParser):
    """Starlette's parser, which would write what is larger than a megabyte to a file."""

    spool_max_size = 1 << 40


async def read_upload(request: Request) -> Upload:
    """A form, or a picture as the whole body.

    Raises:
        RefusedError: the form is broken or has too much in it, or the body is of another kind.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("image/") or kind == "application/octet-stream":
        return Upload({}, {}, await request.body() or None)
    if kind not in ("multipart/form-data", "application/x-www-form-urlencoded"):
        hint = "multipart/form-data with a file, or the picture itself as image/jpeg"
        raise RefusedError(Problem(415, "not a form and not a picture", kind, hint))
    try:
        return await _form(request, kind)
    except (MultiPartException, ClientDisconnect) as error:
        raise RefusedError(Problem(400, "the form can't be read", str(error))) from error


async def _form(request: Request, kind: str) -> Upload:
    parser: MultiPartParser | FormParser
    if kind == "multipart/form-data":
        _check_charset(request.headers["content-type"])
        if not _is_whole(request.headers["content-type"], await request.body()):
            raise MultiPartException("it ends too early")  # Starlette would take what there is of it
        parser = _InMemory(
            request.headers,
            request.stream(),
            max_files=1,
            max_fields=_MOST_FIELDS,
            max_part_size=_FIELD_BYTES,
        )
    else:
        parser = FormParser(
            request.headers, request.stream(), max_fields=_MOST_FIELDS, max_part_size=_FIELD_BYTES
        )
    form = await parser.parse()
    try:
        lists: dict[str, tuple[str, ...]] = {}
        picture: bytes | None = None
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                picture = await value.read() or None
            else:
                lists[name] = (*lists.get(name, ()), value)
        return Upload({name: values[-1] for name, values in lists.items()}, lists, picture)
    finally:
        await form.close()


def _check_charset(content_type: str) -> None:
    """Everybody sends UTF-8; some of Python's codecs fail in their own way, some make half characters."""
    charset = parse_options_header(content_type)[1].get(b"charset", b"utf-8")
    if charset.lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        raise MultiPartException("it isn't in UTF-8")


def _is_whole(content_type: str, body: bytes) -> bool:
    """Whether a form has its last line."""
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    return body.rstrip(b"\r\n").endswith(b"--" + boundary + b"--")


Uploaded = Annotated[Upload, Depends(read_upload)]
"""A handler's parameter: ``sent: Uploaded``."""
