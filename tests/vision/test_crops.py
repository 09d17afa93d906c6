from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from edge.vision.crops import Region, region


def test_box_becomes_a_square_around_its_centre() -> None:
    """A wide box gets the height of its width; proportions stay when it is resized."""
    assert region((0.4, 0.45, 0.6, 0.55), 0.0, 100, 100) == Region(40, 40, 60, 60)


def test_margin_is_a_share_of_the_longer_side() -> None:
    """Ten percent of 20 pixels is 2 on each side."""
    assert region((0.4, 0.45, 0.6, 0.55), 0.1, 100, 100) == Region(38, 38, 62, 62)


def test_square_at_the_edge_is_moved_inwards() -> None:
    """An animal at the edge gets its surroundings from the other side."""
    assert region((0.0, 0.4, 0.1, 0.8), 0.0, 100, 100) == Region(0, 40, 40, 80)
    assert region((0.9, 0.4, 1.0, 0.8), 0.0, 100, 100) == Region(60, 40, 100, 80)


def test_square_larger_than_the_image_takes_all_of_it() -> None:
    """A long animal in a wide image is not cut."""
    assert region((0.1, 0.2, 0.9, 0.9), 0.0, 200, 50) == Region(20, 0, 180, 50)


@given(st.tuples(*[st.floats(0, 1)] * 4), st.floats(0, 0.5), st.integers(1, 3000), st.integers(1, 3000))
def test_region_lies_in_the_image_and_covers_the_box(
    drawn: tuple[float, float, float, float], margin: float, width: int, height: int
) -> None:
    """Whatever the box, the region is not empty, inside the image, and holds the box's centre."""
    left, right = sorted(drawn[::2])
    top, bottom = sorted(drawn[1::2])
    found = region((left, top, right, bottom), margin, width, height)
    assert 0 <= found.left < found.right <= width
    assert 0 <= found.top < found.bottom <= height
    assert found.left <= (left + right) / 2 * width <= found.right
    assert found.top <= (top + bottom) / 2 * height <= found.bottom
    assert found.longer >= 1


def test_pixels_are_a_view() -> None:
    """Cropping copies nothing."""
    image = np.zeros((10, 10, 3), np.uint8)
    part = Region(2, 3, 6, 8).of(image)
    assert part.shape == (5, 4, 3)
    assert np.shares_memory(part, image)


@pytest.mark.parametrize(("box", "longer"), [((0, 0, 0.5, 0.1), 50), ((0, 0, 0.1, 0.5), 50)])
def test_longer_side(box: tuple[float, float, float, float], longer: int) -> None:
    """The longer side is that of the square."""
    assert region(box, 0.0, 100, 100).longer == longer
