"""Pictures for calibrating that come with the exporter, the same on every machine.

A camera trap sees dim, noisy, mostly textured scenes, half of them in infrared. The few free pictures that
come with the exporter are cropped, pasted onto textures, turned grey, darkened and made noisy, all from one
seed. A user's own pictures (``--calibration``) are better still.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ExportError

Image = NDArray[np.uint8]
PHOTOS = ("raccoon", "chelsea", "coffee", "astronaut", "rocket")
TEXTURES = ("grass", "gravel", "brick")
CALIBRATION_SEED, HELD_OUT_SEED = 7, 99
_IMAGES = Path(__file__).with_name("images")


def scenes(count: int, width: int, height: int, seed: int) -> list[Image]:
    """Made-up camera-trap scenes, HWC uint8 RGB of the given size; the same for the same arguments."""
    random = np.random.default_rng(seed)
    sharp, textures = photos(PHOTOS), photos(TEXTURES)
    return [_scene(random, sharp, textures, index, (width, height)) for index in range(count)]


def photos(names: Sequence[str]) -> list[Image]:
    """Pictures that come with the exporter, by name, HWC uint8 RGB."""
    return [_read(_IMAGES / f"{name}.jpg") for name in names]


def fitted(pictures: Sequence[Image], width: int, height: int) -> list[Image]:
    """Pictures resized to a graph's input, proportions given up, as the detector's input is."""
    return [_resize(picture, (width, height)) for picture in pictures]


def _scene(
    random: np.random.Generator,
    sharp: list[Image],
    textures: list[Image],
    index: int,
    size: tuple[int, int],
) -> Image:
    """Every third picture a photo, a photo pasted on a texture, a photo in infrared's grey."""
    photo = _part(random, sharp[index % len(sharp)], size)
    if index % 3 == 1:
        background = _part(random, textures[index % len(textures)], size)
        photo = _paste(random, background, sharp[int(random.integers(len(sharp)))])
    elif index % 3 == 2:
        photo = np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2).astype(np.uint8)
    return _exposed(random, photo)


def _part(random: np.random.Generator, picture: Image, size: tuple[int, int]) -> Image:
    """Half to all of a picture at a random place, mirrored or not."""
    share = random.uniform(0.5, 1)
    height, width = (int(side * share) for side in picture.shape[:2])
    top = int(random.integers(picture.shape[0] - height + 1))
    left = int(random.integers(picture.shape[1] - width + 1))
    part = _resize(picture[top : top + height, left : left + width], size)
    return part[:, ::-1] if random.random() < 0.5 else part


def _paste(random: np.random.Generator, background: Image, photo: Image) -> Image:
    """A photo, small, somewhere on a background."""
    height, width = background.shape[:2]
    side = int(min(height, width) * random.uniform(0.15, 0.6))
    top, left = int(random.integers(height - side)), int(random.integers(width - side))
    scene = background.copy()
    scene[top : top + side, left : left + side] = _resize(photo, (side, side))
    return scene


def _exposed(random: np.random.Generator, picture: Image) -> Image:
    """Another exposure, haze and sensor noise."""
    light = (picture / 255.0) ** random.uniform(0.6, 2.2) * random.uniform(0.5, 1.1)
    noisy = light * 255 + random.uniform(0, 20) + random.normal(0, random.uniform(0, 8), picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _resize(picture: Image, size: tuple[int, int]) -> Image:
    shrinks = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    return np.asarray(
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR), np.uint8
    )


def _read(path: Path) -> Image:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ExportError("picture can't be read", subject=str(path))
    return np.ascontiguousarray(picture[:, :, ::-1]).astype(np.uint8)
