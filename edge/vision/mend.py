"""Careless but harmless spots in a JPEG file, put right so that a strict decoder can have the last word.

A strict decoder stops at the first oddity. Three are known from cameras whose images are whole: a JFIF
revision that was never defined, scan parameters that a sequential image doesn't have (both ITU-T T.81 and
T.871 fix their values), and a last block filled with zeros before the end marker. None touches a coefficient,
so an image that decodes strictly after this was whole before it.
"""

from __future__ import annotations

from typing import Final

_MARKER: Final = 0xFF
_APP0: Final = 0xE0
_START_OF_SCAN: Final = 0xDA
_SEQUENTIAL: Final = (0xC0, 0xC1)
_JFIF: Final = b"JFIF\0"
_END: Final = b"\xff\xd9"
_WHOLE_BAND: Final = bytes([0, 63, 0])  # first and last coefficient, bits of successive approximation


def mend(data: bytes) -> bytes:
    """A JPEG file without the three oddities; equal to ``data`` if it has none."""
    mended = bytearray(data)
    sequential = False
    position = 2
    while position + 4 <= len(mended) and mended[position] == _MARKER:
        marker = mended[position + 1]
        body, after = position + 4, position + 2 + int.from_bytes(mended[position + 2 : position + 4], "big")
        sequential = sequential or marker in _SEQUENTIAL
        if marker == _APP0 and mended[body : body + len(_JFIF)] == _JFIF:
            mended[body + len(_JFIF) : body + len(_JFIF) + 1] = b"\x01"
        if marker == _START_OF_SCAN:
            if sequential:
                mended[after - len(_WHOLE_BAND) : after] = _WHOLE_BAND
            break
        position = max(after, body)
    return _without_padding(bytes(mended))


def _without_padding(data: bytes) -> bytes:
    end = data.rfind(_END)
    return data if end < 0 else data[:end].rstrip(b"\0") + data[end:]
