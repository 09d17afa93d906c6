from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ExportError
from export.calibration import CALIBRATION_SEED, HELD_OUT_SEED, fitted, own_pictures, scenes


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


def test_own_pictures_are_read_in_order_as_rgb(tmp_path: Path) -> None:
    """Pictures of all folders come in the order of their paths, red first."""
    (tmp_path / "b").mkdir()
    for name, red in (("b/1.png", 10), ("a.png", 200)):
        cv2.imwrite(str(tmp_path / name), np.full((8, 8, 3), (0, 0, red), np.uint8))
    pictures = own_pictures(tmp_path)
    assert [int(picture[0, 0, 0]) for picture in pictures] == [200, 10]
    assert fitted(pictures, 4, 2)[0].shape == (2, 4, 3)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """Calibrating with nothing would pass for calibrating."""
    with pytest.raises(ExportError, match="no pictures"):
        own_pictures(tmp_path)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    """A file that only looks like a picture is said to be one."""
    (tmp_path / "broken.jpg").write_bytes(b"no")
    with pytest.raises(ExportError, match=r"broken\.jpg"):
        own_pictures(tmp_path)
