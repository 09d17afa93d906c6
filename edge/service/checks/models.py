"""The models: one ONNX Runtime, a sound bundle, known images got right, labels that load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.errors import EdgeError
from edge.service.checks.finding import Finding, failed
from edge.settings import Settings
from edge.vision.bundles import find_bundle, verify_bundle
from edge.vision.labels import load_label_set
from edge.vision.manifest import Manifest
from edge.vision.queries import Texts
from edge.vision.selftest import open_tested
from edge.vision.session import CPU, available_providers, installed_runtimes

GPU_NODES: Final = (Path("/dev/nvidiactl"), Path("/dev/nvhost-ctrl-gpu"), Path("/dev/nvgpu"))
_ONE: Final = "pip uninstall onnxruntime onnxruntime-gpu, then install one: edge-camera-trap[cpu] or [gpu]"


def check_runtime(settings: Settings, gpu_nodes: tuple[Path, ...] = GPU_NODES) -> Iterator[Finding]:
    """Exactly one distribution of ONNX Runtime, and one that can use the GPU if there is one."""
    found = installed_runtimes()
    if len(found) > 1:
        names = " and ".join(f"{name} {version}" for name, version in found.items())
        yield Finding("onnxruntime", "fail", f"{names} are both installed, as the same module", _ONE)
        return
    available = available_providers()
    name = " ".join(next(iter(found.items()), ("onnxruntime", "of unknown origin")))
    node = next((node for node in gpu_nodes if node.exists()), None)
    if node is not None and set(available) & set(settings.vision.providers) <= {CPU}:
        hint = "the gpu extra, or NVIDIA's own build on Jetson, uses it; see docs/operating.md"
        yield Finding("onnxruntime", "warn", f"{name} can't use the GPU ({node})", hint)
        return
    yield Finding("onnxruntime", "ok", name)


def check_bundle(settings: Settings) -> Iterator[Finding]:
    """Every file of the bundle as its manifest says, then its known inputs on each provider present."""
    path = find_bundle(settings.vision.bundle, (settings.state / "models",))
    manifest = verify_bundle(path)
    yield Finding("bundle", "ok", f"{manifest.name} {manifest.version}, files as in the manifest, {path}")
    available = available_providers()
    wanted = [name for name in settings.vision.providers if name in available]
    if not wanted:
        hint = f"there are: {', '.join(available)}; set vision.providers"
        yield Finding("self-test", "fail", "none of vision.providers is in this ONNX Runtime", hint)
    for name in wanted:
        yield _tested(path, manifest, name, settings.vision.threads)
    Texts(path, manifest, settings.vision.threads).embed(("a deer",))
    yield Finding("self-test", "ok", "text model gets its known inputs right")


def check_labels(settings: Settings) -> Iterator[Finding]:
    """The label set loads."""
    labels = load_label_set(settings.vision.labels)
    yield Finding("labels", "ok", f"{labels.name}, {len(labels.names)} labels")


def _tested(path: Path, manifest: Manifest, provider: str, threads: int) -> Finding:
    try:
        _, report = open_tested(path, manifest, (provider,), threads)
    except EdgeError as error:
        return failed("self-test", error)
    worst = min(report.cosine.values())
    return Finding("self-test", "ok", f"{provider} gets its known images right (cosine {worst:.4f})")
