from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge.errors import BundleError, ProviderError
from edge.vision.manifest import bundle_sha256, load_manifest
from edge.vision.providers import CPU, CUDA, TENSORRT
from edge.vision.selftest import Part, ProviderReport, Towers, check, load_golden, open_tested, prove
from edge.vision.session import ONNX_RUNTIME, Chain, Model, Runtime, UnusableError
from tests.vision import toy
from tests.vision.bench import Bench, Fault


def _open(
    bundle: Path, providers: tuple[str, ...] = (CPU,), runtime: Runtime = ONNX_RUNTIME, **more: Any
) -> tuple[Towers, ProviderReport]:
    return open_tested(bundle, load_manifest(bundle), providers, 1, runtime=runtime, **more)


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
        _open(bundle, runtime=Bench(cpu=FAULTS[name]))
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
    noisy = Bench(cpu=lambda array: array + random.normal(0, 0.002, array.shape).astype(array.dtype))
    _, report = _open(bundle, runtime=noisy)
    assert 0.99 <= report.cosine["detector"] < 0.99999


def test_floor_of_the_manifest_decides(bundle: Path) -> None:
    """The same deviation fails when the manifest asks for more."""
    toy.save_manifest(bundle, golden={"min_cosine": {"detector": 0.999999, "visual": 0.99, "text": 0.99}})
    random = np.random.default_rng(0)
    noisy = Bench(cpu=lambda array: array + random.normal(0, 0.01, array.shape).astype(array.dtype))
    with pytest.raises(ProviderError, match=r"differ from the reference.*--weight-bits 7"):
        _open(bundle, runtime=noisy)


def test_next_provider_is_tried(bundle: Path) -> None:
    """A failing provider is refused with its reason, and the next in the list is used."""
    runtime = Bench(cuda=np.ones_like, cpu=None)
    towers, report = _open(bundle, (TENSORRT, CUDA, CPU), runtime)
    assert report.asked == (TENSORRT, CUDA, CPU)
    assert report.in_use == towers.visual.provider == CPU
    assert [(r.provider, r.why) for r in report.refused] == [(TENSORRT, "absent"), (CUDA, "failed")]
    assert "not in the installed" in report.refused[0].reason
    assert "same result" in report.refused[1].reason
    assert report.files == {"detector": "detector.onnx", "visual": "visual.onnx"}


def test_provider_that_is_banned_is_not_opened(bundle: Path) -> None:
    """What failed while running isn't given another chance by the next opening."""
    runtime = Bench(cuda=None, cpu=None)
    _, report = _open(bundle, (CUDA, CPU), runtime, banned={CUDA: "it died"})
    assert (report.in_use, report.refused[0].reason, report.refused[0].why) == (CPU, "it died", "failed")
    assert {provider for _, provider, _ in runtime.opened} == {CPU}


def test_libraries_that_are_missing_are_told_apart(bundle: Path) -> None:
    """A provider that can't be loaded isn't one that sees wrongly."""

    class Unloadable(Bench):
        def open(self, path: Path, provider: str, threads: int, chain: Chain) -> Model:
            if provider == CUDA:
                raise UnusableError("installed but can't be used")
            return super().open(path, provider, threads, chain)

    _, report = _open(bundle, (CUDA, CPU), Unloadable(cuda=None, cpu=None))
    assert [(r.provider, r.why) for r in report.refused] == [(CUDA, "unusable")]


def test_batches_are_tested_too(bundle: Path) -> None:
    """A provider that only gets single images right is refused; the CPU isn't asked for batches."""

    def first_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate([array[:1], np.roll(array[1:], 1, axis=1)])

    _, report = _open(bundle, (CUDA, CPU), Bench(cuda=first_only, cpu=None))
    assert (report.in_use, "visual.onnx" in report.refused[0].reason) == (CPU, True)
    _, report = _open(bundle, (CPU,), Bench(cpu=first_only))
    assert report.refused == ()


def _with_variant(bundle: Path, target: str, precision: str) -> None:
    """Another file of the visual tower, for one kind of machine."""
    data = (bundle / "visual.onnx").read_bytes()
    name = f"visual.{target}.onnx"
    (bundle / name).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    variant = {"file": name, "sha256": digest, "opset": 17, "precision": precision, "target": target}
    toy.save_manifest(bundle, visual={"precision": "int8 QDQ", "variants": [variant]})


