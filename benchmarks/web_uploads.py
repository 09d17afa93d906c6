"""Uploads that are made to break things."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from edge.testing import jpeg_bytes, torn

SIZE_100MB = 100 * 1024 * 1024
_SIDE = 30_000


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb() -> bytes:
    """A PNG of a megabyte and a half that would be 2.7 GB of pixels, every row of it there."""
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes(1 + 3 * _SIDE)) for _ in range(_SIDE // 2)) + packer.flush()
    head = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def hundred_megabytes() -> Iterator[bytes]:
    """In pieces, as a browser sends it."""
    piece = bytes(1 << 20)
    for _ in range(100):
        yield piece


_BOMB = bomb()
_TORN = torn(jpeg_bytes(2000, 1500))
_PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n" + bytes(200_000)

BAD: dict[str, Callable[[], bytes | Iterator[bytes]]] = {
    "100 MB": hundred_megabytes,
    "PDF": lambda: _PDF,
    "bomb": lambda: _BOMB,
    "torn JPEG": lambda: _TORN,
    "nothing": lambda: b"",
}
