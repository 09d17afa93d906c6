from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, strategies as st

from edge.errors import BundleError
from edge.vision.heads import KINDS, Head, centernet, decoder_of, head_of, plain_boxes, yolo_dfl
from edge.vision.manifest import Detector

HEAD = Head(width=32, height=32, stride=4, channels=((0, 1), (2,), ()), thresholds=(0.3, 0.5, 0.5))


def _heat(*peaks: tuple[int, int, int, float]) -> npt.NDArray[np.float32]:
    """A heat map of 3 classes and 8 x 8 cells: class, row, column, score."""
    heat = np.zeros((1, 3, 8, 8), np.float32)
    for channel, row, column, score in peaks:
        heat[0, channel, row, column] = score
    return heat


SIZES = np.broadcast_to(np.array([1, 2, 3, 4], np.float32)[None, :, None, None], (1, 4, 8, 8))


def test_centernet_peak_becomes_its_box() -> None:
    """A peak at row 5, column 2 of stride 4 has its origin at (8, 20), and distances go from there."""
    found = centernet({"heatmap": _heat((0, 5, 2, 0.75)), "size": SIZES}, HEAD)
    np.testing.assert_array_equal(found.boxes, [[8 - 1, 20 - 2, 8 + 3, 20 + 4]])
    np.testing.assert_array_equal(found.scores, np.array([0.75], np.float32))
    assert [KINDS[kind] for kind in found.kinds] == ["animal"]


def test_centernet_shoulder_is_no_peak() -> None:
    """A cell beside a higher one is part of the same animal, diagonally too."""
    found = centernet({"heatmap": _heat((0, 3, 3, 0.9), (0, 4, 4, 0.8), (0, 3, 4, 0.7)), "size": SIZES}, HEAD)
    np.testing.assert_array_equal(found.scores, np.array([0.9], np.float32))


def test_centernet_peaks_two_cells_apart_are_two() -> None:
    """A dip between two maxima separates them; suppression decides later."""
    found = centernet({"heatmap": _heat((0, 3, 3, 0.9), (0, 3, 5, 0.8)), "size": SIZES}, HEAD)
    assert len(found.scores) == 2


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 7), (7, 0), (7, 7)])
def test_centernet_finds_peaks_in_corners(row: int, column: int) -> None:
    """The map's edge is no obstacle."""
    found = centernet({"heatmap": _heat((2, row, column, 0.6)), "size": SIZES}, HEAD)
    np.testing.assert_array_equal(found.boxes, [[column * 4 - 1, row * 4 - 2, column * 4 + 3, row * 4 + 4]])
    assert [KINDS[kind] for kind in found.kinds] == ["person"]


def test_centernet_threshold_is_inclusive() -> None:
    """A score equal to the threshold counts, one just below doesn't."""
    at = centernet({"heatmap": _heat((2, 1, 1, 0.5)), "size": SIZES}, HEAD)
    below = centernet({"heatmap": _heat((2, 1, 1, 0.4999)), "size": SIZES}, HEAD)
    assert (len(at.scores), len(below.scores)) == (1, 0)


def test_classes_of_a_kind_are_pooled() -> None:
    """An animal that is a little of two classes scores their Euclidean norm."""
    found = centernet({"heatmap": _heat((0, 2, 2, 0.3), (1, 2, 2, 0.4)), "size": SIZES}, HEAD)
    np.testing.assert_allclose(found.scores, [0.5], rtol=1e-6)


def test_pooled_score_is_at_most_one() -> None:
    """Two certain classes are not more than certain."""
    found = centernet({"heatmap": _heat((0, 2, 2, 0.9), (1, 2, 2, 0.9)), "size": SIZES}, HEAD)
    assert found.scores.tolist() == [1.0]


def test_classes_outside_the_map_are_ignored() -> None:
    """A chair is no animal: channels that no kind names are never looked at."""
    head = Head(32, 32, 4, ((0,), (), ()), (0.3, 0.3, 0.3))
    found = centernet({"heatmap": _heat((1, 2, 2, 0.9), (2, 5, 5, 0.9)), "size": SIZES}, head)
    assert len(found.scores) == 0
    assert found.boxes.shape == (0, 4)


def _yolo(side: int, cells: dict[tuple[int, int, int], float]) -> npt.NDArray[np.float32]:
    logits = np.full((1, 3, side, side), -12, np.float32)
    for (channel, row, column), value in cells.items():
        logits[0, channel, row, column] = value
    return logits


def _distances(side: int, bins: tuple[int, int, int, int]) -> npt.NDArray[np.float32]:
    """Distributions that are certain of one bin for each side."""
    logits = np.full((1, 4, 16, side, side), -40, np.float32)
    for edge, value in enumerate(bins):
        logits[:, edge, value] = 40
    return logits.reshape(1, 64, side, side)


def test_yolo_cell_becomes_its_box() -> None:
    """Distances count in strides from the cell's centre."""
    outputs = {"scores_8": _yolo(4, {(2, 1, 3): 2.0}), "boxes_8": _distances(4, (1, 2, 3, 4))}
    found = yolo_dfl(outputs, HEAD)
    x, y = 3.5 * 8, 1.5 * 8
    np.testing.assert_allclose(found.boxes, [[x - 8, y - 16, x + 24, y + 32]], rtol=1e-5)
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-2.0))], rtol=1e-6)
    assert [KINDS[kind] for kind in found.kinds] == ["person"]


