"""Which pixels of an image the classifier sees for a box."""

from __future__ import annotations

from typing import NamedTuple

from edge.vision.preprocess import Pixels

Corners = tuple[float, float, float, float]
"""A box: left, top, right, bottom, 0 to 1 of the image's sides."""


class Region(NamedTuple):
    """A rectangle of pixels: left, top (included), right, bottom (excluded)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def longer(self) -> int:
        """Its longer side, pixels."""
        return max(self.right - self.left, self.bottom - self.top)

    def of(self, image: Pixels) -> Pixels:
        """The pixels, as a view."""
        return image[self.top : self.bottom, self.left : self.right]


def region(box: Corners, margin: float, width: int, height: int) -> Region:
    """The square around a box, with a margin, as far as the image has one.

    A square keeps the animal's proportions when it is resized to a square input. Near an edge it is moved
    inwards rather than cut; where the image is too small for it, it takes all there is.

    Args:
        box: left, top, right, bottom, 0 to 1.
        margin: added on every side, as a share of the box's longer side.
        width: of the image, pixels.
        height: of the image, pixels.
    """
    left, top, right, bottom = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    side = max(right - left, bottom - top) * (1 + 2 * margin)
    across = _interval((left + right) / 2, side, width)
    down = _interval((top + bottom) / 2, side, height)
    return Region(across[0], down[0], across[1], down[1])


def _interval(centre: float, length: float, limit: int) -> tuple[int, int]:
    size = min(max(1, round(length)), limit)
    start = min(max(0, round(centre - size / 2)), limit - size)
    return start, start + size
