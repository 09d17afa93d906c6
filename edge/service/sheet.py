"""A contact sheet: what was found, as one JPEG to look at, print or send."""

from __future__ import annotations

import io
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from edge.errors import UsageError
from edge.vision.blur import blur
from edge.vision.crops import Corners
from edge.vision.decode import Pixels, decode, read_header, reduction
from edge.vision.foreign import as_jpeg

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

WIDTH, HEIGHT = 320, 240
"""Of a picture on the sheet, pixels at most."""
MOST: Final = 400
"""Pictures on a sheet: a JPEG has at most 65,500 pixels on a side, and nobody looks at more."""
_COLUMNS: Final = 4
_GAP: Final = 10
_LINE: Final = 18
_FONT: Final = 14
_LONGEST: Final = 500
_QUALITY: Final = 88
_PAPER, _INK, _MISSING = "#ffffff", "#202020", "#d8d8d8"


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture on the sheet.

    Attributes:
        picture: (height, width, 3) uint8 RGB, people already made unrecognisable; None: it is gone.
        lines: below it, from the top; what is too long is cut.
    """

    picture: Pixels | None
    lines: tuple[str, ...]


def thumbnail(data: bytes, people: Sequence[Corners], max_pixels: int) -> Pixels:
    """A picture at the size of a tile, with people made unrecognisable.

    Args:
        data: of any kind that :func:`edge.vision.foreign.as_jpeg` takes.
        people: their boxes, left, top, right, bottom, 0 to 1.
        max_pixels: a picture with more is refused before it is decoded.

    Raises:
        ImageError: it can't be decoded.
    """
    jpeg = as_jpeg(data, max_pixels)
    header = read_header(jpeg, max_pixels=max_pixels)
    image = decode(jpeg, header, reduction(*header.upright_size, WIDTH, HEIGHT))
    height, width = image.shape[:2]
    scale = min(1.0, WIDTH / width, HEIGHT / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    for box in people:
        blur(small, box)
    return small


def contact_sheet(tiles: Sequence[Tile], title: str = "") -> bytes:
    """Lay pictures out in rows, first to last as they are read, each with its lines.

    Args:
        tiles: at least one, ``MOST`` at most.
        title: above them.

    Returns:
        a JPEG without metadata.

    Raises:
        UsageError: none, or too many.
    """
    if not tiles:
        raise UsageError("nothing was found that could be put on a sheet")
    if len(tiles) > MOST:
        raise UsageError(f"{len(tiles)} pictures are too many for one sheet", hint=f"{MOST} at most: --top")
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - 30 ms that only a sheet should cost

    font = ImageFont.load_default(_FONT)
    columns = min(_COLUMNS, len(tiles))
    below = max(len(tile.lines) for tile in tiles) * _LINE
    step_x, step_y = WIDTH + _GAP, HEIGHT + below + _GAP
    top = _GAP + (_LINE + _GAP if title else 0)
    sheet = Image.new("RGB", (_GAP + columns * step_x, top + -(-len(tiles) // columns) * step_y), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(draw, (_GAP, _GAP), title, font, sheet.width - 2 * _GAP)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        left, upper = _GAP + column * step_x, top + row * step_y
        if tile.picture is None:
            draw.rectangle((left, upper, left + WIDTH - 1, upper + HEIGHT - 1), _MISSING)
            _write(draw, (left + _GAP, upper + _GAP), "the picture is gone", font, WIDTH - 2 * _GAP)
        else:
            height, width = tile.picture.shape[:2]
            place = (left + (WIDTH - width) // 2, upper + (HEIGHT - height) // 2)
            sheet.paste(Image.fromarray(tile.picture), place)
        for index, line in enumerate(tile.lines):
            _write(draw, (left, upper + HEIGHT + 2 + index * _LINE), line, font, WIDTH)
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    font: Font,
    width: int,
) -> None:
    """One line, its middle left out where it is too long: a path's end says more than its middle."""
    plain = " ".join(text.split())[:_LONGEST]
    if draw.textlength(plain, font=font) > width:
        # The most letters that fit, found by halving: measuring each length would take a while.
        kept = bisect_right(
            range(1, len(plain)), width, key=lambda n: _length(draw, _shortened(plain, n), font)
        )
        plain = _shortened(plain, kept)
    draw.text(place, plain, _INK, font)


def _length(draw: ImageDraw.ImageDraw, text: str, font: Font) -> int:
    return math.ceil(draw.textlength(text, font=font))


def _shortened(text: str, kept: int) -> str:
    """So many of its letters, a third of them from its beginning."""
    return f"{text[: kept // 3]}…{text[len(text) - (kept - kept // 3) :]}"
