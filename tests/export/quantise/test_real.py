"""The forms of a real detector: those that are good, and those that the gate has to refuse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.vision.manifest import Target
from export.calibration import CALIBRATION_SEED, HELD_OUT_SEED, scenes
from export.network import Draft
from export.quantise import Material
from export.quantise.graphs import Feed
from export.recipes import candidates
from export.request import Options
from tests.export.helpers import needs_extra
from tests.export.quantise.toys import nodes
from tests.shared import shared

pytestmark = [pytest.mark.export, needs_extra, pytest.mark.timeout(300)]
SIDE = 320
SIGNED: tuple[Target, ...] = ("arm", "tensorrt")
SURE = -1.0  # logit, a probability of 0.27


@dataclass(frozen=True)
class Real:
    """YOLO11n in fp32 with what its scores are on images of their own."""

    draft: Draft
    model: Any
    material: Material
    images: list[Feed]


def _feeds(count: int, seed: int, name: str) -> list[Feed]:
    return [{name: image[None]} for image in scenes(count, SIDE, SIDE, seed)]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    """The network, once for all tests."""
    import onnx  # noqa: PLC0415 - as the exporter does

    from export.yolo import build_network  # noqa: PLC0415 - needs the extra
    from export.yolo.options import options_of  # noqa: PLC0415

    weights = shared("models", "yolo11n_dequant.pt")
    options = options_of(weights, size=str(SIDE))
    network = build_network(options, tmp_path_factory.mktemp("yolo"), lambda _: None)
    draft = network.drafts["detector"]
    name, model = next(iter(draft.golden)), onnx.load(draft.graph)
    material = Material(model, _feeds(16, CALIBRATION_SEED, name), draft.traits.left_out)
    return Real(draft, model, material, _feeds(16, HELD_OUT_SEED, name))


def _scores(model: Any, feeds: list[Feed]) -> np.ndarray[Any, Any]:
    """Logits of every place and class, put together."""
    import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = [value.name for value in session.get_outputs() if value.name.startswith("scores")]
    parts = [part.reshape(-1) for feed in feeds for part in session.run(wanted, dict(feed))]
    return np.concatenate(parts)


def _kept(real: Real, model: Any) -> float:
    """Share of the places and classes that fp32 is sure of, of which the form is nearly as sure."""
    want, have = _scores(real.model, real.images), _scores(model, real.images)
    sure = want > SURE
    assert sure.sum() > 20
    return float((np.abs(have - want)[sure] < 1.0).mean())


def _form(real: Real, target: Target, options: Options, material: Material | None = None) -> Any:
    (head,) = candidates(
        real.draft.traits,
        material or real.material,
        part="detector",
        target=target,
        precision="int8-static",
        options=options,
        ranking=list,
    )
    return head.build()


@pytest.mark.parametrize("target", ["x86", "arm", "tensorrt"])
def test_the_recipes_keep_what_the_detector_is_sure_of(real: Real, target: Target) -> None:
    """In the form that is tried first."""
    assert _kept(real, _form(real, target, Options())) > 0.8


def test_the_whole_graph_in_symmetric_int8_is_worse(real: Real) -> None:
    """Nothing left out, one scale for all channels."""
    whole = Options(whole=True, per_channel=False, symmetric=True)
    kept = {target: _kept(real, _form(real, target, whole)) for target in SIGNED}
    assert max(kept.values()) < 0.6, kept


def test_calibrated_on_black_less_is_kept(real: Real) -> None:
    """Black images know nothing of what others make of the network; the gate's boxes say how much is lost."""
    name = next(iter(real.draft.golden))
    black: list[Feed] = [{name: np.zeros((1, SIDE, SIDE, 3), np.uint8)} for _ in range(4)]
    wreck = _form(real, "x86", Options(), Material(real.model, black, real.draft.traits.left_out))
    assert _kept(real, wreck) < _kept(real, _form(real, "x86", Options())) - 0.05


def test_tensorrt_gets_standard_operations_alone(real: Real) -> None:
    """Of the real graph too, and no integer biases."""
    model = _form(real, "tensorrt", Options())
    assert {node.domain for node in model.graph.node} == {""}
    assert len(nodes(model, "QuantizeLinear")) > 20
    biases = {node.input[2] for node in nodes(model, "Conv") if len(node.input) == 3}
    assert biases.isdisjoint(node.output[0] for node in nodes(model, "DequantizeLinear"))


def test_a_form_is_a_third_of_the_file(real: Real, tmp_path: Path) -> None:
    """Weights of a byte each, with their scales."""
    import onnx  # noqa: PLC0415

    onnx.save(_form(real, "x86", Options()), tmp_path / "int8.onnx")
    assert real.draft.graph.stat().st_size > 3.2 * (tmp_path / "int8.onnx").stat().st_size
