"""How fast a bundle runs here: latency by provider, threads, batch and file, and the best choice.

Variants are interleaved, so that a machine that slows down slows all of them down; medians are compared.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from edge.vision.manifest import Manifest, Target, load_manifest
from edge.vision.providers import target_of
from edge.vision.selftest import Golden, NoProviderError, Part, Refusal, Towers, load_golden, open_tested
from edge.vision.session import ONNX_RUNTIME, Model, Runtime

_TYPICAL: Final = 2  # pictures that an image with one animal sends to the visual model: itself and the crop


class Variant(NamedTuple):
    """One way to run a bundle.

    Attributes:
        provider: ONNX Runtime's name.
        threads: inside one run.
        target: whose files; None for those that the provider takes by itself.
    """

    provider: str
    threads: int
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One measurement.

    Attributes:
        variant: provider, threads, and whose files.
        part: which graph.
        file: that was run.
        batch: samples in one run.
        median_ms: of one run, wall time.
        low_ms, high_ms: quartiles.
    """

    variant: Variant
    part: Literal["detector", "visual"]
    batch: int
    median_ms: float
    low_ms: float
    high_ms: float
    file: str = ""

    @property
    def sample_ms(self) -> float:
        """Median for one sample of the batch."""
        return self.median_ms / self.batch


@dataclass(frozen=True, slots=True)
class BenchReport:
    """All measurements, those that couldn't be made, and the choice.

    Attributes:
        rows: in the order of variants, then part, then batch.
        refused: providers that failed their self-test or aren't installed.
        choice: the variant with the shortest time for an image with one animal; None if nothing ran.
    """

    rows: tuple[BenchRow, ...]
    refused: tuple[Refusal, ...]
    choice: Variant | None


@dataclass(slots=True)
class _Job:
    variant: Variant
    part: Literal["detector", "visual"]
    model: Model
    inputs: dict[str, npt.NDArray[np.generic]]
    outputs: list[str]
    batch: int
    times: list[float] = field(default_factory=list)

    def run(self) -> None:
        start = time.perf_counter()
        self.model.run(self.inputs, self.outputs)
        self.times.append((time.perf_counter() - start) * 1e3)

    def row(self) -> BenchRow:
        low, median, high = statistics.quantiles(self.times, n=4)
        return BenchRow(self.variant, self.part, self.batch, median, low, high, self.model.path.name)


def bench(
    bundle: Path,
    *,
    providers: Sequence[str],
    threads: Sequence[int] = (1, 2),
    batches: Sequence[int] = (1, 2, 4, 8),
    rounds: int = 9,
    targets: Sequence[Target | None] = (None,),
    cache: Path | None = None,
    told: Callable[[int, int], None] = lambda _done, _total: None,
    runtime: Runtime = ONNX_RUNTIME,
) -> BenchReport:
    """Measure a bundle's graphs on this machine.

    Args:
        bundle: its folder.
        providers: execution providers to try; each has to pass the self-test first.
        threads: inside one run.
        batches: for the visual model; the detector always sees one image.
        rounds: runs of each variant, at least 3; the first of all is not counted.
        targets: whose files to run; None for those that each provider takes by itself.
        cache: folder for what providers compile; None keeps nothing.
        told: about progress: steps done, steps in all.
        runtime: opens graphs.

    Raises:
        BundleError: the bundle is missing, damaged or inconsistent.
    """
    manifest = load_manifest(bundle)
    golden = load_golden(bundle, manifest, ("detector", "visual"))
    rounds = max(rounds, 3) + 1
    ways = list(dict.fromkeys((p, _named(manifest, p, target)) for p in providers for target in targets))
    variants = [Variant(p, count, target) for p, target in ways for count in threads]
    total = len(variants) + rounds

    def jobs_of(variant: Variant) -> list[_Job]:
        provider, count, target = (variant.provider,), variant.threads, variant.target
        towers, _ = open_tested(
            bundle, manifest, provider, count, cache=cache, runtime=runtime, target=target
        )
        return _jobs(variant, towers, golden, manifest, batches)

    jobs, refused = _opened(variants, jobs_of, lambda step: told(step, total))
    rows = _measured(jobs, rounds, lambda step: told(len(variants) + step, total))
    return BenchReport(rows, refused, choose(rows))


def _opened(
    variants: Sequence[Variant], jobs_of: Callable[[Variant], list[_Job]], told: Callable[[int], None]
) -> tuple[list[_Job], tuple[Refusal, ...]]:
    """What there is to run; a provider that was refused once isn't asked again with more threads."""
    refused: dict[tuple[str, Target | None], Refusal] = {}
    jobs: list[_Job] = []
    for step, variant in enumerate(variants):
        told(step)
        way = variant.provider, variant.target
        if way in refused:
            continue
        try:
            jobs += jobs_of(variant)
        except NoProviderError as error:
            refused[way] = error.refused[0]
    return jobs, tuple(refused.values())


def _named(manifest: Manifest, provider: str, target: Target | None) -> Target | None:
    """The target; the provider's own where the bundle has no other files for it, so that none run twice."""
    if target is None:
        return None
    own = target_of(provider)
    sections = (manifest.detector, manifest.visual)
    same = all(each.stored_for(target).file == each.stored_for(own).file for each in sections)
    return own if same else target


def _measured(jobs: Sequence[_Job], rounds: int, told: Callable[[int], None]) -> tuple[BenchRow, ...]:
    """Run every job in every round; the first round warms up."""
    for step in range(rounds):
        told(step)
        for job in jobs:
            job.run()
    for job in jobs:
        del job.times[0]
    told(rounds)
    return tuple(job.row() for job in jobs)


def choose(rows: Sequence[BenchRow]) -> Variant | None:
    """The variant in which an image with one animal takes the least time; fewer threads win a tie of 5 %.

    Two images at once on one thread each are faster than one image on two, hence the tie's rule.
    """
    costs: dict[Variant, float] = {}
    for row in rows:
        if row.part == "detector":
            visual = min(
                _TYPICAL * r.sample_ms for r in rows if r.variant == row.variant and r.part == "visual"
            )
            costs[row.variant] = row.median_ms + visual
    if not costs:
        return None
    good = [variant for variant, cost in costs.items() if cost <= min(costs.values()) * 1.05]
    return min(good, key=lambda variant: (variant.threads, costs[variant]))


def _jobs(
    variant: Variant,
    towers: Towers,
    golden: dict[Part, Golden],
    manifest: Manifest,
    batches: Sequence[int],
) -> list[_Job]:
    detector = _Job(
        variant,
        "detector",
        towers.detector,
        _sized(golden["detector"], 1),
        list(manifest.detector.outputs.values()),
        1,
    )
    visual = [
        _Job(variant, "visual", towers.visual, _sized(golden["visual"], n), [manifest.visual.output], n)
        for n in batches
    ]
    return [detector, *visual]


def _sized(golden: Golden, batch: int) -> dict[str, npt.NDArray[np.generic]]:
    return {name: np.resize(array, (batch, *array.shape[1:])) for name, array in golden.inputs.items()}
