"""A checkpoint to a detector's draft."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from edge.errors import UsageError
from edge.vision.decode import decode, read_header
from export.yolo import build_network, options_of
from export.yolo.checkpoint import AGPL
from tests.export.yolo.families import network
from tests.shared import shared

pytestmark = pytest.mark.export


def _images() -> list[np.ndarray]:
    paths = sorted(shared("data", "trap-images").glob("*/*.jpg"))[::20]
    files = [path.read_bytes() for path in paths]
    return [decode(data, read_header(data, max_pixels=10**9), 2) for data in files]


@pytest.mark.parametrize("size", ["640", "640x480"])
def test_a_real_checkpoint_becomes_a_draft(tmp_path: Path, size: str) -> None:
    """On real images within 1e-3 of ultralytics; the section tells the device everything."""
    pytest.importorskip("ultralytics")
    cv2.setNumThreads(1)
    steps: list[str] = []
    options = options_of(shared("models", "yolo11n_dequant.pt"), size=size, animal=0.3)
    made = build_network(options, tmp_path, steps.append, _images())
    draft = made.drafts["detector"]
    assert draft.difference < 1e-3
    assert len(steps) == 3
    assert made.origin.license == AGPL
    assert [path.name for path in made.origin.texts] == ["LICENSE"]
    section = draft.section
    assert section.thresholds.animal == 0.3  # type: ignore[union-attr]
    assert section.input.width == 640  # type: ignore[union-attr]
    assert draft.golden["image"].shape == (2, options.height, 640, 3)
    assert draft.traits.left_out[0] == "model.0/Conv"
    assert len(draft.traits.head) == 6


def test_a_graph_says_nothing_of_the_machine_that_made_it(tmp_path: Path) -> None:
    """No paths, no stacks; nodes are called by their modules."""
    pytest.importorskip("ultralytics")
    options = options_of(shared("models", "yolov8n_dequant.pt"), size="64")
    draft = build_network(options, tmp_path, lambda _: None).drafts["detector"]
    assert b"site-packages" not in draft.graph.read_bytes()
    names = [node.name for node in onnx.load(draft.graph).graph.node]
    assert len(set(names)) == len(names)
    assert {"model.0/Conv", "model.2/Split", "model.22.cv3.2.2/Conv"} <= set(names)


def test_own_classes_have_to_be_named(tmp_path: Path) -> None:
    """Two species: refused with their names, taken with a class map; the licence that is given is kept."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("ultralytics")
    path = tmp_path / "own.pt"
    model = network("yolov8n", 2)
    model.names = {0: "chamois", 1: "ibex"}
    torch.save({"model": model}, path)
    with pytest.raises(UsageError, match="chamois, ibex"):
        build_network(options_of(path, size="64"), tmp_path, lambda _: None)
    options = options_of(path, size="64", class_map=["*=animal"], license="CC-BY-4.0", version="2")
    made = build_network(options, tmp_path, lambda _: None)
    assert made.drafts["detector"].section.class_map == {"chamois": "animal", "ibex": "animal"}  # type: ignore[union-attr]
    assert (made.origin.license, made.origin.version, made.origin.texts) == ("CC-BY-4.0", "2", ())


def test_a_coarser_network_wants_coarser_sides(tmp_path: Path) -> None:
    """With a stride of 64, sides of 32 more are refused before anything is written."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("ultralytics")
    path = tmp_path / "p6.pt"
    torch.save({"model": network("yolov8n-p6")}, path)
    with pytest.raises(UsageError, match="multiples of 64"):
        build_network(options_of(path, size="96"), tmp_path, lambda _: None)
    assert not (tmp_path / "detector.onnx").exists()
