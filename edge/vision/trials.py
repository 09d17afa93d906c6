"""Everything that can be checked of a bundle on this machine: every file, every part, every provider."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from edge.errors import BundleError, ProviderError
from edge.settings import PROVIDERS
from edge.vision.manifest import Parts, verify_file
from edge.vision.providers import CPU, target_of, unsuited
from edge.vision.selftest import Part, prove
from edge.vision.session import ONNX_RUNTIME, Runtime

Outcome = Literal["passed", "failed", "unsuited"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, slots=True)
class Trial:
    """One part's golden inputs on one provider.

    Attributes:
        provider: ONNX Runtime's name.
        part: which graph.
        file: that this provider takes.
        outcome: ``unsuited`` wasn't tried, for the file isn't made for this provider.
        cosine: the worst to the reference, None unless it passed.
        reason: why it didn't, or empty.
    """

    provider: str
    part: Part
    file: str
    outcome: Outcome
    cosine: float | None = None
    reason: str = ""


def differing(bundle: Path, manifest: Parts) -> Iterator[tuple[str, str]]:
    """Every file with what is wrong with it, empty if nothing is: name, problem."""
    for name, expected in manifest.files().items():
        try:
            verify_file(bundle / name, expected)
        except BundleError as error:
            yield name, error.what
        else:
            yield name, ""


def present(wanted: Sequence[str], runtime: Runtime = ONNX_RUNTIME) -> list[str]:
    """Providers that can be tried here: those that are wanted first, then others that are known."""
    available = runtime.available()
    return [name for name in dict.fromkeys((*wanted, *PROVIDERS.values())) if name in available]


def try_all(
    bundle: Path,
    manifest: Parts,
    providers: Iterable[str],
    *,
    cache: Path | None = None,
    runtime: Runtime = ONNX_RUNTIME,
) -> Iterator[Trial]:
    """Run every part on every provider, one after the other as they come.

    Args:
        bundle: its folder; its files are as the manifest says.
        manifest: of a bundle, or of parts of one.
        providers: to try.
        cache: folder for what providers compile; None keeps nothing.
        runtime: opens graphs.

    Raises:
        BundleError: the bundle itself is at fault.
    """
    for provider in providers:
        for part in PARTS:
            section = getattr(manifest, part)
            if section is None:
                continue
            stored = section.stored_for(target_of(provider))
            if reason := unsuited(provider, stored):
                yield Trial(provider, part, stored.file, "unsuited", reason=reason)
                continue
            try:
                cosine = prove(bundle, manifest, part, provider, cache=cache, runtime=runtime)
            except ProviderError as error:
                yield Trial(provider, part, stored.file, "failed", reason=str(error))
            else:
                yield Trial(provider, part, stored.file, "passed", cosine)


def sound(trials: Sequence[Trial]) -> bool:
    """Whether a bundle can be used: one provider gets both images' parts right, and the CPU the text."""
    failed = {(trial.provider, trial.part) for trial in trials if trial.outcome != "passed"}
    providers = {trial.provider for trial in trials}
    sees = any(not {(provider, "detector"), (provider, "visual")} & failed for provider in providers)
    return sees and (CPU, "text") not in failed