def test_yolo_distance_is_the_mean_of_its_distribution() -> None:
    """A distribution split evenly between bins 2 and 6 means 4 strides."""
    boxes = np.full((1, 4, 16, 4, 4), -40, np.float32)
    boxes[:, :, [2, 6]] = 5
    outputs = {"scores_8": _yolo(4, {(0, 0, 0): 3.0}), "boxes_8": boxes.reshape(1, 64, 4, 4)}
    np.testing.assert_allclose(yolo_dfl(outputs, HEAD).boxes, [[4 - 32, 4 - 32, 4 + 32, 4 + 32]], rtol=1e-5)


def test_yolo_joins_strides() -> None:
    """Cells of all strides are candidates, each on its own grid."""
    outputs = {
        "scores_8": _yolo(4, {(0, 0, 0): 1.0}),
        "boxes_8": _distances(4, (0, 0, 0, 0)),
        "scores_16": _yolo(2, {(0, 1, 1): 2.0}),
        "boxes_16": _distances(2, (0, 0, 0, 0)),
    }
    found = yolo_dfl(outputs, HEAD)
    np.testing.assert_allclose(found.boxes[:, :2], [[4, 4], [24, 24]], atol=1e-4)


def test_yolo_survives_extreme_logits() -> None:
    """Large logits don't overflow into anything but 0 and 1."""
    outputs = {"scores_8": _yolo(4, {(2, 0, 0): 1e4}), "boxes_8": _distances(4, (1, 1, 1, 1)) * 100}
    found = yolo_dfl(outputs, HEAD)
    assert found.scores.tolist() == [1.0]
    assert np.isfinite(found.boxes).all()


@given(st.lists(st.floats(-6, 6), min_size=2, max_size=2), st.floats(0.05, 0.95))
def test_yolo_shortcut_loses_nothing(logits: list[float], threshold: float) -> None:
    """Looking at logits first finds exactly the cells whose pooled score reaches the threshold."""
    head = Head(32, 32, 8, ((0, 1), (), ()), (threshold, 0.5, 0.5))
    cells = {(channel, 0, 0): value for channel, value in enumerate(logits)}
    found = yolo_dfl({"scores_8": _yolo(4, cells), "boxes_8": _distances(4, (1, 1, 1, 1))}, head)
    pooled = min(1.0, float(np.sqrt(sum((1 / (1 + np.exp(-value))) ** 2 for value in logits))))
    if abs(pooled - threshold) > 1e-5:
        assert len(found.scores) == int(pooled > threshold)


def test_plain_boxes_are_taken_as_they_are() -> None:
    """A graph that decodes by itself only has its scores sorted into kinds."""
    boxes = np.array([[[0, 0, 5, 5], [1, 1, 9, 9], [2, 2, 4, 4]]], np.float32)
    scores = np.array([[[0.1, 0.2, 0.0], [0.0, 0.0, 0.8], [0.6, 0.0, 0.1]]], np.float32)
    found = plain_boxes({"boxes": boxes, "scores": scores}, HEAD)
    np.testing.assert_array_equal(found.boxes, [[2, 2, 4, 4], [1, 1, 9, 9]])
    np.testing.assert_allclose(found.scores, [0.6, 0.8])
    assert [KINDS[kind] for kind in found.kinds] == ["animal", "person"]


def _detector(**changes: Any) -> Detector:
    values = {
        "file": "d.onnx",
        "sha256": "0" * 64,
        "opset": 17,
        "precision": "fp32",
        "input": {"name": "x", "width": 32, "height": 16, "layout": "NHWC", "dtype": "uint8"},
        "decoder": "centernet",
        "outputs": {"heatmap": "h", "size": "s"},
        "classes": ("cat", "person", "car", "chair", "dog"),
        "class_map": {"dog": "animal", "cat": "animal", "person": "person", "car": "vehicle"},
        "thresholds": {"animal": 0.2, "person": 0.3, "vehicle": 0.4, "iou": 0.5},
        **changes,
    }
    return Detector.model_validate(values)


def test_head_follows_the_manifest() -> None:
    """Channels are those of the graph's classes, whatever the class map's order."""
    head = head_of(_detector(), {"animal": 0.1, "person": 0.2, "vehicle": 0.3})
    assert head.channels == ((0, 4), (1,), (2,))
    assert head.thresholds == (0.1, 0.2, 0.3)
    assert (head.width, head.height) == (32, 16)


def test_unknown_class_in_the_map_is_an_error() -> None:
    """A class map for another detector is noticed, and says which class."""
    detector = _detector(class_map={"cat": "animal", "unicorn": "animal"})
    with pytest.raises(BundleError, match="unicorn"):
        head_of(detector, {"animal": 0.1, "person": 0.2, "vehicle": 0.3})


@pytest.mark.parametrize(
    ("decoder", "outputs", "missing"),
    [
        ("centernet", {"heatmap": "h"}, "size"),
        ("boxes", {"boxes": "b"}, "scores"),
        ("yolo-dfl", {"boxes_8": "b", "scores_16": "s"}, "boxes_<stride>"),
    ],
)
def test_missing_output_is_an_error(decoder: str, outputs: dict[str, str], missing: str) -> None:
    """A manifest without an output that the decoder reads is noticed when the bundle is opened."""
    with pytest.raises(BundleError, match=missing):
        decoder_of(_detector(decoder=decoder, outputs=outputs))


@pytest.mark.parametrize(
    ("decoder", "outputs", "function"),
    [
        ("centernet", {"heatmap": "h", "size": "s"}, centernet),
        ("boxes", {"boxes": "b", "scores": "s"}, plain_boxes),
        ("yolo-dfl", {"boxes_8": "b", "scores_8": "s"}, yolo_dfl),
    ],
)
def test_manifest_names_the_decoder(decoder: str, outputs: dict[str, str], function: object) -> None:
    """Each name stands for its function."""
    assert decoder_of(_detector(decoder=decoder, outputs=outputs)) is function
