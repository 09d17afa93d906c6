"""YOLO heads with other numbers of bins than 16, and with logits at the ends of their range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from edge.vision.heads import Head, yolo_dfl

HEAD = Head(64, 64, 8, ((0,), (), ()), (0.5, 0.5, 0.5))


def _outputs(distances: np.ndarray) -> dict[str, np.ndarray]:
    """One cell, row 1 and column 2 of the grid of stride 16, is an animal."""
    scores = np.full((1, 1, 4, 4), -90.0, np.float32)
    scores[0, 0, 1, 2] = 3.0
    boxes = np.zeros((1, len(distances), 4, 4), np.float32)
    boxes[0, :, 1, 2] = distances
    return {"scores_16": scores, "boxes_16": boxes}


@given(st.lists(st.floats(0, 8, width=16), min_size=4, max_size=4))
def test_a_single_bin_is_the_distance_itself(sides: list[float]) -> None:
    """YOLO26's heads: distances in strides, with nothing to take a mean of."""
    found = yolo_dfl(_outputs(np.array(sides, np.float32)), HEAD)
    left, top, right, bottom = (side * 16 for side in sides)
    np.testing.assert_allclose(found.boxes, [[40 - left, 24 - top, 40 + right, 24 + bottom]], atol=1e-4)


@pytest.mark.parametrize("bins", [2, 8, 16, 32])
def test_a_distribution_has_as_many_bins_as_the_channels_say(bins: int) -> None:
    """A distribution that is sure of its last bin means that many strides, less one."""
    logits = np.full((4, bins), -50, np.float32)
    logits[:, -1] = 50
    found = yolo_dfl(_outputs(logits.reshape(-1)), HEAD)
    reach = (bins - 1) * 16
    np.testing.assert_allclose(found.boxes, [[40 - reach, 24 - reach, 40 + reach, 24 + reach]], atol=1e-3)


def test_a_very_unlikely_class_is_not_a_number_too_large() -> None:
    """A logit of -1000 beside a sure one is a score of 0, without a warning of overflow."""
    outputs = _outputs(np.ones(4, np.float32))
    outputs["scores_16"] = np.concatenate([outputs["scores_16"], np.full((1, 1, 4, 4), -1000, np.float32)], 1)
    found = yolo_dfl(outputs, Head(64, 64, 8, ((0, 1), (), ()), (0.5, 0.5, 0.5)))
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-3))], rtol=1e-5)
