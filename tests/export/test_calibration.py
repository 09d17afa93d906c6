from __future__ import annotations

import numpy as np
import pytest

from edge.errors import ExportError
from export.calibration import CALIBRATION_SEED, HELD_OUT_SEED, fitted, photos, scenes


def test_scenes_are_the_same_every_time() -> None:
    """The same seed gives the same pixels, another seed others."""
    first, again = scenes(4, 64, 48, CALIBRATION_SEED), scenes(4, 64, 48, CALIBRATION_SEED)
    other = scenes(4, 64, 48, HELD_OUT_SEED)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_scenes_have_the_asked_size_and_some_are_grey() -> None:
    """HWC uint8; every third is as infrared light makes it, up to noise."""
    made = scenes(6, 64, 48, CALIBRATION_SEED)
    assert {scene.shape for scene in made} == {(48, 64, 3)}
    assert {scene.dtype for scene in made} == {np.dtype(np.uint8)}
    colour = [float(np.abs(scene.astype(float) - scene.mean(2, keepdims=True)).mean()) for scene in made]
    assert max(colour[2], colour[5]) < min(colour[0], colour[3])


def test_pictures_are_fitted_without_regard_for_proportions() -> None:
    """As a detector's input that is stretched."""
    assert fitted(scenes(1, 64, 48, CALIBRATION_SEED), 4, 2)[0].shape == (2, 4, 3)


def test_photos_come_as_rgb() -> None:
    """The raccoon's fur is warmer than its surroundings are blue."""
    (raccoon,) = photos(["raccoon"])
    assert raccoon.dtype == np.uint8
    assert raccoon[:, :, 0].mean() > raccoon[:, :, 2].mean()


def test_a_photo_that_is_not_there_is_named() -> None:
    """An incomplete installation is said to be one."""
    with pytest.raises(ExportError, match=r"unicorn\.jpg"):
        photos(["unicorn"])
