"""The models: one ONNX Runtime that can use what is here, a sound bundle, known images got right, labels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from edge.service.checks.finding import Finding, Level
from edge.service.engines import is_built
from edge.settings import Settings
from edge.vision.bundles import find_bundle, verify_bundle
from edge.vision.labels import load_label_set
from edge.vision.manifest import Manifest
from edge.vision.providers import CPU, GPU, short_name
from edge.vision.queries import Texts
from edge.vision.selftest import NoProviderError, Refusal, open_tested
from edge.vision.session import DISTRIBUTIONS, ONNX_RUNTIME, Runtime, available_providers, installed_runtimes

GPU_NODES: Final = (
    Path("/dev/nvidiactl"),
    Path("/dev/nvidia0"),
    Path("/dev/nvmap"),
    Path("/dev/nvhost-ctrl-gpu"),
    Path("/dev/nvgpu"),
)
TEGRA: Final = Path("/etc/nv_tegra_release")
_ONE: Final = (
    f"pip uninstall {' '.join(DISTRIBUTIONS)}, then install one: edge-camera-trap[cpu], [gpu] or [openvino]"
)


def check_runtime(
    settings: Settings, gpu_nodes: Sequence[Path] = GPU_NODES, tegra: Path = TEGRA
) -> Iterator[Finding]:
    """Exactly one distribution of ONNX Runtime, and one that can use the GPU if there is one."""
    found = installed_runtimes()
    if len(found) > 1:
        names = " and ".join(f"{name} {version}" for name, version in found.items())
        yield Finding("onnxruntime", "fail", f"{names} are installed together, as the same module", _ONE)
        return
    available = available_providers()
    name = " ".join(next(iter(found.items()), ("onnxruntime", "of unknown origin")))
    nodes = [node for node in gpu_nodes if node.exists()]
    if nodes and not GPU & set(available) & set(settings.vision.providers):
        yield _gpu_unused(name, nodes[0], available, tegra)
        return
    closed = next((node for node in nodes if not os.access(node, os.R_OK | os.W_OK)), None)
    if closed is not None:
        hint = "add the user to the groups video and render; the service needs the drop-in gpu.conf"
        yield Finding("onnxruntime", "warn", f"{name}, but this user may not use the GPU ({closed})", hint)
        return
    known = [short_name(provider) for provider in available if short_name(provider) != provider]
    yield Finding("onnxruntime", "ok", f"{name}, for {', '.join(known)}")


def _gpu_unused(name: str, node: Path, available: Sequence[str], tegra: Path) -> Finding:
    """Why a GPU lies idle: the settings leave it out, or this ONNX Runtime isn't made for it."""
    what = f"{name} doesn't use the GPU ({node})"
    if GPU & set(available):
        return Finding("onnxruntime", "warn", what, "vision.providers leaves it out: add tensorrt, cuda")
    if tegra.exists():
        hint = (
            "this is a Jetson: it needs an onnxruntime-gpu that is built for its JetPack, see docs/jetson.md"
        )
    else:
        hint = "the extra gpu instead of cpu uses it, see docs/operating.md"
    return Finding("onnxruntime", "warn", what, hint)


def check_bundle(settings: Settings, runtime: Runtime = ONNX_RUNTIME) -> Iterator[Finding]:
    """Every file of the bundle as its manifest says, its known inputs on each provider, and which is used."""
    path = find_bundle(settings.vision.bundle, (settings.state / "models",))
    manifest = verify_bundle(path)
    yield Finding("bundle", "ok", f"{manifest.name} {manifest.version}, files as in the manifest, {path}")
    refused: list[Refusal] = []
    passed: list[str] = []
    unbuilt = ""
    before: tuple[Refusal, ...] = ()
    for provider in settings.vision.providers:
        if not is_built(settings.state / "cache", provider, path) and provider in runtime.available():
            what = f"{short_name(provider)}: engines aren't built yet, which takes minutes"
            yield Finding("self-test", "ok", f"{what}; the daemon does so when it starts")
            unbuilt = "" if passed else f"{short_name(provider)} once it is built, until then "
            continue
        answer = _tested(path, manifest, provider, settings, runtime)
        if isinstance(answer, Refusal):
            refused.append(answer)
        else:
            before = before if passed else tuple(refused)
            passed.append(provider)
            what = f"{short_name(provider)} gets its known images right (cosine {answer:.4f})"
            yield Finding("self-test", "ok", what)
    yield from _refusals(refused, usable=bool(passed))
    yield _choice(passed, before if passed else refused, unbuilt)
    Texts(path, manifest, settings.vision.threads).embed(("a deer",))
    yield Finding("self-test", "ok", "text model gets its known inputs right")


def _tested(
    path: Path, manifest: Manifest, provider: str, settings: Settings, runtime: Runtime
) -> float | Refusal:
    """The worst cosine of one provider, or why it can't be used; nothing is written."""
    cache = settings.state / "cache"
    try:
        _, report = open_tested(
            path,
            manifest,
            (provider,),
            settings.vision.threads,
            cache=cache if os.access(cache, os.W_OK | os.X_OK) else None,
            runtime=runtime,
        )
    except NoProviderError as error:
        return error.refused[0]
    return min(report.cosine.values())


def _refusals(refused: Sequence[Refusal], *, usable: bool) -> Iterator[Finding]:
    """A line for each provider that fails; those that are absent or unsuited are no fault of theirs."""
    for refusal in refused:
        if refusal.why == "failed":
            level: Level = "warn" if usable else "fail"
            hint = "its driver, libraries or the bundle's file for it are at fault; see docs/operating.md"
            what = f"{short_name(refusal.provider)}: {refusal.reason}"
            yield Finding("self-test", level, what, hint)


def _choice(passed: Sequence[str], better: Sequence[Refusal], unbuilt: str) -> Finding:
    """Which provider would be used, and why none of the better ones."""
    reasons = "".join(f"; not {short_name(refusal.provider)}: {refusal.reason}" for refusal in better)
    if not passed:
        there = "see edge models verify, and set vision.providers"
        return Finding("provider", "fail", f"none of vision.providers can be used{reasons}", there)
    what = f"{unbuilt}{short_name(passed[0])} would be used{reasons}"
    idle = [refusal for refusal in better if refusal.why == "unusable"]
    if passed[0] == CPU and idle:
        return Finding("provider", "warn", what, "install the libraries that its version needs")
    return Finding("provider", "ok", what)


def check_labels(settings: Settings) -> Iterator[Finding]:
    """The label set loads."""
    labels = load_label_set(settings.vision.labels)
    yield Finding("labels", "ok", f"{labels.name}, {len(labels.names)} labels")
