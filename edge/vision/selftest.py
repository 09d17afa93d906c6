"""The golden self-test: a provider may only look at images after it has got known ones right.

An execution provider can be fast, silent and wrong (one optimisation level of ONNX Runtime gave the same
vector for every image). So before the first image, and whenever the provider changes, the bundle's golden
inputs run on the provider that will be used. Different inputs must give different outputs, and every
output must be close to the fp32 reference. A provider that fails is refused, with the reason kept for
people, and the next one is tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from edge.errors import BundleError, ProviderError
from edge.vision.manifest import Manifest, ModelFile, Parts, Stored, Target, bundle_sha256, verify_file
from edge.vision.npz import read_npz
from edge.vision.providers import CPU, cache_of, chain, target_of, unsuited
from edge.vision.session import ONNX_RUNTIME, Model, Runtime, UnusableError, require
from edge.vision.visual import BATCH

Part = Literal["detector", "visual", "text"]
Why = Literal["absent", "unsuited", "unusable", "failed"]
Array = npt.NDArray[Any]
_APART: Final = 0.5  # share of the references' distance that two different outputs must keep
_TWO: Final = 2
ABSENT: Final = "not in the installed ONNX Runtime"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A provider that was asked for and isn't used, and why.

    Attributes:
        provider: ONNX Runtime's name.
        reason: for people.
        why: ``absent`` from the installed ONNX Runtime, ``unsuited`` to the bundle's files, ``unusable``
            because its own libraries can't be loaded, or ``failed``: it gives wrong results or none.
    """

    provider: str
    reason: str
    why: Why = "failed"


