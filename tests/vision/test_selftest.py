from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge.errors import BundleError, ProviderError
from edge.vision import selftest
from edge.vision.manifest import load_manifest
from edge.vision.selftest import ProviderReport, Towers, check, load_golden, open_tested
from edge.vision.session import CPU, Model
from tests.vision import toy

Fault = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


class _Faulty(Model):
    """A model on a provider that computes something else."""

    fault: Fault = staticmethod(lambda array: array)

    def run(self, inputs: Any, outputs: Any) -> list[npt.NDArray[Any]]:
        return [type(self).fault(array) for array in super().run(inputs, outputs)]


def _faulty(fault: Fault) -> type[_Faulty]:
    return type("_Faulty", (_Faulty,), {"fault": staticmethod(fault)})


def _open(
    bundle: Path, providers: tuple[str, ...] = (CPU,), opener: Any = Model
) -> tuple[Towers, ProviderReport]:
    return open_tested(bundle, load_manifest(bundle), providers, 1, opener)


def test_right_results_pass(bundle: Path) -> None:
    """A provider that gets the golden samples right is taken, and the report says how close it came."""
    towers, report = _open(bundle)
    assert towers.detector.provider == report.in_use == CPU
    assert report.refused == ()
    assert report.cosine["detector"] == pytest.approx(1, abs=1e-4)
    assert report.cosine["visual"] == pytest.approx(1, abs=1e-4)


FAULTS: dict[str, Fault] = {
    "same for every image": np.ones_like,
    "zeros": np.zeros_like,
    "not a number": lambda array: np.full_like(array, np.nan),
    "infinite": lambda array: np.full_like(array, np.inf),
    "negated": np.negative,
    "rows exchanged": lambda array: np.roll(array, 1, axis=-1),
    "half missing": lambda array: array[..., : array.shape[-1] // 2],
}


@pytest.mark.parametrize("name", FAULTS)
def test_wrong_results_are_refused(bundle: Path, name: str) -> None:
    """Constant, empty, undefined, shifted or short results never pass."""
    with pytest.raises(ProviderError, match="no execution provider can be used") as caught:
        _open(bundle, opener=_faulty(FAULTS[name]))
    assert CPU in caught.value.hint


def test_constant_detector_is_refused(bundle: Path) -> None:
    """A graph that sees the same in every image is refused for just that."""
    toy.save_detector(bundle / "detector.onnx", constant=True)
    toy.save_manifest(bundle)
    with pytest.raises(ProviderError, match="same result for different images"):
        _open(bundle)


def test_small_deviation_passes_and_is_reported(bundle: Path) -> None:
    """Rounding of another precision stays above the floor, and shows in the report."""
    random = np.random.default_rng(0)
    noisy = _faulty(lambda array: array + random.normal(0, 0.002, array.shape).astype(array.dtype))
    _, report = _open(bundle, opener=noisy)
    assert 0.99 <= report.cosine["detector"] < 0.99999


def test_floor_of_the_manifest_decides(bundle: Path) -> None:
    """The same deviation fails when the manifest asks for more."""
    toy.save_manifest(bundle, golden={"min_cosine": {"detector": 0.999999, "visual": 0.99, "text": 0.99}})
    random = np.random.default_rng(0)
    noisy = _faulty(lambda array: array + random.normal(0, 0.01, array.shape).astype(array.dtype))
    with pytest.raises(ProviderError, match="differ from the reference"):
        _open(bundle, opener=noisy)


def test_next_provider_is_tried(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing provider is refused with its reason, and the next in the list is used."""
    monkeypatch.setattr(selftest, "available_providers", lambda: ("FastExecutionProvider", CPU))
    constant = _faulty(np.ones_like)

    def opener(path: Path, provider: str, threads: int) -> Model:
        return Model(path, CPU, threads) if provider == CPU else constant(path, CPU, threads)

    towers, report = _open(bundle, ("TensorrtExecutionProvider", "FastExecutionProvider", CPU), opener)
    assert report.asked == ("TensorrtExecutionProvider", "FastExecutionProvider", CPU)
    assert report.in_use == towers.visual.provider == CPU
    assert [refusal.provider for refusal in report.refused] == [
        "TensorrtExecutionProvider",
        "FastExecutionProvider",
    ]
    assert "not in the installed" in report.refused[0].reason
    assert "same result" in report.refused[1].reason


def test_no_provider_left_is_an_error_with_every_reason(bundle: Path) -> None:
    """When none is left, the error says why each one was refused."""
    with pytest.raises(ProviderError, match="ROCM") as caught:
        _open(bundle, ("ROCMExecutionProvider", "CUDAExecutionProvider"))
    assert "ROCMExecutionProvider: not in" in caught.value.hint
    assert "CUDAExecutionProvider: not in" in caught.value.hint


def test_no_provider_configured_is_an_error(bundle: Path) -> None:
    """An empty list says where to set it."""
    with pytest.raises(ProviderError, match=r"vision\.providers"):
        _open(bundle, ())


@pytest.mark.parametrize("name", ["detector.onnx", "visual.onnx", "golden.npz"])
def test_flipped_byte_is_a_bundle_error(bundle: Path, name: str) -> None:
    """One wrong bit in a file is found before it is used, and blamed on the file."""
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleError, match="differs from its manifest") as caught:
        _open(bundle)
    assert name in caught.value.subject


def test_single_golden_sample_is_a_bundle_error(bundle: Path) -> None:
    """With one sample, a constant result couldn't be told from a right one."""
    with np.load(bundle / "golden.npz") as content:
        np.savez(bundle / "golden.npz", **{name: content[name][:1] for name in content})
    toy.save_manifest(bundle)
    with pytest.raises(BundleError, match="fewer than two"):
        _open(bundle)


def test_golden_file_of_another_kind_is_a_bundle_error(bundle: Path) -> None:
    """Whatever lies under the name, the error is about the bundle."""
    (bundle / "golden.npz").write_bytes(b"no archive")
    toy.save_manifest(bundle)
    with pytest.raises(BundleError, match="golden"):
        _open(bundle)


def test_missing_floor_is_a_bundle_error(bundle: Path) -> None:
    """A manifest that doesn't say how close is close enough can't be tested."""
    toy.save_manifest(bundle, golden={"min_cosine": {"detector": 0.99}})
    with pytest.raises(BundleError, match="min_cosine"):
        _open(bundle)


def test_golden_of_another_graph_is_a_bundle_error(bundle: Path) -> None:
    """Samples for inputs that the graph doesn't have are noticed by name."""
    golden = load_golden(bundle, load_manifest(bundle), ("visual",))["visual"]
    with pytest.raises(BundleError, match="crop"):
        check(Model(bundle / "detector.onnx"), golden, 0.9)
