from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from edge.vision.manifest import Detector, ImageInput, Thresholds
from export import decisive
from export.network import UNKNOWN_SHA256


def _section(decoder: Literal["yolo-dfl", "boxes", "centernet"]) -> Detector:
    return Detector(
        file="detector.onnx",
        sha256=UNKNOWN_SHA256,
        opset=20,
        precision="fp32",
        input=ImageInput(name="image", width=64, height=64, layout="NHWC", dtype="uint8"),
        decoder=decoder,
        outputs={},
        classes=("fox", "dog", "bench", "person"),
        class_map={"fox": "animal", "dog": "animal", "person": "person"},
        thresholds=Thresholds(animal=0.2, person=0.4, vehicle=0.4, iou=0.5),
    )


def test_classes_of_a_kind_are_pooled_over_all_strides() -> None:
    """The norm of 0.3 and 0.4 is 0.5; what means no kind doesn't count, a kind without classes is 0."""
    logits = np.log(np.array([0.3, 0.4, 0.9, 0.2]) / (1 - np.array([0.3, 0.4, 0.9, 0.2])))
    fine = np.full((1, 4, 2, 2), -50.0)
    fine[0, :, 1, 0] = logits
    coarse = np.full((1, 4, 1, 1), -50.0)
    found = decisive.scores({"scores_8": fine, "scores_16": coarse, "boxes_8": fine}, _section("yolo-dfl"))
    assert found.shape == (3, 5)
    assert found.max(axis=1) == pytest.approx([0.5, 0.2, 0.0])


@pytest.mark.parametrize("decoder", ["boxes", "centernet"])
def test_other_decoders_give_probabilities(decoder: Literal["boxes", "centernet"]) -> None:
    """Queries lie along the first axis, heat maps' cells along the last two."""
    chances = np.array([[0.6, 0.8, 0.0, 0.1], [0.0, 0.0, 1.0, 0.7]])
    outputs = {"scores": chances[None], "heatmap": chances.T.reshape(1, 4, 1, 2)}
    found = decisive.scores(outputs, _section(decoder))
    assert found == pytest.approx(np.array([[1.0, 0.0], [0.1, 0.7], [0.0, 0.0]]))


def test_only_cells_that_decide_count() -> None:
    """One cell off by one in logits; background that is off by ten changes nothing."""
    sure = 1 / (1 + np.exp([0.0, -1.0]))
    want, have = np.array([[sure[0], 1e-3]]), np.array([[sure[1], 1e-3 * np.exp(-5)]])
    assert decisive.stray([want], [have]) == pytest.approx(1.0, rel=1e-6)


def test_neither_graph_chooses_the_cells_alone() -> None:
    """Who is the reference makes no difference, and nothing seen is nothing lost."""
    random = np.random.default_rng(2)
    first, second = (random.uniform(0, 0.4, (3, 50)) for _ in range(2))
    assert decisive.stray([first], [second]) == decisive.stray([second], [first])
    assert decisive.stray([np.zeros((3, 4))], [np.ones((3, 4))]) == 0