class NoProviderError(ProviderError):
    """None of the providers that were asked for can be used.

    Attributes:
        refused: each of them, with its reason.
    """

    def __init__(self, asked: Sequence[str], refused: Sequence[Refusal]) -> None:
        super().__init__(
            "no execution provider can be used",
            subject=", ".join(asked) or "none is configured",
            hint="; ".join(f"{r.provider}: {r.reason}" for r in refused) or "set vision.providers",
        )
        self.refused = tuple(refused)


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """What was asked for, what is in use, and why.

    Attributes:
        asked: providers in the configured order.
        in_use: the first of them that passed.
        refused: those before it.
        cosine: per part, the worst cosine to the reference.
        files: per part, the file that is used on it.
    """

    asked: tuple[str, ...]
    in_use: str
    refused: tuple[Refusal, ...]
    cosine: Mapping[str, float]
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Golden:
    """Known inputs and fp32 outputs of one part, by the graph's names; samples along axis 0."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


def load_golden(bundle: Path, manifest: Parts, parts: Sequence[Part]) -> dict[Part, Golden]:
    """Read the golden inputs and outputs of some parts.

    Raises:
        BundleError: the file is missing, damaged, or has fewer than two samples of a part.
    """
    path = bundle / manifest.golden.file
    verify_file(path, manifest.golden.sha256)
    try:
        content = read_npz(path)
        return {part: _golden(content, part) for part in parts}
    except (OSError, ValueError) as error:
        raise BundleError("golden samples can't be used", subject=str(path), hint=str(error)) from error


def _golden(content: Mapping[str, Array], part: Part) -> Golden:
    def named(side: str) -> dict[str, Array]:
        prefix = f"{part}.{side}."
        arrays = {name.removeprefix(prefix): content[name] for name in content if name.startswith(prefix)}
        if not arrays or any(len(array) < _TWO for array in arrays.values()):
            raise ValueError(f"{prefix}* is missing or has fewer than two samples")
        return arrays

    golden = Golden(named("input"), named("output"))
    if not all(np.isfinite(array).all() for array in golden.outputs.values()):
        raise ValueError(
            f"the outputs of {part} aren't all finite, so that nothing can be compared with them"
        )
    if not any((array[0] != array[1]).any() for array in golden.outputs.values()):
        raise ValueError(f"the samples of {part} have the same outputs, so they can't tell anything apart")
    return golden


def check(model: Model, golden: Golden, minimum: float, batch: int = 0) -> float:
    """Run the golden inputs, one after the other as images will come.

    Args:
        model: the graph on the provider in question.
        golden: inputs and reference outputs.
        minimum: cosine that every output of every sample must reach.
        batch: run them a second time, repeated so often that this many go in at once; 0 leaves that out.

    Returns:
        the worst cosine.

    Raises:
        ProviderError: outputs don't differ, differ from the reference, or the run failed.
        BundleError: the graph has other inputs or outputs than the golden samples.
    """
    require(model, list(golden.inputs), list(golden.outputs))
    names = list(golden.outputs)
    samples = range(len(golden.outputs[names[0]]))
    singly = [model.run({k: v[i : i + 1] for k, v in golden.inputs.items()}, names) for i in samples]
    together = model.run(_repeated(golden.inputs, batch), names) if batch else []
    worst = 1.0
    for position, name in enumerate(names):
        want = golden.outputs[name]
        worst = min(worst, _compare(model, name, np.concatenate([run[position] for run in singly]), want))
        if batch:
            repeated = _repeated({name: want}, batch)[name]
            worst = min(worst, _compare(model, name, together[position], repeated))
    if not worst >= minimum:
        raise ProviderError(
            f"results of {model.provider} differ from the reference",
            subject=model.path.name,
            hint=f"cosine {worst:.4f}, at least {minimum:.4f} is required" + _advice(model),
        )
    return worst


def _advice(model: Model) -> str:
    """What else could be done: processors without VNNI saturate with 8-bit weights, never with 7-bit ones."""
    return "; export it with --weight-bits 7 if it is int8" if model.provider == CPU else ""


def _repeated(arrays: Mapping[str, Array], batch: int) -> dict[str, Array]:
    return {name: np.resize(array, (batch, *array.shape[1:])) for name, array in arrays.items()}


def _compare(model: Model, name: str, results: Array, references: Array) -> float:
    got = results.astype(np.float64).reshape(len(results), -1)
    want = references.astype(np.float64).reshape(len(references), -1)
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
    threads: int = 1,
    *,
    streams: int = 1,
    cache: Path | None = None,
    banned: Mapping[str, str] | None = None,
    runtime: Runtime = ONNX_RUNTIME,
    target: Target | None = None,
) -> tuple[Towers, ProviderReport]:
    """Open a bundle's graphs on the first provider that gets the golden samples right.

    Args:
        bundle: the folder.
        manifest: of the bundle.
        providers: in order of preference; those that aren't installed are passed over.
        threads: inside one run.
        streams: runs at once, for providers that have to know.
        cache: folder for what providers compile; None keeps nothing.
        banned: providers that must not be tried, with the reason.
        runtime: opens graphs; tests put their own providers here.
        target: take the files for this kind of machine, whatever the provider; None takes what suits it.

    Raises:
        NoProviderError: none is left; says each one's reason.
        BundleError: the bundle itself is at fault, so that no provider could do better.
    """
    golden = load_golden(bundle, manifest, ("detector", "visual"))
    available = runtime.available()
    refused: list[Refusal] = []
    for provider in providers:
        reason = ABSENT if provider not in available else (banned or {}).get(provider, "")
        if reason:
            refused.append(Refusal(provider, reason, "absent" if reason == ABSENT else "failed"))
            continue
        opening = _Opening(bundle, provider, available, threads, streams, cache, runtime, target)
        unfit = unsuited(provider, opening.stored(manifest.detector)) or unsuited(
            provider, opening.stored(manifest.visual)
        )
        if unfit:
            refused.append(Refusal(provider, unfit, "unsuited"))
            continue
        try:
            towers, cosine = _try(opening, manifest, golden)
        except ProviderError as error:
            why: Why = "unusable" if isinstance(error, UnusableError) else "failed"
            refused.append(Refusal(provider, str(error), why))
            continue
        files = {"detector": towers.detector.path.name, "visual": towers.visual.path.name}
        return towers, ProviderReport(tuple(providers), provider, tuple(refused), cosine, files)
    raise NoProviderError(providers, refused)


@dataclass(frozen=True, slots=True)
class _Opening:
    """How graphs are opened on one provider."""

    bundle: Path
    provider: str
    available: Sequence[str]
    threads: int
    streams: int
    cache: Path | None
    runtime: Runtime
    target: Target | None = None

    def stored(self, section: ModelFile) -> Stored:
        return section.stored_for(self.target or target_of(self.provider))

    def open(self, section: ModelFile) -> Model:
        stored = self.stored(section)
        verify_file(self.bundle / stored.file, stored.sha256)
        cache = cache_of(self.cache, self.provider, bundle_sha256(self.bundle))
        if cache is not None:
            _make(cache)
        options = chain(
            self.provider,
            self.available,
            cache=cache,
            stored=stored,
            threads=self.threads,
            streams=self.streams,
        )
        return self.runtime.open(self.bundle / stored.file, self.provider, self.threads, options)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ProviderError(
            "no folder for compiled models", subject=str(folder), hint=error.strerror or ""
        ) from error


def _try(
    opening: _Opening, manifest: Manifest, golden: Mapping[Part, Golden]
) -> tuple[Towers, dict[str, float]]:
    """Open both graphs and test them.

    What isn't the CPU also has to get a full batch right: batches have had kernels and faults of their own.
    An engine that was made for one image is then made anew for any number up to a full batch, now and not
    at the first image with many animals.
    """
    detector, visual = opening.open(manifest.detector), opening.open(manifest.visual)
    batch = 0 if opening.provider == CPU else BATCH
    cosine = {
        "detector": check(detector, golden["detector"], floor_of(manifest, "detector")),
        "visual": check(visual, golden["visual"], floor_of(manifest, "visual"), batch),
    }
    return Towers(detector, visual), cosine


def prove(
    bundle: Path,
    manifest: Parts,
    part: Part,
    provider: str,
    *,
    cache: Path | None = None,
    runtime: Runtime = ONNX_RUNTIME,
) -> float:
    """Run one part's golden inputs on one provider.

    Returns:
        the worst cosine.

    Raises:
        ProviderError: the provider can't be used or gets them wrong.
        BundleError: a file is missing or isn't what the manifest says.
    """
    opening = _Opening(bundle, provider, runtime.available(), 1, 1, cache, runtime)
    batch = BATCH if part == "visual" and provider != CPU else 0
    golden = load_golden(bundle, manifest, (part,))[part]
    model = opening.open(getattr(manifest, part))
    return check(model, golden, floor_of(manifest, part), batch)


def floor_of(manifest: Parts, part: Part) -> float:
    """How close a part has to come to its reference: a cosine.

    Raises:
        BundleError: the manifest doesn't say.
    """
    floors = manifest.golden.min_cosine
    if part not in floors:
        raise BundleError("manifest gives no golden.min_cosine", subject=part)
    return floors[part]
