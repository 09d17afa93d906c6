"""Infrared or not, from pixels alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings, strategies as st

from edge.vision.decode import Pixels, decode, read_header, reduction
from edge.vision.night import is_night
from tests.shared import shared
from tests.vision import toy

ROWS, COLUMNS = 480, 640
INFRARED = {"IMG_1160", "IMG_8968", "RCNX1419"} | {
    str(n) for n in (2480, 2573, 2595, 2968, 2999, 3084, 4330, 4383, 4451, 6039, 8200, 8786, 9455)
}
"""Of the real images, as a person sees them; the heron's ten are infrared too."""
BY_WHITE_FLASH = "AREAS 28_20051017_1554"
"""Nearly black, with a pale animal in it: night by its look, although it is in colour."""


def _grey(seed: int = 0) -> Pixels:
    """A landscape without colour: broad shapes and fine grain."""
    random = np.random.default_rng(seed)
    broad = cv2.resize(
        random.uniform(10, 230, (9, 12)).astype(np.float32), (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC
    )
    grain = random.normal(0, 12, (ROWS, COLUMNS))
    grey: Pixels = np.clip(broad + grain, 0, 255).astype(np.uint8)
    return grey[..., None].repeat(3, axis=2)


def _coloured(seed: int = 0, strength: float = 1.0) -> Pixels:
    """The same with leaves and soil on it, in colour."""
    random = np.random.default_rng(seed)
    patches = random.choice(np.array([[-25, 15, -30], [25, 0, -25], [0, 5, 25]]), (30, 40))
    colours = np.asarray(
        cv2.resize(patches.astype(np.float32), (COLUMNS, ROWS), interpolation=cv2.INTER_NEAREST)
    )
    image: Pixels = np.clip(_grey(seed) + strength * colours, 0, 255).astype(np.uint8)
    return image


def _tinted(image: Pixels, gains: tuple[float, float, float]) -> Pixels:
    tinted: Pixels = np.clip(image * np.array(gains), 0, 255).astype(np.uint8)
    return tinted


def _through_jpeg(image: Pixels, quality: int) -> Pixels:
    data = toy.jpeg(image, quality=quality, subsampling=2)
    pixels: Pixels = decode(data, read_header(data, max_pixels=10**8))
    return pixels


def _noisy(image: Pixels, spread: float) -> Pixels:
    noise = np.random.default_rng(1).normal(0, spread, image.shape)
    noisy: Pixels = np.clip(image + noise, 0, 255).astype(np.uint8)
    return noisy


@pytest.mark.parametrize("gains", [(1.0, 1.0, 1.0), (1.1, 0.9, 1.15), (0.9, 1.1, 0.95), (1.2, 0.85, 1.1)])
@pytest.mark.parametrize("quality", [50, 90])
def test_tint_and_noise_are_no_colour(gains: tuple[float, float, float], quality: int) -> None:
    """Cameras tint their night images and sensors are noisy; neither makes them images by day."""
    image = _through_jpeg(_noisy(_tinted(_grey(), gains), 8), quality)
    assert is_night(image)


@pytest.mark.parametrize("quality", [30, 90])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_colours_are_seen(strength: float, quality: int) -> None:
    """Also pale ones, and in a file that was squeezed."""
    assert not is_night(_through_jpeg(_coloured(strength=strength), quality))


def test_cast_over_colours_does_not_hide_them() -> None:
    """A wrong white balance by day is no night."""
    assert not is_night(_tinted(_coloured(), (1.2, 0.9, 0.8)))


def test_strips_and_logos_do_not_count() -> None:
    """Whatever colours a camera writes with at the top and the bottom."""
    image = _grey()
    image[:40], image[-44:] = (255, 120, 0), (0, 80, 255)
    image[300:360, 560:] = (20, 160, 40)  # and a maker's mark within the picture
    assert is_night(image)


def test_blue_sky_over_snow_is_a_day() -> None:
    """Grey below and blue above, of about one brightness: a third in colour is enough."""
    image = np.clip(_grey().astype(int) // 4 + 170, 0, 255).astype(np.uint8)
    image[: ROWS * 2 // 5] = (150, 190, 235)
    assert not is_night(image)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (17, 23)])
def test_images_of_any_shape_are_judged(shape: tuple[int, int]) -> None:
    """Smaller than what they are cut down to, too."""
    assert is_night(np.full((*shape, 3), 40, np.uint8))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**16), gain=st.floats(0.3, 1.0), flip=st.booleans())
def test_light_and_mirroring_change_nothing(seed: int, gain: float, flip: bool) -> None:
    """Grey stays grey however dark, from either side."""
    image: npt.NDArray[np.uint8] = (_grey(seed) * gain).astype(np.uint8)
    assert is_night(image[:, ::-1] if flip else image)


def test_image_is_not_changed() -> None:
    """It goes on to the models."""
    image = _coloured()
    before = image.copy()
    is_night(image)
    np.testing.assert_array_equal(image, before)


def test_real_images_are_told_apart() -> None:
    """All infrared ones are, and none by daylight: 26, and 44 in colour but for one."""
    found, meant = set(), set()
    for path in _real():
        data = path.read_bytes()
        header = read_header(data, max_pixels=10**8)
        if is_night(decode(data, header, reduction(*header.upright_size, 640, 640))):
            found.add(path.stem)
        if path.stem in INFRARED or "camtrap-dp" in path.parts:
            meant.add(path.stem)
    assert len(meant) == 26
    assert found - {BY_WHITE_FLASH} == meant


def _real() -> list[Path]:
    found = [p for p in shared("data").rglob("*") if p.suffix.lower() == ".jpg"]
    assert len(found) == 70
    return found
