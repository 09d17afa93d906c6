"""JPEG bytes to pixels, no larger than needed, and only if the decoder reached the image's end.

libjpeg goes on after damage and paints grey; neither OpenCV nor Pillow says so (both take a file with
a hole in the middle, or one cut at 60 % that ends in a marker). libjpeg-turbo in its strict mode stops
at the first warning, at the same speed, and that is what counts as certainty here.

A JPEG can be decoded at 1/2, 1/4 and 1/8 of its size by transforming fewer coefficients of each
block. Entropy decoding remains, so half of the time is saved, and all of the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import simplejpeg

from edge.errors import ImageError
from edge.vision.exif import orientation
from edge.vision.mend import mend

Pixels = npt.NDArray[np.uint8]
FACTORS: Final = (8, 4, 2)
_START: Final = b"\xff\xd8"
_SIDES_SWAPPED: Final = frozenset({5, 6, 7, 8})


@dataclass(frozen=True, slots=True)
class Header:
    """What a JPEG says of itself before any pixel is decoded.

    Attributes:
        width, height: in pixels, as stored (before orientation).
        colorspace: as stored: ``YCbCr``, ``RGB``, ``Gray``, ``CMYK`` or ``YCCK``.
        orientation: EXIF orientation, 1 to 8.
    """

    width: int
    height: int
    colorspace: str
    orientation: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height as a person sees the image."""
        if self.orientation in _SIDES_SWAPPED:
            return self.height, self.width
        return self.width, self.height


def read_header(data: bytes, *, max_pixels: int) -> Header:
    """Read size, colours and orientation; nothing is decoded.

    Args:
        data: a whole JPEG file.
        max_pixels: an image with more is refused before memory is taken for it.

    Raises:
        ImageError: not a JPEG, its header is damaged, or it is larger than allowed.
    """
    if not data.startswith(_START):
        raise ImageError("not a JPEG image", hint="its first bytes are of another kind of file")
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except (ValueError, KeyError) as error:  # the latter from colours that it has no name for
        raise ImageError("header of the image can't be read", hint=_reason(error)) from error
    if int(width) * int(height) > max_pixels:
        raise ImageError(
            f"image of {width} x {height} pixels is larger than allowed",
            hint=f"the limit is intake.max_pixels = {max_pixels}",
        )
    return Header(int(width), int(height), str(colorspace), orientation(data))


def reduction(width: int, height: int, need_width: int, need_height: int) -> int:
    """The largest factor (1, 2, 4 or 8) that leaves an image at least as large as needed on both sides."""
    for factor in FACTORS:
        if -(-width // factor) >= need_width and -(-height // factor) >= need_height:
            return factor
    return 1


def decode(data: bytes, header: Header, factor: int = 1) -> Pixels:
    """Decode a whole JPEG at a fraction of its size, upright.

    Args:
        data: a whole JPEG file, baseline or progressive, colour, grey or CMYK.
        header: from :func:`read_header` on the same bytes.
        factor: 1, 2, 4 or 8; sides are divided by it and rounded up.

    Returns:
        HWC uint8, RGB, C-contiguous, orientation applied.

    Raises:
        ImageError: the decoder didn't reach the image's end, or met damage on its way.
    """
    try:
        pixels = _decode(data, header, factor)
    except ValueError as error:
        pixels = _second_look(data, header, factor, error)
    return upright(pixels, header.orientation)


def _decode(data: bytes, header: Header, factor: int) -> Pixels:
    pixels: Pixels = simplejpeg.decode_jpeg(
        data,
        "RGB",
        min_width=-(-header.width // factor),
        min_height=-(-header.height // factor),
        strict=True,
    )
    return pixels


def _second_look(data: bytes, header: Header, factor: int, error: ValueError) -> Pixels:
    mended = mend(data)
    if mended == data:
        raise _damaged(error) from error
    try:
        return _decode(mended, header, factor)
    except ValueError as again:
        raise _damaged(again) from again


def _damaged(error: ValueError) -> ImageError:
    return ImageError("image is cut off or damaged", hint=f"the decoder says: {_reason(error)}")


def _reason(error: Exception) -> str:
    return str(error).rsplit("(): ", 1)[-1].strip() or type(error).__name__


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn and mirror stored pixels (HWC) as EXIF's orientation (1 to 8) asks; C-contiguous."""
    view: npt.NDArray[Any] = pixels
    if orientation in _SIDES_SWAPPED:
        view = view.swapaxes(0, 1)
    # After the transposition, 5 is done; 6 and 7 still need their columns turned, 7 and 8 their rows.
    if orientation in {2, 3, 6, 7}:
        view = view[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        view = view[::-1]
    return np.ascontiguousarray(view)
