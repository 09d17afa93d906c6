"""Styles, scripts and icons: read once, sent with their hash in the address, so that browsers keep them."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).resolve().parent.parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
_PACKED: Final = frozenset({".css", ".js", ".svg", ".webmanifest"})


@dataclass(frozen=True, slots=True)
class Asset:
    """A file to send.

    Attributes:
        data: its bytes.
        packed: the same by gzip; None where that gains nothing.
        kind: its media type.
        version: of its content.
    """

    data: bytes
    packed: bytes | None
    kind: str
    version: str


@cache
def assets() -> dict[str, Asset]:
    """All of them, by path below ``/static/``."""
    files = sorted(path for path in _FOLDER.rglob("*") if path.is_file() and path.suffix in _TYPES)
    return {path.relative_to(_FOLDER).as_posix(): _asset(path) for path in files}


def address(name: str) -> str:
    """Where a page finds a file, under its present content."""
    return f"/static/{name}?v={assets()[name].version}"


def _asset(path: Path) -> Asset:
    data = path.read_bytes()
    packed = gzip.compress(data, 9, mtime=0) if path.suffix in _PACKED else None
    return Asset(data, packed, _TYPES[path.suffix], hashlib.sha256(data).hexdigest()[:10])
