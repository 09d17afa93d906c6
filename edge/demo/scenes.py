"""What the virtual cameras see: animals, cut out of photographs, in front of places, in some light.

The photographs are in the public domain or under CC0; ``pictures/SOURCES.md`` names each. A scene is
composed when it is needed, and the same scene always gives the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

Pixels = npt.NDArray[np.uint8]
Light = Literal["day", "dusk", "night"]
Picture = Literal["bison", "boar", "dog", "jaguar", "person"]

SIZE = (1536, 960)


@dataclass(frozen=True, slots=True)
class Place:
    """A camera's field of view: part of a photograph without animals.

    Attributes:
        picture: ``meadow`` or ``woodland``.
        left, top, right, bottom: which part of it, relative.
        mirrored: left and right swapped.
    """

    picture: Literal["meadow", "woodland"]
    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """An animal or a person in the picture.

    Attributes:
        picture: which cut-out.
        x: its middle, relative to the width.
        height: relative to the height.
        foot: where it stands, relative to the height; over 1 is cut off by the edge.
        mirrored: left and right swapped.
    """

    picture: Picture
    x: float
    height: float
    foot: float = 0.93
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """One image: figures are drawn in order, the farthest first. ``seed`` is for the sensor's noise."""

    place: Place
    figures: tuple[Figure, ...] = ()
    light: Light = "day"
    seed: int = 0


def compose(scene: Scene, size: tuple[int, int] = SIZE) -> Pixels:
    """Draw a scene: HWC uint8 RGB of ``size`` (width, height)."""
    canvas = _background(scene.place, size).copy()
    for figure in scene.figures:
        _draw(canvas, figure)
    return _lit(np.asarray(canvas, np.float32), scene.light, scene.seed)


@cache
def _picture(name: str) -> Image.Image:
    file = resources.files("edge.demo") / "pictures" / f"{name}.webp"
    with file.open("rb") as stream, Image.open(stream) as image:
        return image.convert("RGBA" if image.mode == "RGBA" else "RGB")


@cache
def _background(place: Place, size: tuple[int, int]) -> Image.Image:
    image = _picture(place.picture)
    box = (
        place.left * image.width,
        place.top * image.height,
        place.right * image.width,
        place.bottom * image.height,
    )
    view = image.resize(size, Image.Resampling.BICUBIC, box=box)
    return view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if place.mirrored else view


def _draw(canvas: Image.Image, figure: Figure) -> None:
    cut = _picture(figure.picture)
    height = round(figure.height * canvas.height)
    cut = cut.resize((round(cut.width * height / cut.height), height), Image.Resampling.LANCZOS)
    if figure.mirrored:
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    left = round(figure.x * canvas.width - cut.width / 2)
    foot = round(figure.foot * canvas.height)
    _shade(canvas, (left, foot - height // 12, left + cut.width, foot + height // 30))
    canvas.paste(cut, (left, foot - height), cut)


def _shade(canvas: Image.Image, box: tuple[int, int, int, int]) -> None:
    """A soft shadow on the ground; without one, cut-outs float."""
    shadow = Image.new("L", canvas.size, 0)
    ImageDraw.Draw(shadow).ellipse(box, fill=110)
    shadow = shadow.filter(ImageFilter.GaussianBlur(canvas.height / 90))
    canvas.paste((18, 20, 14), (0, 0), shadow)


def _lit(image: npt.NDArray[np.float32], light: Light, seed: int) -> Pixels:
    """Daylight, dusk, or the grey of an infrared flash: HWC float 0 to 255 to HWC uint8."""
    random = np.random.default_rng(seed)
    noise = random.normal(0.0, {"day": 1.5, "dusk": 3.0, "night": 5.0}[light], image.shape[:2])[..., None]
    if light == "dusk":
        image = image * np.asarray([0.66, 0.60, 0.68], np.float32)
    elif light == "night":
        image = _infrared(image)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _infrared(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Grey, bright in the middle and dark at the edges, as flash light falls off."""
    grey = image @ np.asarray([0.35, 0.50, 0.15], np.float32)
    height, width = grey.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot(x / width - 0.5, y / height - 0.55)
    fall = np.clip(1.15 - 1.3 * distance, 0.12, 1.0) * 0.85
    return np.repeat((grey * fall)[..., None], 3, axis=-1)
