"""The decoder of raw YOLO heads against the decode inside real graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edge.vision.boxes import overlaps
from edge.vision.decode import decode, read_header
from edge.vision.heads import Head, yolo_dfl
from edge.vision.manifest import ImageInput
from edge.vision.preprocess import Preprocessor, allocate
from edge.vision.session import Model
from tests.shared import shared

ANIMALS = tuple(range(14, 24))  # COCO's, bird to giraffe
STRIDES = (8, 16, 32)


def _with_heads(source: Path, target: Path, layer: int) -> None:
    """The same graph, with its six head convolutions as further outputs."""
    model = onnx.load(source)
    for index in range(len(STRIDES)):
        for part in ("cv2", "cv3"):
            name = f"/model.{layer}/{part}.{index}/{part}.{index}.2/Conv_output_0"
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    onnx.save(model, target)


@pytest.mark.parametrize(
    ("name", "side", "layer"), [("yolov8n_int8_wildlife", 640, 22), ("yolo11n_int8_mwc", 320, 23)]
)
def test_agrees_with_the_decode_in_the_graph(tmp_path: Path, name: str, side: int, layer: int) -> None:
    """On real images the same cells are found, with the same scores and (but for the graph's int8) boxes."""
    _with_heads(shared("models", f"{name}.onnx"), tmp_path / "x.onnx", layer)
    model = Model(tmp_path / "x.onnx")
    spec = ImageInput(
        name="images", width=side, height=side, layout="NCHW", dtype="float32",
        mean=(0, 0, 0), std=(255, 255, 255), resize="letterbox",
    )  # fmt: skip
    preprocess, batch = Preprocessor(spec), allocate(spec)
    head = Head(side, side, 8, (ANIMALS, (0,), ()), (0.2, 0.2, 0.2))
    cells = 0
    for path in sorted(shared("data", "trap-images", "Jaguar").glob("*.jpg"))[:6]:
        data = path.read_bytes()
        preprocess(decode(data, read_header(data, max_pixels=10**9), 2), batch[0])
        decoded, *raw = model.run({"images": batch}, model.outputs)
        heads = dict(zip([f"{p}_{s}" for s in STRIDES for p in ("boxes", "scores")], raw, strict=True))
        found = yolo_dfl(heads, head)
        animals = found.kinds == 0
        scores = np.sqrt(np.square(decoded[0, 4:][list(ANIMALS)]).sum(0))
        expected = scores >= 0.2
        assert animals.sum() == expected.sum()
        np.testing.assert_allclose(np.sort(found.scores[animals]), np.sort(scores[expected]), atol=1e-4)
        middle, size = decoded[0, :2, expected], decoded[0, 2:4, expected]
        boxes = np.concatenate([middle - size / 2, middle + size / 2], 1)
        if len(boxes):
            assert overlaps(found.boxes[animals], boxes).max(1).min() > 0.95
        cells += int(expected.sum())
    assert cells > 0
