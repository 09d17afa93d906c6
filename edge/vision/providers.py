"""Execution providers: which file suits each, and the options with which a session opens on it.

All of it is pure; :mod:`edge.vision.session` talks to ONNX Runtime. Options are those of its documentation
("Execution Providers": TensorRT, CUDA, OpenVINO), all of them text.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from edge.settings import PROVIDERS
from edge.vision.manifest import Stored, Target, Variant

CPU: Final = PROVIDERS["cpu"]
CUDA: Final = PROVIDERS["cuda"]
OPENVINO: Final = PROVIDERS["openvino"]
TENSORRT: Final = PROVIDERS["tensorrt"]
GPU: Final = frozenset({CUDA, TENSORRT})
BUILDS: Final = frozenset({TENSORRT})
"""Providers that make an engine of their own out of a graph, which takes minutes and is kept."""

_SHORT: Final = {name: short for short, name in PROVIDERS.items()}
_ARM: Final = frozenset({"aarch64", "arm64"})
_GIB: Final = 1 << 30
_TARGETS: Final[Mapping[str, Target]] = {TENSORRT: "tensorrt", CUDA: "cuda"}

Options = dict[str, str]


def short_name(provider: str) -> str:
    """A provider as settings and people call it; ONNX Runtime's name where there is no shorter one."""
    return _SHORT.get(provider, provider)


def target_of(provider: str, machine: str = "") -> Target:
    """For what kind of machine a file should have been made to run on a provider.

    Args:
        provider: ONNX Runtime's name.
        machine: processor, as ``uname -m`` says; this one's if not given.
    """
    processor: Target = "arm" if (machine or platform.machine()) in _ARM else "x86"
    return _TARGETS.get(provider, processor)


def unsuited(provider: str, stored: Stored) -> str:
    """Why a provider wouldn't be good at a file, or empty.

    TensorRT takes symmetric signed int8 only (it has no zero points), so of an int8 file for processors it
    would refuse most nodes and build many small engines around them. CUDA has no kernels for numbers that
    are quantised as they come: each of them would be fetched to the processor and brought back.
    """
    if isinstance(stored, Variant) or not _has_int8_activations(stored.precision):
        return ""
    if provider == TENSORRT or (provider == CUDA and "dynamic" in stored.precision):
        target = target_of(provider)
        return f"{stored.file} ({stored.precision}) is made for processors; export with --target {target}"
    return ""


def provider_options(
    provider: str, *, cache: Path | None, stored: Stored, threads: int = 1, streams: int = 1
) -> Options:
    """Options of one provider for one file.

    Args:
        provider: ONNX Runtime's name; those without options of ours get none.
        cache: folder for what the provider compiles, None to keep nothing.
        stored: the file; its precision decides what TensorRT may compute in.
        threads: inside one run.
        streams: runs at once.
    """
    if provider == TENSORRT:
        return _tensorrt(cache, stored)
    if provider == CUDA:
        return _cuda()
    if provider == OPENVINO:
        return _openvino(cache, threads, streams)
    return {}


def chain(
    provider: str,
    available: Collection[str],
    *,
    cache: Path | None,
    stored: Stored,
    threads: int = 1,
    streams: int = 1,
) -> list[tuple[str, Options]]:
    """Providers of one session, best first: what one can't do, the next does.

    Args:
        provider: the one that is meant.
        available: those that ONNX Runtime has; CUDA stands behind TensorRT only if it is among them.
        cache: folder for what providers compile, None to keep nothing.
        stored: the file.
        threads: inside one run.
        streams: runs at once.
    """
    behind = [CUDA] if provider == TENSORRT and CUDA in available else []
    names = [provider, *behind, *([] if provider == CPU else [CPU])]
    return [
        (name, provider_options(name, cache=cache, stored=stored, threads=threads, streams=streams))
        for name in names
    ]


def cache_of(folder: Path | None, provider: str, bundle_sha256: str) -> Path | None:
    """Where a provider keeps what it compiles of a bundle: ``<folder>/tensorrt/<bundle>``.

    Args:
        folder: for caches; None keeps nothing.
        provider: ONNX Runtime's name.
        bundle_sha256: the bundle's identity, so that another bundle's engines are never loaded.
    """
    if folder is None or provider not in (TENSORRT, OPENVINO):
        return None
    return folder / short_name(provider) / bundle_sha256[:16]


def _has_int8_activations(precision: str) -> bool:
    return precision.startswith("int8") and "weights" not in precision


def _tensorrt(cache: Path | None, stored: Stored) -> Options:
    """Engines and timings kept; half precision and int8 only where the file was measured with them.

    Shapes aren't given: the self-test runs the smallest and the largest batch, and the engine that comes of
    it is good for all between, whatever part of the graph TensorRT takes.
    """
    precision = stored.precision
    options = {
        "trt_fp16_enable": _flag(precision.startswith(("fp16", "int8"))),
        "trt_int8_enable": _flag(_has_int8_activations(precision)),
        "trt_max_workspace_size": str(_GIB),  # on a Jetson this is the machine's own memory
    }
    if cache is not None:
        options |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(cache),
            "trt_engine_cache_prefix": Path(stored.file).stem,
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(cache),
        }
    return options


def _cuda() -> Options:
    """Memory as asked for rather than doubled, and no search for kernels at the first image.

    An exhaustive search takes tens of seconds on a small GPU, and its workspace memory that a Jetson shares
    with everything else.
    """
    return {
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "cudnn_conv_use_max_workspace": "0",
    }


def _openvino(cache: Path | None, threads: int, streams: int) -> Options:
    """On the processor, in as many threads as asked for, none of them tied to a core.

    By itself it takes every core for one run, ties threads to cores (two processes then share one), lets a
    second run wait for the first, and computes in bfloat16 where the processor can.
    """
    plugin = {
        "INFERENCE_NUM_THREADS": str(threads * streams),
        "NUM_STREAMS": str(streams),
        "ENABLE_CPU_PINNING": "NO",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    options = {"device_type": "CPU", "load_config": json.dumps({"CPU": plugin})}
    return options if cache is None else options | {"cache_dir": str(cache)}


def _flag(value: bool) -> str:
    return "1" if value else "0"
