"""ultralytics checkpoints, opened with as little trust as they allow."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from edge.errors import ExportError
from export import frameworks
from export.yolo.checkpoint import AGPL, load, of_model, spdx
from tests.export.yolo.families import network
from tests.shared import shared


def test_a_checkpoint_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """Nothing is fetched."""
    with pytest.raises(ExportError, match="no such checkpoint"):
        load(tmp_path / "yolo11n.pt")


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("", AGPL),
        ("AGPL-3.0 License (https://ultralytics.com/license)", AGPL),
        ("AGPL-3.0", AGPL),
        ("MIT", "MIT"),
    ],
)
def test_a_licence_is_ultralytics_own_unless_the_file_says_otherwise(text: str, expression: str) -> None:
    """As an SPDX expression."""
    assert spdx(text) == expression


def test_without_ultralytics_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's absence is an export error with the command."""
    path = tmp_path / "a.pt"
    path.write_bytes(b"x")

    def absent() -> None:
        frameworks.imported("no_such_ultralytics")

    monkeypatch.setattr(frameworks, "ultralytics", absent)
    with pytest.raises(ExportError, match="pip install"):
        load(path)


class _Intruder:
    """Runs something when it is unpickled, as any object in a pickle may."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.target,)


@pytest.mark.export
@pytest.mark.parametrize("contents", [b"", b"not a checkpoint", pickle.dumps({"a": 1})])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, contents: bytes) -> None:
    """Empty, text, another pickle."""
    pytest.importorskip("ultralytics")
    path = tmp_path / "a.pt"
    path.write_bytes(contents)
    with pytest.raises(ExportError, match=r"not an ultralytics checkpoint|without a model"):
        load(path)


@pytest.mark.export
def test_a_checkpoint_does_not_run_code(tmp_path: Path) -> None:
    """An object that isn't a model's is refused before it can do anything, and the way out is named."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("ultralytics")
    path, touched = tmp_path / "a.pt", tmp_path / "touched"
    torch.save({"model": _Intruder(touched)}, path)
    with pytest.raises(ExportError) as caught:
        load(path)
    assert "--unsafe-load" in caught.value.hint
    assert not touched.exists()
    with pytest.raises(ExportError, match="without a model"):
        load(path, unsafe=True)
    assert touched.exists()


@pytest.mark.export
def test_a_state_dictionary_is_not_a_model(tmp_path: Path) -> None:
    """Weights without their network."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("ultralytics")
    path = tmp_path / "a.pt"
    torch.save({"model": {"weight": torch.zeros(3)}}, path)
    with pytest.raises(ExportError, match="without a model"):
        load(path)


@pytest.mark.export
@pytest.mark.parametrize("task", ["seg", "pose", "obb", "cls"])
def test_other_tasks_are_refused_by_their_head(tmp_path: Path, task: str) -> None:
    """Segmentation, poses, oriented boxes, classification."""
    pytest.importorskip("ultralytics")
    frameworks.ultralytics()
    from ultralytics import YOLO  # noqa: PLC0415

    path = tmp_path / "a.pt"
    path.write_bytes(b"x")
    with pytest.raises(ExportError, match="not a detector: its head is"):
        of_model(YOLO(f"yolo11n-{task}.yaml").model, path)


@pytest.mark.export
def test_a_saved_detector_opens_again(tmp_path: Path) -> None:
    """Names in the channels' order; fused; the file's own licence."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("ultralytics")
    path = tmp_path / "a.pt"
    model = network("yolo26n", 3)
    model.names = {0: "animal", 1: "person", 2: "vehicle"}
    torch.save({"model": model.half(), "license": "MIT"}, path)
    opened = load(path)
    assert opened.names == ("animal", "person", "vehicle")
    assert opened.license == "MIT"
    assert not any(type(part).__name__ == "BatchNorm2d" for part in opened.model.modules())
    assert opened.grid == 32


@pytest.mark.export
@pytest.mark.parametrize("name", ["yolo11n_dequant", "yolov8n_dequant"])
def test_real_checkpoints_open_without_running_code(name: str) -> None:
    """The allow-list is enough for them."""
    pytest.importorskip("ultralytics")
    opened = load(shared("models", f"{name}.pt"))
    assert opened.license == AGPL
    assert len(opened.names) == 80
