"""The few EXIF fields that intake needs, from bytes that may be anything.

Two directories are read, the first and the one with the EXIF fields, each once; every offset is checked
against the data. So it ends for any input, in time that grows with its size only (EXIF 2.32, TIFF 6.0).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.intake.types import Camera

PREFIX = b"Exif\0\0"

_MAKE, _MODEL, _EXIF_IFD = 0x010F, 0x0110, 0x8769
_ORIGINAL, _DIGITIZED = 0x9003, 0x9004
_OFFSET_ORIGINAL, _OFFSET_DIGITIZED = 0x9011, 0x9012
_SUBSEC_ORIGINAL, _SUBSEC_DIGITIZED = 0x9291, 0x9292
_SERIAL = 0xA431

_ASCII, _LONG, _UTF8 = 2, 4, 129
_TIFF_MAGIC = 42
_HEADER = 8
_ENTRY = 12
_INLINE = 4
_LONGEST_TEXT = 256

_TEXTS = frozenset(
    {_MAKE, _MODEL, _ORIGINAL, _DIGITIZED, _OFFSET_ORIGINAL, _OFFSET_DIGITIZED}
    | {_SUBSEC_ORIGINAL, _SUBSEC_DIGITIZED, _SERIAL}
)


@dataclass(frozen=True, slots=True)
class Exif:
    """Fields as they stand, empty where there are none.

    Attributes:
        taken: ``DateTimeOriginal``, or ``DateTimeDigitized`` where that is missing; a camera writes both.
        subsec: the fraction of the second that belongs to it, digits.
        offset: the offset from UTC that belongs to it.
        camera: make, model, serial number.
    """

    taken: str = ""
    subsec: str = ""
    offset: str = ""
    camera: Camera = field(default_factory=Camera)


def parse(tiff: bytes) -> Exif | None:
    """EXIF fields from the TIFF structure that follows the prefix; None if it isn't one."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < _HEADER:
        return None
    magic, first = struct.unpack_from(f"{order}HI", tiff, 2)
    if magic != _TIFF_MAGIC:
        return None
    texts, below = _directory(tiff, first, order)
    if below:
        texts = {**texts, **_directory(tiff, below, order)[0]}
    return _fields(texts)


def _fields(texts: Mapping[int, str]) -> Exif:
    def text(tag: int) -> str:
        return texts.get(tag, "")

    camera = Camera(text(_MAKE), text(_MODEL), text(_SERIAL))
    if text(_ORIGINAL):
        return Exif(text(_ORIGINAL), text(_SUBSEC_ORIGINAL), text(_OFFSET_ORIGINAL), camera)
    return Exif(text(_DIGITIZED), text(_SUBSEC_DIGITIZED), text(_OFFSET_DIGITIZED), camera)


def _directory(tiff: bytes, offset: int, order: str) -> tuple[dict[int, str], int]:
    """Texts by tag of one directory, and where the EXIF directory stands (0: not said)."""
    texts: dict[int, str] = {}
    below = 0
    if offset + 2 > len(tiff):
        return texts, below
    (count,) = struct.unpack_from(f"{order}H", tiff, offset)
    fits = (len(tiff) - offset - 2) // _ENTRY
    for index in range(min(count, fits)):
        at = offset + 2 + index * _ENTRY
        tag, kind, length, value = struct.unpack_from(f"{order}HHII", tiff, at)
        if tag == _EXIF_IFD and kind == _LONG:
            below = value
        elif tag in _TEXTS and kind in (_ASCII, _UTF8):
            texts[tag] = _text(tiff, at + _ENTRY - _INLINE if length <= _INLINE else value, length)
    return texts, below


def _text(tiff: bytes, start: int, length: int) -> str:
    raw = tiff[start : start + min(length, _LONGEST_TEXT)].split(b"\0", 1)[0]
    return "".join(c for c in raw.decode("utf-8", "replace") if c.isprintable()).strip()
