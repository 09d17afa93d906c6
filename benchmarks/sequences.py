"""The shared images as sequences of visits: real ones by camera and time, and composed ones.

Composed: each cut-out animal visits a place of its own three times a minute apart, moving and coming nearer;
every fourth visit is a pair; an hour lies between visits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.scenes import Pixels, empty_scene, jpeg
from export import choice, evaluation
from export.evaluation import Frame

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
_FRAMES = 3
_SIZE = (1536, 1152)
_PAIR_EVERY = 4
COMPOSED = "composed"


def real(folder: Path, name: str = "") -> tuple[Frame, ...]:
    """Images of a folder; deployments are its folders, or ``name`` where it has none."""
    chosen = choice.choose(folder, 100_000)
    frames = evaluation.frames(folder, chosen.pictures)
    return tuple(replace(frame, deployment=name) for frame in frames) if name else frames


def composed(cutouts: Path) -> tuple[Frame, ...]:
    """Three frames for each cut-out; each is painted when it is read."""
    return tuple(
        Frame(
            f"{path.stem}-{number}.jpg",
            COMPOSED,
            visit * HOUR_MS + number * MINUTE_MS,
            True,
            partial(paint, path, visit, number),
        )
        for visit, path in enumerate(sorted(cutouts.glob("*.png")))
        for number in range(_FRAMES)
    )


def everything(data: Path) -> tuple[Frame, ...]:
    """All that the shared data has of images."""
    return (
        *real(data / "trap-images"),
        *real(data / "camtrap-dp" / "example" / "media", "camtrap-dp"),
        *composed(data / "cutouts"),
    )


def paint(cutout: Path, visit: int, number: int) -> bytes:
    """One frame of a composed visit as a JPEG; the same every time."""
    scene = empty_scene(1000 + visit, *_SIZE)
    animal = cv2.imread(str(cutout), cv2.IMREAD_UNCHANGED)
    assert animal is not None, cutout
    random = np.random.default_rng(visit)
    night = bool(visit % 2)
    for left in _places(random, visit, number):
        height = int(_SIZE[1] * (0.22 + 0.1 * number + 0.1 * random.random()))
        _paste(scene, np.asarray(animal, np.uint8), left, height, night=night)
    return jpeg(scene)


def _places(random: np.random.Generator, visit: int, number: int) -> Sequence[float]:
    """Where animals stand, as a share of the width left over: one, or two apart."""
    start = float(random.uniform(0.0, 0.25)) + 0.15 * number
    return (start, start + 0.45) if visit % _PAIR_EVERY == _PAIR_EVERY - 1 else (start,)


def _paste(scene: Pixels, animal: Pixels, left: float, height: int, *, night: bool) -> None:
    """Blend a cut-out (BGRA or grey with alpha) onto the ground, a third from below."""
    scale = min(height / animal.shape[0], scene.shape[1] / 2 / animal.shape[1])
    height, width = int(animal.shape[0] * scale), int(animal.shape[1] * scale)
    small = np.asarray(cv2.resize(animal, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    colour, alpha = small[:, :, 2::-1], small[:, :, 3:] / 255
    if night:
        colour = np.repeat(colour.mean(axis=2, keepdims=True), 3, axis=2)
    top = int(scene.shape[0] * 0.9) - height
    x = int(left * (scene.shape[1] - width))
    part = scene[top : top + height, x : x + width]
    part[:] = (alpha * colour * 0.8 + (1 - alpha) * part).astype(np.uint8)
