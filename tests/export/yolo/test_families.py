"""Every family of detectors: ONNX, torch and ultralytics' own decode agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.vision.heads import plain_boxes, yolo_dfl
from edge.vision.manifest import ImageInput
from edge.vision.session import Model
from export.calibration import scenes
from export.yolo.compare import difference, feeds
from export.yolo.graph import export
from tests.export.yolo.families import HEIGHT, WIDTH, checkpoint

pytestmark = pytest.mark.export
SPEC = ImageInput(name="image", width=WIDTH, height=HEIGHT, layout="NHWC", dtype="uint8", resize="letterbox")


@pytest.mark.parametrize(
    ("family", "bins"),
    [("yolov8n", 16), ("yolov9t", 16), ("yolov10n", 16), ("yolo11n", 16), ("yolo12n", 16), ("yolo26n", 1)],
)
def test_onnx_torch_and_ultralytics_agree(tmp_path: Path, family: str, bins: int) -> None:
    """Raw heads, and the device's boxes and scores, on an oblong input; a batch gives the same."""
    pytest.importorskip("ultralytics")
    opened = checkpoint(family, tmp_path)
    exported = export(opened, WIDTH, HEIGHT, tmp_path / "detector.onnx")
    batches = list(feeds(scenes(2, WIDTH, HEIGHT, 1), SPEC))
    found = difference(opened, exported, batches, yolo_dfl)
    assert found.compared == 60
    assert max(found.heads, found.scores) < 1e-4
    assert found.boxes < 5e-3  # untrained logits reach far, and a softmax of them magnifies rounding
    graph = Model(exported.path)
    together = graph.run({"image": np.concatenate(batches)}, exported.outputs)
    alone = [graph.run({"image": batch}, exported.outputs) for batch in batches]
    for index, value in enumerate(together):
        np.testing.assert_allclose(value, np.concatenate([each[index] for each in alone]), atol=1e-4)
    assert together[0].shape == (2, 4 * bins, HEIGHT // 8, WIDTH // 8)
    assert len(exported.head) == 6
    assert len(exported.first) == 1


def test_rt_detr_gives_boxes_by_itself(tmp_path: Path) -> None:
    """Queries instead of a grid: corners in pixels and scores, for any batch; its decoder is named."""
    pytest.importorskip("ultralytics")
    opened = checkpoint("rtdetr-l", tmp_path)
    exported = export(opened, WIDTH, HEIGHT, tmp_path / "detector.onnx")
    batches = list(feeds(scenes(2, WIDTH, HEIGHT, 1), SPEC))
    assert difference(opened, exported, batches, plain_boxes).largest < 1e-3
    boxes, scores = Model(exported.path).run({"image": np.concatenate(batches)}, ("boxes", "scores"))
    assert boxes.shape[0] == scores.shape[0] == 2
    assert boxes.max() > 2
    assert exported.decoding
    assert not exported.head
