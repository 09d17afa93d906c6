"""Exports that have to be refused, with real weights: each names its floor and nodes and leaves no bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from edge.errors import GateError
from export import cli, recipes
from export.gate import Candidate
from tests.export.helpers import needs_extra
from tests.shared import shared

pytestmark = [
    pytest.mark.export,
    needs_extra,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),  # of torch and its relatives at import
]
YOLO = ("yolo", "--size", "320", "--precision", "int8-static", "--no-remedies", "--evaluation")


def _refused(out: Path, *arguments: str) -> GateError:
    """Run a command that has to be refused by the gate, and leave nothing."""
    result = CliRunner().invoke(cli.app, [*arguments, "--out", str(out)])
    assert result.exit_code != 0
    assert isinstance(result.exception, GateError), result.exception
    assert not out.exists()
    assert not list(out.parent.iterdir())
    return result.exception


@pytest.fixture(name="out")
def _out(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models" / "refused"


@pytest.fixture(name="yolo")
def _yolo() -> tuple[str, ...]:
    weights = shared("models", "yolo11n_dequant.pt")
    return (*YOLO, str(shared("data", "trap-images")), "--weights", str(weights))


def test_a_whole_detector_in_signed_int8_is_refused(out: Path, yolo: tuple[str, ...]) -> None:
    """S8S8 with nothing left out, as a tool without a gate would make it: boxes are lost."""
    pictures = str(shared("data", "trap-images"))
    raw = ("--target", "arm", "--whole-graph", "--per-tensor", "--symmetric", "--weight-bits", "8")
    error = _refused(out, *yolo, "--calibration", pictures, *raw)
    assert error.subject == "detector for arm"
    assert "recall 0." in error.hint
    assert "< 0.9700" in error.hint
    assert "most sensitive: model." in error.hint


def test_calibration_on_black_images_is_refused(out: Path, yolo: tuple[str, ...], tmp_path: Path) -> None:
    """Ranges of nothing cut off everything; the error says what is wrong with the pictures."""
    black = tmp_path / "black"
    black.mkdir()
    for number in range(10):
        Image.fromarray(np.zeros((480, 640, 3), np.uint8)).save(black / f"{number}.jpg")
    error = _refused(out, *yolo, "--calibration", str(black))
    assert "recall 0." in error.hint
    assert "most sensitive: model." in error.hint
    assert "calibration" in error.hint


def test_a_visual_tower_with_a_shuffled_layer_is_refused(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One layer's weights in another order: the cosines show it, whatever the file's size and speed."""
    monkeypatch.setattr(recipes, "candidates", _shuffling(recipes.candidates))
    error = _refused(out, "starter", "--no-remedies")
    assert error.subject.startswith("visual for ")
    assert "mean 0." in error.hint
    assert "< 0.9950" in error.hint
    assert "most sensitive: " in error.hint


def _shuffling(real: Callable[..., Iterator[Candidate]]) -> Callable[..., Iterator[Candidate]]:
    """Candidates as they are made, the visual tower's with one large layer shuffled in each."""

    def candidates(*arguments: Any, part: Any, **options: Any) -> Iterator[Candidate]:
        for candidate in real(*arguments, part=part, **options):
            if part == "visual" and candidate.precision != "fp32":
                yield replace(candidate, build=partial(_shuffled, candidate.build))
            elif part != "visual":
                yield candidate

    return candidates


def _shuffled(build: Callable[[], Any]) -> Any:
    from onnx import numpy_helper  # noqa: PLC0415 - only where the extra is

    model = build()
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    layers = [tensor for tensor in model.graph.initializer if arrays[tensor.name].ndim == 4]
    middle = max(layers[len(layers) // 3 : len(layers) // 2], key=lambda tensor: arrays[tensor.name].size)
    shuffled = np.random.default_rng(3).permutation(arrays[middle.name], axis=0)
    middle.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(shuffled), middle.name))
    return model
