"""The one EXIF field that pixels need: orientation (EXIF 2.32, tag 0x0112 of IFD0)."""

from __future__ import annotations

import struct
from typing import Final

_APP1: Final = 0xE1
_START_OF_SCAN: Final = 0xDA
_EXIF: Final = b"Exif\0\0"
_TAG: Final = 0x0112
_ENTRY: Final = 12
_ORDERS: Final = {b"II": "<", b"MM": ">"}
_UPRIGHT: Final = 1
_LAST: Final = 8


def orientation(data: bytes) -> int:
    """Orientation of a JPEG file, 1 (upright) to 8; 1 where it isn't stated or makes no sense.

    Never raises: broken metadata is no reason to lose an image.
    """
    tiff = _exif_block(data)
    try:
        value = _tag(tiff) if tiff else _UPRIGHT
    except struct.error:  # an offset leads outside of the block
        return _UPRIGHT
    return value if _UPRIGHT <= value <= _LAST else _UPRIGHT


def _exif_block(data: bytes) -> bytes:
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:  # noqa: PLR2004  every marker begins so
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == _START_OF_SCAN:
            break
        body = position + 4
        if marker == _APP1 and data.startswith(_EXIF, body):
            return data[body + len(_EXIF) : position + 2 + length]
        position += 2 + max(length, 2)
    return b""


def _tag(tiff: bytes) -> int:
    order = _ORDERS.get(tiff[:2])
    if order is None:
        return _UPRIGHT
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    (entries,) = struct.unpack_from(order + "H", tiff, directory)
    for index in range(entries):
        tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, directory + 2 + index * _ENTRY)
        if tag == _TAG:
            return int(value)
    return _UPRIGHT