def test_each_provider_gets_its_own_file(bundle: Path) -> None:
    """A bundle may carry a file for TensorRT; the CPU goes on with the one that runs everywhere."""
    _with_variant(bundle, "tensorrt", "int8 symmetric")
    runtime = Bench(tensorrt=None, cpu=None)
    _, report = _open(bundle, (TENSORRT, CPU), runtime)
    assert (report.in_use, report.files["visual"]) == (TENSORRT, "visual.tensorrt.onnx")
    _, report = _open(bundle, (CPU,), runtime)
    assert report.files["visual"] == "visual.onnx"


def test_file_for_processors_is_not_tried_on_tensorrt(bundle: Path) -> None:
    """Without a file of its own TensorRT is passed over, and what to export is said."""
    toy.save_manifest(bundle, visual={"precision": "int8 QDQ"})
    runtime = Bench(tensorrt=None, cpu=None)
    _, report = _open(bundle, (TENSORRT, CPU), runtime)
    assert (report.in_use, report.refused[0].why) == (CPU, "unsuited")
    assert "--target tensorrt" in report.refused[0].reason
    assert {provider for _, provider, _ in runtime.opened} == {CPU}


def test_flipped_byte_in_the_providers_own_file(bundle: Path) -> None:
    """The file that would be used is the one whose digest counts."""
    _with_variant(bundle, "tensorrt", "int8 symmetric")
    (bundle / "visual.tensorrt.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match="differs from its manifest"):
        _open(bundle, (TENSORRT, CPU), Bench(tensorrt=None, cpu=None))
    _, report = _open(bundle, (CPU,))
    assert report.in_use == CPU


def test_compiled_models_are_kept_for_each_bundle(bundle: Path, tmp_path: Path) -> None:
    """Engines lie below the cache folder, by provider and bundle, where the options say."""
    runtime = Bench(tensorrt=None, cuda=None, cpu=None)
    _open(bundle, (TENSORRT, CPU), runtime, cache=tmp_path / "cache")
    folder = tmp_path / "cache" / "tensorrt" / bundle_sha256(bundle)[:16]
    assert folder.is_dir()
    _, _, chain = runtime.opened[0]
    assert [name for name, _ in chain] == [TENSORRT, CUDA, CPU]
    assert chain[0][1]["trt_engine_cache_path"] == str(folder)


def test_cache_that_cannot_be_made_refuses_the_provider(bundle: Path, tmp_path: Path) -> None:
    """Minutes of building at each start would be worse than the next provider."""
    (tmp_path / "cache").write_text("a file")
    _, report = _open(bundle, (TENSORRT, CPU), Bench(tensorrt=None, cpu=None), cache=tmp_path / "cache")
    assert (report.in_use, "no folder" in report.refused[0].reason) == (CPU, True)


@pytest.mark.parametrize("part", ["detector", "visual", "text"])
def test_each_part_can_be_proven_alone(bundle: Path, part: Part) -> None:
    """Text as well as images, on any provider."""
    manifest = load_manifest(bundle)
    assert prove(bundle, manifest, part, CPU) > 0.999
    with pytest.raises(ProviderError):
        prove(bundle, manifest, part, CUDA, runtime=Bench(cuda=np.zeros_like))


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


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_golden_outputs_that_are_no_numbers_are_a_bundle_error(bundle: Path, value: float) -> None:
    """Nothing is far from what isn't a number, so every provider would pass."""
    with np.load(bundle / "golden.npz") as golden:
        content = {key: golden[key].copy() for key in golden}
    content["visual.output.embedding"][0, 0] = value
    np.savez(bundle / "golden.npz", allow_pickle=False, **content)
    toy.save_manifest(bundle)
    with pytest.raises(BundleError, match="aren't all finite"):
        _open(bundle)


def test_golden_samples_that_are_the_same_are_a_bundle_error(bundle: Path) -> None:
    """One image twice would let a provider pass that sees the same in every image."""
    with np.load(bundle / "golden.npz") as golden:
        twice = {key: np.repeat(golden[key][:1], 2, axis=0) for key in golden}
    np.savez(bundle / "golden.npz", allow_pickle=False, **twice)
    toy.save_manifest(bundle)
    with pytest.raises(BundleError, match="the same outputs"):
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
