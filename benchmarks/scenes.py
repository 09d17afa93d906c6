"""Places without animals, made of noise, gradients and simple shapes: what a false alarm is counted on.

The same seed always gives the same pixels. Half of them are by day, half in the light of an infrared flash.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

Pixels = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]


def empty_scene(seed: int, width: int = 2048, height: int = 1536) -> Pixels:
    """A place: ground, sky or forest edge, trunks, stones, grass, a camera's strip. HWC uint8 RGB.

    Odd seeds are nights.
    """
    random = np.random.default_rng(seed)
    night = bool(seed % 2)
    horizon = int(height * random.uniform(0.05, 0.5))
    image = _ground(random, width, height, horizon)
    for _ in range(int(random.integers(0, 9))):
        _trunk(random, image, horizon)
    for _ in range(int(random.integers(0, 7))):
        _stone(random, image, horizon)
    _grass(random, image, horizon)
    seen = _infrared(random, image) if night else _daylight(random, image)
    _strip(seen, seed)
    return seen


def jpeg(pixels: Pixels, quality: int = 88) -> bytes:
    """A baseline JPEG with the colour subsampling that cameras use."""
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=quality, colorspace="RGB", colorsubsampling="422"
    )
    return encoded


def noise(random: np.random.Generator, width: int, height: int) -> Field:
    """Noise with detail at every scale, as ground and leaves have it; about -1 to 1."""
    total = np.zeros((height, width), np.float32)
    cells, weight = 6, 1.0
    while cells < width:
        grid = random.normal(0, 1, (max(2, cells * height // width), cells)).astype(np.float32)
        total += weight * np.asarray(
            cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), np.float32
        )
        cells, weight = cells * 3, weight * 0.62
    scaled: Field = total / np.float32(2.5)
    return scaled


def _ground(random: np.random.Generator, width: int, height: int, horizon: int) -> Field:
    soil = np.array([random.uniform(80, 140), random.uniform(80, 130), random.uniform(40, 80)], np.float32)
    sky = np.array([random.uniform(120, 200), random.uniform(140, 210), random.uniform(150, 230)], np.float32)
    image = np.empty((height, width, 3), np.float32)
    image[:] = soil
    image[:horizon] = sky if random.random() < 0.5 else soil * 0.6
    texture = noise(random, width, height)
    texture[:horizon] *= 0.4
    image *= 1 + 0.35 * texture[..., None]
    return image


def _trunk(random: np.random.Generator, image: Field, horizon: int) -> None:
    height, width = image.shape[:2]
    x, thick = int(random.uniform(0, width)), int(random.uniform(0.01, 0.05) * width)
    lean = int(random.normal(0, 0.03) * width)
    foot = int(random.uniform(horizon, height))
    shade = random.uniform(25, 90)
    cv2.line(image, (x + lean, 0), (x, foot), (shade * 1.1, shade, shade * 0.8), thick)


def _stone(random: np.random.Generator, image: Field, horizon: int) -> None:
    height, width = image.shape[:2]
    size = random.uniform(0.01, 0.08) * width
    centre = (int(random.uniform(0, width)), int(random.uniform(horizon, height)))
    axes = (int(size), int(size * random.uniform(0.4, 0.8)))
    shade = random.uniform(70, 170)
    cv2.ellipse(image, centre, axes, random.uniform(-20, 20), 0, 360, (shade, shade, shade * 0.95), -1)


def _grass(random: np.random.Generator, image: Field, horizon: int) -> None:
    height, width = image.shape[:2]
    for _ in range(int(random.integers(50, 600))):
        x, y = int(random.uniform(0, width)), int(random.uniform(horizon, height))
        tip = (x + int(random.normal(0, 25)), y - int(random.uniform(20, 120)))
        shade = random.uniform(60, 160)
        cv2.line(image, (x, y), tip, (shade * 0.8, shade, shade * 0.4), int(random.integers(1, 4)))


def _daylight(random: np.random.Generator, image: Field) -> Pixels:
    light = np.linspace(random.uniform(0.8, 1.2), random.uniform(0.6, 1.1), image.shape[1], dtype=np.float32)
    grain = random.normal(0, 4, image.shape).astype(np.float32)
    lit: Pixels = np.clip(image * light[None, :, None] + grain, 0, 255).astype(np.uint8)
    return lit


def _infrared(random: np.random.Generator, image: Field) -> Pixels:
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    centre = random.uniform(0.3, 0.7, 2)
    distance = ((x / width - centre[0]) ** 2 + (y / height - centre[1]) ** 2) / np.float32(
        random.uniform(0.05, 0.3)
    )
    grey = image.mean(2) * np.exp(-distance) * np.float32(random.uniform(0.8, 1.6))
    grainy = grey + random.normal(0, 7, grey.shape).astype(np.float32)
    return np.repeat(np.clip(grainy, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _strip(image: Pixels, seed: int) -> None:
    height = image.shape[0]
    top = int(height * 0.955)
    image[top:] = 0
    place, scale = (20, height - 15), height / 1400
    cv2.putText(
        image, f"CAM{seed:02}  2024-05-{1 + seed % 28:02} 06:30:00  11C", place, 0, scale, (255,) * 3, 2
    )
