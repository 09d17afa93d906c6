"""Pixels to a graph's input, the same on the device and where bundles are calibrated.

Everything that differs between graphs is in :class:`~edge.vision.manifest.ImageInput`. Images are HWC
uint8 RGB; results are written into arrays that the caller may use again for the next image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from edge.vision.manifest import ImageInput

Pixels = npt.NDArray[np.uint8]
Tensor = npt.NDArray[Any]

_INTERPOLATIONS: Final = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "cubic": cv2.INTER_CUBIC}
_HARDLY_SMALLER: Final = 1.15
"""OpenCV's bicubic reads 4 x 4 pixels however much it shrinks. From here on, means of areas are nearer to the
antialiased bicubic of PIL, which image models are trained with."""
_PADDING: Final = 114  # the grey that YOLO's letterbox was trained with


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the image lies on a graph's input, in input pixels.

    Attributes:
        left, top: its upper left corner; negative where the input shows only its middle.
        width, height: its size there.
    """

    left: float
    top: float
    width: float
    height: float

    def relative(self, boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Boxes on the input to boxes on the image.

        Args:
            boxes: (n, 4) float32, left, top, right, bottom, input pixels.

        Returns:
            (n, 4) float32, the same corners, 0 to 1 of the image's sides, clipped to it.
        """
        origin = np.array([self.left, self.top, self.left, self.top], np.float32)
        size = np.array([self.width, self.height, self.width, self.height], np.float32)
        relative: npt.NDArray[np.float32] = np.clip((boxes - origin) / size, 0.0, 1.0)
        return relative


def place(image_width: int, image_height: int, spec: ImageInput) -> Placement:
    """Where an image of a size comes to lie on the input: stretched, letterboxed, or its middle cropped."""
    if spec.resize == "stretch":
        return Placement(0, 0, spec.width, spec.height)
    if spec.resize == "crop":
        return _middle(image_width, image_height, spec)
    scale = min(spec.width / image_width, spec.height / image_height)
    width, height = max(1, round(image_width * scale)), max(1, round(image_height * scale))
    return Placement((spec.width - width) // 2, (spec.height - height) // 2, width, height)


def _middle(image_width: int, image_height: int, spec: ImageInput) -> Placement:
    """The shorter side made to fit and the longer one cut, to the pixel as CLIP's own preprocessing does."""
    width = max(spec.width, spec.height * image_width // image_height)
    height = max(spec.height, spec.width * image_height // image_width)
    return Placement(-((width - spec.width) // 2), -((height - spec.height) // 2), width, height)


def allocate(spec: ImageInput, batch: int = 1) -> Tensor:
    """An array for a batch of inputs, in the graph's layout and dtype."""
    shape = (spec.height, spec.width, 3) if spec.layout == "NHWC" else (3, spec.height, spec.width)
    return np.empty((batch, *shape), np.dtype(spec.dtype))


class Preprocessor:
    """Writes images into a graph's input. Keeps a buffer: one instance for each thread.

    Args:
        spec: how the graph wants its input.
    """

    def __init__(self, spec: ImageInput) -> None:
        self.spec = spec
        self._canvas = np.empty((spec.height, spec.width, 3), np.uint8)
        self._tables = _tables(spec)

    def __call__(self, image: Pixels, out: Tensor) -> Placement:
        """Write one image.

        Args:
            image: HWC uint8 RGB; a view into a larger image will do.
            out: one sample of the input, e.g. ``batch[0]`` of :func:`allocate`'s; every value is written.

        Returns:
            where the image lies on the input.
        """
        placement = place(image.shape[1], image.shape[0], self.spec)
        direct = self._tables is None and self.spec.layout == "NHWC" and self.spec.dtype == "uint8"
        canvas = out if direct else self._canvas
        self._resize(image, placement, canvas)
        if not direct:
            self._normalise(canvas, out)
        return placement

    def _resize(self, image: Pixels, placement: Placement, canvas: Pixels) -> None:
        left, top = int(placement.left), int(placement.top)
        width, height = int(placement.width), int(placement.height)
        method = _INTERPOLATIONS[self.spec.interpolation]
        if method == cv2.INTER_CUBIC and image.shape[0] > height * _HARDLY_SMALLER:
            method = cv2.INTER_AREA
        if method == cv2.INTER_AREA:
            image = _halved(image, width, height)
        if (width, height) == (self.spec.width, self.spec.height):
            cv2.resize(image, (width, height), dst=canvas, interpolation=method)
            return
        resized = np.asarray(cv2.resize(image, (width, height), interpolation=method))
        if self.spec.resize == "letterbox":
            canvas[:] = _PADDING
            canvas[top : top + height, left : left + width] = resized
        else:
            canvas[:] = resized[-top : -top + self.spec.height, -left : -left + self.spec.width]

    def _normalise(self, canvas: Pixels, out: Tensor) -> None:
        planes = out if self.spec.layout == "NCHW" else out.transpose(2, 0, 1)
        for channel in range(3):
            if self._tables is None:
                planes[channel] = canvas[..., channel]
            else:
                # 256 possible results: looking them up is faster than computing each pixel's.
                planes[channel] = self._tables[channel][canvas[..., channel]]


def _halved(image: Pixels, width: int, height: int) -> Pixels:
    """Means of 2 x 2 pixels while half as much again as the size remains: OpenCV is fast at just this."""
    while not image.shape[0] % 2 and not image.shape[1] % 2:
        rows, columns = image.shape[0] // 2, image.shape[1] // 2
        if rows * 2 < height * 3 or columns * 2 < width * 3:
            break
        image = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    return image


def _tables(spec: ImageInput) -> npt.NDArray[np.float32] | None:
    if spec.mean is None and spec.std is None:
        return None
    mean = np.array(spec.mean or (0.0, 0.0, 0.0), np.float32)
    std = np.array(spec.std or (1.0, 1.0, 1.0), np.float32)
    table: npt.NDArray[np.float32] = (np.arange(256, dtype=np.float32) - mean[:, None]) / std[:, None]
    return table
