from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from edge.errors import ImageError
from edge.vision.blur import CELLS, blur
from edge.vision.snapshot import LONGER_SIDE, snapshot


def _noise(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _open(data: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_longer_side_is_bounded_and_proportions_stay() -> None:
    """A large image is scaled down, a small one isn't scaled up."""
    assert _open(snapshot(np.zeros((750, 1000, 3), np.uint8), [], 65536)).shape == (480, LONGER_SIDE, 3)
    assert _open(snapshot(np.zeros((30, 40, 3), np.uint8), [], 65536)).shape == (30, 40, 3)


@pytest.mark.parametrize("most", [4096, 16384, 65536])
def test_fits_even_noise(most: int) -> None:
    """The hardest image to compress still fits: first quality goes, then size."""
    data = snapshot(_noise(750, 1000), [], most)
    assert len(data) <= most
    assert _open(data).size > 0


def test_impossible_limit_is_an_error() -> None:
    """Where nothing fits, the setting is named."""
    with pytest.raises(ImageError, match="snapshot_bytes"):
        snapshot(_noise(64, 64), [], 100)


def test_image_is_not_changed() -> None:
    """Blurring is done on the snapshot, not on the pixels that others still look at."""
    image = _noise(200, 300)
    before = image.copy()
    snapshot(image, [(0.1, 0.1, 0.6, 0.9)], 65536)
    np.testing.assert_array_equal(image, before)


def test_carries_no_metadata() -> None:
    """Nothing of the original's EXIF, such as its thumbnail, is in the snapshot."""
    picture = Image.open(io.BytesIO(snapshot(_noise(64, 64), [], 65536)))
    assert not picture.getexif()
    assert "exif" not in picture.info


def test_people_are_hidden_in_the_file() -> None:
    """Inside a box the snapshot's detail is gone, outside it is there."""
    image = np.zeros((240, 320, 3), np.uint8)
    image[::2] = 255  # lines as thin as lines can be
    seen = _open(snapshot(image, [(0.5, 0.0, 1.0, 1.0)], 262_144)).astype(int)
    inside, outside = seen[20:220, 200:310], seen[20:220, 10:120]
    assert np.abs(np.diff(inside, axis=0)).mean() < 3
    assert np.abs(np.diff(outside, axis=0)).mean() > 100


def test_different_faces_become_the_same() -> None:
    """Two patterns that differ in detail only can't be told apart afterwards: nothing is left to recover."""
    size = 96
    cell = size // CELLS
    base = np.zeros((size, size, 3), np.uint8)
    one, other = base.copy(), base.copy()
    one[::2], other[:, ::2] = 255, 255
    blur(one, (0, 0, 1, 1))
    blur(other, (0, 0, 1, 1))
    assert cell >= 8
    assert np.abs(one.astype(int) - other.astype(int)).max() <= 2


def test_at_most_a_few_numbers_are_left() -> None:
    """A square region keeps no more than its cells: its rank in each colour is that of the grid."""
    region = _noise(120, 120)
    blur(region, (0, 0, 1, 1))
    values = np.linalg.svd(region[..., 0].astype(float) - region[..., 0].mean(), compute_uv=False)
    assert values[CELLS:].max() < 0.02 * values[0] + 5


def test_only_the_box_and_its_margin_change() -> None:
    """Pixels well outside the box stay exactly as they were."""
    image = _noise(200, 200)
    before = image.copy()
    blur(image, (0.4, 0.4, 0.6, 0.6))
    np.testing.assert_array_equal(image[:70], before[:70])
    np.testing.assert_array_equal(image[:, 140:], before[:, 140:])
    assert (image[90:110, 90:110] != before[90:110, 90:110]).any()


@settings(max_examples=60)
@given(st.tuples(*[st.floats(-0.5, 1.5)] * 4), st.integers(1, 60), st.integers(1, 60))
def test_any_box_is_taken(box: tuple[float, float, float, float], height: int, width: int) -> None:
    """Boxes at the edge, thin as a line, inside out or outside of the image never fail."""
    image = _noise(height, width)
    blur(image, box)
    assert image.shape == (height, width, 3)
