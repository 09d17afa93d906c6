"""The golden self-test: a provider may only look at images after it has got known ones right.

An execution provider can be fast, silent and wrong (one optimisation level of ONNX Runtime gave the same
vector for every image). So before the first image, and whenever the provider changes, the bundle's golden
inputs run on the provider that will be used. Different inputs must give different outputs, and every
output must be close to the fp32 reference. A provider that fails is refused, with the reason kept for
people, and the next one is tried.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from edge.errors import BundleError, ProviderError
from edge.vision.manifest import Manifest, verify_file
from edge.vision.session import Model, available_providers, require

Part = Literal["detector", "visual", "text"]
Array = npt.NDArray[Any]
Opener = Callable[[Path, str, int], Model]
_APART: Final = 0.5  # share of the references' distance that two different outputs must keep
_TWO: Final = 2
ABSENT: Final = "not in the installed ONNX Runtime"
"""Reason of a refusal that needs nobody: the provider was never there."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A provider that was asked for and isn't used, and why."""

    provider: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """What was asked for, what is in use, and why.

    Attributes:
        asked: providers in the configured order.
        in_use: the first of them that passed.
        refused: those before it.
        cosine: per part, the worst cosine to the reference.
    """

    asked: tuple[str, ...]
    in_use: str
    refused: tuple[Refusal, ...]
    cosine: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Golden:
    """Known inputs and fp32 outputs of one part, by the graph's names; samples along axis 0."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


def load_golden(bundle: Path, manifest: Manifest, parts: Sequence[Part]) -> dict[Part, Golden]:
    """Read the golden inputs and outputs of some parts.

    Raises:
        BundleError: the file is missing, damaged, or has fewer than two samples of a part.
    """
    path = bundle / manifest.golden.file
    verify_file(path, manifest.golden.sha256)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
            return {part: _golden(content, part) for part in parts}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise BundleError("golden samples can't be used", subject=str(path), hint=str(error)) from error


def _golden(content: Mapping[str, Array], part: Part) -> Golden:
    def named(side: str) -> dict[str, Array]:
        prefix = f"{part}.{side}."
        arrays = {name.removeprefix(prefix): content[name] for name in content if name.startswith(prefix)}
        if not arrays or any(len(array) < _TWO for array in arrays.values()):
            raise ValueError(f"{prefix}* is missing or has fewer than two samples")
        return arrays

    return Golden(named("input"), named("output"))


def check(model: Model, golden: Golden, minimum: float) -> float:
    """Run the golden inputs, one after the other as images will come.

    Args:
        model: the graph on the provider in question.
        golden: inputs and reference outputs.
        minimum: cosine that every output of every sample must reach.

    Returns:
        the worst cosine.

    Raises:
        ProviderError: outputs don't differ, differ from the reference, or the run failed.
        BundleError: the graph has other inputs or outputs than the golden samples.
    """
    require(model, list(golden.inputs), list(golden.outputs))
    names = list(golden.outputs)
    samples = range(len(golden.outputs[names[0]]))
    runs = [model.run({k: v[i : i + 1] for k, v in golden.inputs.items()}, names) for i in samples]
    worst = 1.0
    for position, name in enumerate(names):
        got = np.stack([run[position][0].astype(np.float64).ravel() for run in runs])
        want = golden.outputs[name].astype(np.float64).reshape(len(got), -1)
        worst = min(worst, _compare(model, name, got, want))
    if not worst >= minimum:
        raise ProviderError(
            f"results of {model.provider} differ from the reference",
            subject=model.path.name,
            hint=f"cosine {worst:.4f}, at least {minimum:.4f} is required",
        )
    return worst


def _compare(model: Model, name: str, got: Array, want: Array) -> float:
    if got.shape != want.shape or not np.isfinite(got).all():
        raise ProviderError(
            f"{model.provider} gives no numbers, or not as many as it should",
            subject=f"{name} of {model.path.name}",
        )
    if np.linalg.norm(got[0] - got[1]) < _APART * np.linalg.norm(want[0] - want[1]):
        raise ProviderError(
            f"{model.provider} gives the same result for different images",
            subject=f"{name} of {model.path.name}",
        )
    lengths = np.linalg.norm(got, axis=1) * np.linalg.norm(want, axis=1)
    return float(((got * want).sum(1) / np.maximum(lengths, np.finfo(np.float64).tiny)).min())


@dataclass(frozen=True, slots=True)
class Towers:
    """The two graphs that look at every image, on one provider that passed."""

    detector: Model
    visual: Model


def open_tested(
    bundle: Path,
    manifest: Manifest,
    providers: Sequence[str],
    threads: int,
    opener: Opener = Model,
) -> tuple[Towers, ProviderReport]:
    """Open a bundle's graphs on the first provider that gets the golden samples right.

    Args:
        bundle: the folder.
        manifest: of the bundle.
        providers: in order of preference; those that aren't installed are passed over.
        threads: inside one run.
        opener: opens one graph; tests put their own here.

    Raises:
        ProviderError: none is left; says each one's reason.
        BundleError: the bundle itself is at fault, so that no provider could do better.
    """
    verify_file(bundle / manifest.detector.file, manifest.detector.sha256)
    verify_file(bundle / manifest.visual.file, manifest.visual.sha256)
    golden = load_golden(bundle, manifest, ("detector", "visual"))
    available = available_providers()
    refused: list[Refusal] = []
    for provider in providers:
        if provider not in available:
            refused.append(Refusal(provider, ABSENT))
            continue

        def open_file(name: str, provider: str = provider) -> Model:
            return opener(bundle / name, provider, threads)

        try:
            towers, cosine = _try(open_file, manifest, golden)
        except ProviderError as error:
            refused.append(Refusal(provider, str(error)))
            continue
        return towers, ProviderReport(tuple(providers), provider, tuple(refused), cosine)
    raise ProviderError(
        "no execution provider can be used",
        subject=", ".join(providers) or "none is configured",
        hint="; ".join(f"{r.provider}: {r.reason}" for r in refused) or "set vision.providers",
    )


def _try(
    open_file: Callable[[str], Model], manifest: Manifest, golden: Mapping[Part, Golden]
) -> tuple[Towers, dict[str, float]]:
    detector, visual = open_file(manifest.detector.file), open_file(manifest.visual.file)
    cosine = {
        "detector": check(detector, golden["detector"], floor_of(manifest, "detector")),
        "visual": check(visual, golden["visual"], floor_of(manifest, "visual")),
    }
    return Towers(detector, visual), cosine


def floor_of(manifest: Manifest, part: Part) -> float:
    """How close a part has to come to its reference: a cosine.

    Raises:
        BundleError: the manifest doesn't say.
    """
    floors = manifest.golden.min_cosine
    if part not in floors:
        raise BundleError("manifest gives no golden.min_cosine", subject=part)
    return floors[part]
