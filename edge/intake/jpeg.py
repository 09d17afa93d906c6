"""The segments of a JPEG file, as far as they can be read without decoding (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

SOI = b"\xff\xd8"
EOI = 0xD9
SOS = 0xDA
APP1 = 0xE1

# A marker is 0xFF and neither 0 (a stuffed data byte), nor 0xFF (fill), nor a restart inside the scan. The
# literal first byte lets the search run at memchr speed.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SIZE_FIELD = 2

# SOF0 to SOF15 without DHT, JPG and DAC, which lie between them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, 0xD8, EOI})


class Segment(NamedTuple):
    """One marker and its parameters.

    Attributes:
        marker: second byte of the marker, 0x01 to 0xFE.
        start: offset of its parameters, after marker and length; equal to ``end`` for a bare marker.
        end: offset after them; may lie past the data at hand. Below ``start``: the length is impossible.
    """

    marker: int
    start: int
    end: int

    @property
    def is_frame(self) -> bool:
        """Whether it is a frame header (SOF)."""
        return self.marker in _FRAMES


def segments(data: bytes) -> Iterator[Segment]:
    """Segments from the start of image on, until the end of the image or of the data.

    Segments are stepped over by their length, so that what stands inside one (a thumbnail with its own end
    of image) isn't seen. Scan data and stray bytes are searched for the next marker. The last segment
    given may end past the data, or have an impossible length.
    """
    position = len(SOI)
    while (found := _MARKER.search(data, position)) is not None:
        segment = _segment(data, found.end())
        yield segment
        if segment.marker == EOI or segment.end < segment.start:
            return
        position = segment.end


def _segment(data: bytes, after: int) -> Segment:
    marker = data[after - 1]
    if marker in _STANDALONE:
        return Segment(marker, after, after)
    start = after + _SIZE_FIELD
    if start > len(data):
        return Segment(marker, start, start)
    return Segment(marker, start, after + int.from_bytes(data[after:start], "big"))
