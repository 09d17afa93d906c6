from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import BundleError, ProviderError
from edge.vision import session
from edge.vision.session import CPU, Model, UnusableError, available_providers, installed_runtimes, require
from tests.vision import toy


def test_runs_a_graph(bundle: Path) -> None:
    """Outputs come in the order asked for."""
    model = Model(bundle / "detector.onnx")
    image = toy.scene((8, 8, (255, 0, 0)))[None]
    size, heat = model.run({"image": image}, ["size", "heatmap"])
    assert heat[0, 0, 2, 2] == pytest.approx(1)
    assert (size == toy.REACH).all()


def test_knows_its_inputs_and_outputs(bundle: Path) -> None:
    """Names and shapes are those of the graph."""
    model = Model(bundle / "detector.onnx")
    assert model.inputs == {"image": (1, toy.SIDE, toy.SIDE, 3)}
    assert model.outputs == ("heatmap", "size")
    assert model.provider == CPU


def test_missing_file_is_a_bundle_error(tmp_path: Path) -> None:
    """A file that isn't there is the bundle's fault, not the provider's."""
    with pytest.raises(BundleError, match=r"gone\.onnx"):
        Model(tmp_path / "gone.onnx")


def test_file_that_is_no_graph_is_a_bundle_error(tmp_path: Path) -> None:
    """Bytes that ONNX Runtime can't read are the bundle's fault."""
    (tmp_path / "bad.onnx").write_bytes(b"not a graph at all")
    with pytest.raises(BundleError, match=r"bad\.onnx"):
        Model(tmp_path / "bad.onnx")


def test_failed_run_is_a_provider_error(bundle: Path) -> None:
    """A run that ONNX Runtime refuses is mapped, with its reason."""
    model = Model(bundle / "detector.onnx")
    with pytest.raises(ProviderError, match="failed to run") as caught:
        model.run({"image": np.zeros((1, 3, 3, 3), np.uint8)}, ["heatmap"])
    assert caught.value.hint
    assert caught.value.__cause__ is not None


def test_silent_fallback_is_noticed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime may start on the CPU although another provider was asked for; that is refused."""
    ort = session.runtime()
    real = ort.InferenceSession

    def on_cpu(path: str, options: object, providers: list[tuple[str, object]]) -> object:
        assert [name for name, _ in providers] == ["CUDAExecutionProvider", CPU]
        return real(path, options, providers=[CPU])

    monkeypatch.setattr(ort, "InferenceSession", on_cpu)
    with pytest.raises(UnusableError, match="can't be used"):
        Model(bundle / "detector.onnx", "CUDAExecutionProvider")


def test_provider_that_takes_nothing_is_noticed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider may be in the session and leave every node to the CPU; that is no use of it."""
    ort = session.runtime()
    real = ort.InferenceSession

    class Idle:
        """The CPU's session under another name."""

        def __init__(self, path: str, options: object, **_: object) -> None:
            self._real = real(path, options, providers=[CPU])

        def get_providers(self) -> list[str]:
            return ["CUDAExecutionProvider", CPU]

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    monkeypatch.setattr(ort, "InferenceSession", Idle)
    with pytest.raises(ProviderError, match="nothing of this graph"):
        Model(bundle / "detector.onnx", "CUDAExecutionProvider")


def test_cpu_takes_the_whole_graph(bundle: Path) -> None:
    """The share of nodes that the provider took is known."""
    assert Model(bundle / "detector.onnx").share == 1.0


def test_long_reasons_are_told_in_one_line() -> None:
    """Where a library says in the last of many lines what was wrong, the line is kept."""
    text = "x" * 500 + "\nat core.cpp:114:\n\ncan't protect\n"
    assert session._reason(text) == f"{'x' * 160} ... can't protect"
    assert session._reason("one line") == "one line"
    assert session._reason("") == "no reason given"


def test_graph_of_another_manifest_is_noticed(bundle: Path) -> None:
    """A name that the graph doesn't have is an error that says which."""
    model = Model(bundle / "visual.onnx")
    require(model, ["crop"], ["embedding"])
    with pytest.raises(BundleError, match="image, boxes"):
        require(model, ["image", "crop"], ["boxes"])


def test_missing_runtime_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ONNX Runtime the error names the extras."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ProviderError, match=r"\[cpu\].*\[gpu\]"):
        available_providers()


def test_cpu_is_available() -> None:
    """Every build of ONNX Runtime has the CPU provider."""
    assert CPU in available_providers()


def test_both_distributions_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the cpu and the gpu build are both installed, both are listed."""
    monkeypatch.setattr(metadata, "version", lambda name: f"1.{len(name)}")
    assert set(installed_runtimes()) == {"onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"}


def test_missing_distribution_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is installed is listed."""

    def version(name: str) -> str:
        if name == "onnxruntime":
            return "1.0"
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert installed_runtimes() == {"onnxruntime": "1.0"}
