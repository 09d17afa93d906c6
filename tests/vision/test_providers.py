from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from edge.settings import PROVIDERS, VisionSettings
from edge.vision.manifest import Stored, Target, Variant
from edge.vision.providers import (
    CPU,
    CUDA,
    OPENVINO,
    TENSORRT,
    cache_of,
    chain,
    provider_options,
    short_name,
    target_of,
    unsuited,
)

SHA = "ab" * 32


def _stored(precision: str, target: Target | None = None) -> Stored:
    fields = {"file": "visual.onnx", "sha256": SHA, "opset": 18, "precision": precision}
    return Stored.model_validate(fields) if target is None else Variant(target=target, **fields)


@pytest.mark.parametrize(
    ("precision", "half", "int8"),
    [
        ("fp32", "0", "0"),
        ("fp16", "1", "0"),
        ("fp16 weights", "1", "0"),
        ("int8 QDQ", "1", "1"),
        ("int8 weights", "1", "0"),
    ],
)
def test_tensorrt_computes_in_what_the_file_was_measured_in(precision: str, half: str, int8: str) -> None:
    """Half precision and int8 are allowed where the file has them, and nowhere else."""
    options = provider_options(TENSORRT, cache=None, stored=_stored(precision))
    assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == (half, int8)


def test_tensorrt_keeps_engines_and_timings() -> None:
    """Both caches are turned on with the folder given, and left alone without one."""
    options = provider_options(TENSORRT, cache=Path("/state/cache"), stored=_stored("fp16"))
    kept = {name: value for name, value in options.items() if "cache" in name}
    assert kept == {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": "/state/cache",
        "trt_engine_cache_prefix": "visual",
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": "/state/cache",
    }
    without = provider_options(TENSORRT, cache=None, stored=_stored("fp16"))
    assert not any("cache" in name for name in without)


def test_cuda_is_sparing_with_memory() -> None:
    """Small GPUs share their memory with the machine, so the arena doesn't double."""
    assert provider_options(CUDA, cache=Path("/x"), stored=_stored("fp16")) == {
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "cudnn_conv_use_max_workspace": "0",
    }


def test_openvino_runs_in_as_many_threads_as_asked_for() -> None:
    """A run for each worker at once, its threads not tied to cores, in the precision of the reference."""
    options = provider_options(OPENVINO, cache=Path("/x"), stored=_stored("int8 QDQ"), threads=2, streams=3)
    assert (options["device_type"], options["cache_dir"]) == ("CPU", "/x")
    assert json.loads(options["load_config"]) == {
        "CPU": {
            "INFERENCE_NUM_THREADS": "6",
            "NUM_STREAMS": "3",
            "ENABLE_CPU_PINNING": "NO",
            "INFERENCE_PRECISION_HINT": "f32",
        }
    }
    assert "cache_dir" not in provider_options(OPENVINO, cache=None, stored=_stored("fp32"))


@pytest.mark.parametrize("provider", [CPU, "ROCMExecutionProvider"])
def test_other_providers_have_no_options(provider: str) -> None:
    """What isn't known is left as it is."""
    assert provider_options(provider, cache=Path("/x"), stored=_stored("fp32")) == {}


@pytest.mark.parametrize("provider", [CPU, CUDA, OPENVINO, TENSORRT])
def test_options_are_text(provider: str) -> None:
    """ONNX Runtime refuses anything else."""
    options = provider_options(provider, cache=Path("/x"), stored=_stored("int8 QDQ"))
    assert all(isinstance(value, str) for value in options.values())


@pytest.mark.parametrize(
    ("provider", "available", "names"),
    [
        (CPU, (CPU,), [CPU]),
        (OPENVINO, (OPENVINO, CPU), [OPENVINO, CPU]),
        (CUDA, (TENSORRT, CUDA, CPU), [CUDA, CPU]),
        (TENSORRT, (TENSORRT, CUDA, CPU), [TENSORRT, CUDA, CPU]),
        (TENSORRT, (TENSORRT, CPU), [TENSORRT, CPU]),
    ],
)
def test_what_one_cannot_do_the_next_does(
    provider: str, available: tuple[str, ...], names: list[str]
) -> None:
    """CUDA stands behind TensorRT where it is installed, the CPU behind all."""
    found = chain(provider, available, cache=None, stored=_stored("fp16"))
    assert [name for name, _ in found] == names
    assert found[0][1] == provider_options(provider, cache=None, stored=_stored("fp16"))


@pytest.mark.parametrize(
    ("provider", "machine", "target"),
    [
        (CPU, "x86_64", "x86"),
        (CPU, "aarch64", "arm"),
        (OPENVINO, "x86_64", "x86"),
        (CUDA, "aarch64", "cuda"),
        (TENSORRT, "aarch64", "tensorrt"),
    ],
)
def test_provider_and_processor_decide_on_the_file(provider: str, machine: str, target: Target) -> None:
    """GPUs have files of their own; what runs on the processor takes the processor's."""
    assert target_of(provider, machine) == target


@pytest.mark.parametrize(
    ("provider", "stored", "fits"),
    [
        (TENSORRT, _stored("fp16"), True),
        (TENSORRT, _stored("int8 weights"), True),
        (TENSORRT, _stored("int8 QDQ, 2 nodes fp32"), False),
        (TENSORRT, _stored("int8 QDQ", "tensorrt"), True),
        (CUDA, _stored("int8 QDQ"), True),
        (CUDA, _stored("int8 dynamic"), False),
        (CUDA, _stored("int8 dynamic", "cuda"), True),
        (CPU, _stored("int8 dynamic"), True),
        (OPENVINO, _stored("int8 QDQ"), True),
    ],
)
def test_files_that_would_be_slow_on_a_gpu_are_told(provider: str, stored: Stored, fits: bool) -> None:
    """int8 for processors isn't int8 for GPUs; the hint names the target to export for."""
    reason = unsuited(provider, stored)
    assert (reason == "") is fits
    assert fits or "--target" in reason


def test_engines_of_another_bundle_are_never_found() -> None:
    """The folder carries the bundle's identity; the CPU and CUDA keep nothing."""
    folder = Path("/state/cache")
    assert cache_of(folder, TENSORRT, SHA) == folder / "tensorrt" / SHA[:16]
    assert cache_of(folder, OPENVINO, SHA) == folder / "openvino" / SHA[:16]
    assert cache_of(folder, CUDA, SHA) is None
    assert cache_of(folder, CPU, SHA) is None
    assert cache_of(None, TENSORRT, SHA) is None


def test_short_names_are_taken_and_shown() -> None:
    """Settings may say ``tensorrt``; ONNX Runtime's own names and providers unknown here do as well."""
    settings = VisionSettings(providers=("tensorrt", "CUDA", "OpenVINOExecutionProvider", "cpu"))
    assert settings.providers == (TENSORRT, CUDA, OPENVINO, CPU) == tuple(PROVIDERS.values())
    assert [short_name(name) for name in settings.providers] == ["tensorrt", "cuda", "openvino", "cpu"]
    assert VisionSettings(providers=("ROCMExecutionProvider",)).providers == ("ROCMExecutionProvider",)
    assert short_name("ROCMExecutionProvider") == "ROCMExecutionProvider"


def test_unknown_short_name_is_an_error() -> None:
    """A slip is answered with the names that there are."""
    with pytest.raises(ValidationError, match="tensorrt, cuda, openvino, cpu"):
        VisionSettings(providers=("cdua",))
