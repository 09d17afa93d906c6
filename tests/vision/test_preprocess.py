from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st

from edge.vision.manifest import ImageInput
from edge.vision.preprocess import Placement, Preprocessor, allocate, place


def _spec(**changes: Any) -> ImageInput:
    values = {"name": "x", "width": 8, "height": 8, "layout": "NHWC", "dtype": "uint8", **changes}
    return ImageInput.model_validate(values)


IMAGE = np.random.default_rng(0).integers(0, 256, (16, 32, 3), np.uint8)


def test_stretch_covers_the_input() -> None:
    """Stretching fills the input with the whole image, whatever its proportions."""
    spec = _spec()
    batch = allocate(spec)
    placement = Preprocessor(spec)(IMAGE, batch[0])
    assert placement == Placement(0, 0, 8, 8)
    np.testing.assert_array_equal(batch[0], cv2.resize(IMAGE, (8, 8), interpolation=cv2.INTER_LINEAR))


def test_letterbox_keeps_proportions_and_pads_grey() -> None:
    """A letterbox centres the image and fills the rest with 114."""
    spec = _spec(resize="letterbox")
    batch = allocate(spec)
    placement = Preprocessor(spec)(IMAGE, batch[0])
    assert placement == Placement(0, 2, 8, 4)
    assert (batch[0][:2] == 114).all()
    assert (batch[0][6:] == 114).all()
    np.testing.assert_array_equal(batch[0][2:6], cv2.resize(IMAGE, (8, 4), interpolation=cv2.INTER_LINEAR))


def test_crop_takes_the_middle() -> None:
    """Cropping scales the shorter side to fit and cuts the longer one on both ends."""
    spec = _spec(resize="crop")
    batch = allocate(spec)
    placement = Preprocessor(spec)(IMAGE, batch[0])
    assert placement == Placement(-4, 0, 16, 8)
    scaled = cv2.resize(IMAGE, (16, 8), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(batch[0], scaled[:, 4:12])


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_normalises_per_channel(layout: str) -> None:
    """(x - mean) / std, each channel with its own numbers, in the graph's layout."""
    mean, std = (10.0, 20.0, 30.0), (2.0, 4.0, 8.0)
    spec = _spec(layout=layout, dtype="float32", mean=mean, std=std)
    batch = allocate(spec)
    Preprocessor(spec)(IMAGE, batch[0])
    pixels = cv2.resize(IMAGE, (8, 8), interpolation=cv2.INTER_LINEAR).astype(np.float64)
    expected = (pixels - mean) / std
    got = batch[0].transpose(1, 2, 0) if layout == "NCHW" else batch[0]
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_float_without_mean_keeps_values() -> None:
    """Without mean and std the graph gets 0 to 255."""
    spec = _spec(layout="NCHW", dtype="float32")
    batch = allocate(spec)
    Preprocessor(spec)(IMAGE, batch[0])
    expected = cv2.resize(IMAGE, (8, 8), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)
    np.testing.assert_array_equal(batch[0], expected)


def test_every_value_is_written_anew() -> None:
    """A buffer used before leaves no trace of the image before."""
    spec = _spec(resize="letterbox")
    preprocess, batch, fresh = Preprocessor(spec), allocate(spec), allocate(spec)
    preprocess(np.full((32, 16, 3), 255, np.uint8), batch[0])
    preprocess(IMAGE, batch[0])
    Preprocessor(spec)(IMAGE, fresh[0])
    np.testing.assert_array_equal(batch, fresh)


def test_view_of_an_image_will_do() -> None:
    """A crop is taken from a larger image without copying it first."""
    spec = _spec()
    view, copy = allocate(spec), allocate(spec)
    part = IMAGE[3:13, 5:25]
    Preprocessor(spec)(part, view[0])
    Preprocessor(spec)(np.ascontiguousarray(part), copy[0])
    np.testing.assert_array_equal(view, copy)


@given(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.sampled_from(["stretch", "letterbox", "crop"]),
    st.tuples(*[st.floats(0, 1)] * 4),
)
def test_placement_is_undone(
    width: int, height: int, resize: str, corners: tuple[float, float, float, float]
) -> None:
    """A box put on the input by the placement comes back as it was."""
    placement = place(width, height, _spec(width=640, height=480, resize=resize))
    box = np.array([corners], np.float32)
    origin = np.array([placement.left, placement.top] * 2)
    size = np.array([placement.width, placement.height] * 2)
    back = placement.relative((box * size + origin).astype(np.float32))
    np.testing.assert_allclose(back, box, atol=1e-3)


def test_boxes_are_clipped_to_the_image() -> None:
    """What reaches into the padding ends at the image's edge."""
    relative = Placement(0, 2, 8, 4).relative(np.array([[-3, 0, 20, 9]], np.float32))
    np.testing.assert_array_equal(relative, [[0, 0, 1, 1]])


@pytest.mark.parametrize("shape", [(64, 64), (66, 130), (65, 97), (40, 24), (16, 16)])
def test_area_averages_over_the_source(shape: tuple[int, int]) -> None:
    """Scaling down by area is a mean over the pixels that fall on each, in one step or several."""
    spec = _spec(interpolation="area")
    noise = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    image = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2.0), np.uint8)
    batch = allocate(spec)
    Preprocessor(spec)(image, batch[0])
    expected = cv2.resize(image.astype(np.float32), (8, 8), interpolation=cv2.INTER_AREA)
    assert np.abs(batch[0].astype(np.float64) - expected).max() <= 3


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (601, 450, Placement(-37, 0, 299, 224)),  # an odd rest: the pixel more is cut on the right
        (450, 601, Placement(0, -37, 224, 299)),
        (1000, 333, Placement(-224, 0, 672, 224)),  # 672.67 is cut, not rounded
        (224, 224, Placement(0, 0, 224, 224)),
        (3, 3000, Placement(0, -111888, 224, 224000)),
    ],
)
def test_middle_is_that_of_image_processors(width: int, height: int, expected: Placement) -> None:
    """The longer side is cut down to whole pixels and its middle taken as CLIP's preprocessing does."""
    assert place(width, height, _spec(resize="crop", width=224, height=224)) == expected


def test_cubic_enlarges_and_shrinks_by_areas() -> None:
    """Bicubic where it enlarges; means of areas where bicubic would skip pixels."""
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    for side, method in ((20, cv2.INTER_CUBIC), (15, cv2.INTER_CUBIC), (6, cv2.INTER_AREA)):
        spec = _spec(width=side, height=side, interpolation="cubic")
        batch = allocate(spec)
        Preprocessor(spec)(image, batch[0])
        np.testing.assert_array_equal(batch[0], cv2.resize(image, (side, side), interpolation=method))
