"""The measure that counts: what a bundle's precision does to registrations.

Two bundles see the same images in the same order; both go through the registration rules; visits are then
paired, deployment by deployment, where they overlap in time.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from edge.registration import Observation, Options, Registration, register
from edge.settings import VisionSettings
from edge.vision.labels import LabelSet
from edge.vision.pipeline import Vision
from export.evaluation import Frame
from export.pictures import MAX_PIXELS, Step, quiet

Kind = Literal["lost", "added", "relabelled", "recounted"]
_CPU = "CPUExecutionProvider"


@dataclass(frozen=True)
class Difference:
    """One visit that came out otherwise.

    Attributes:
        kind: how.
        deployment: where.
        start, end: of the reference's visit, or of the added one, ms UTC.
        was: what the reference says: label and count; empty for an added one.
        now: what the other says; empty for a lost one.
        files: names of the images with animals in that time, by either.
    """

    kind: Kind
    deployment: str
    start: int
    end: int
    was: str
    now: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Visits:
    """Registrations of one bundle against those of another.

    Attributes:
        reference: how many the reference has.
        lost: of those, how many have no counterpart in time.
        added: how many of the other's have none.
        relabelled, recounted: pairs with another label, with another count.
        images: that both have seen.
        by_deployment: the same for each deployment; empty within one.
        differences: each of them, in order of deployment and time.
    """

    reference: int
    lost: int
    added: int
    relabelled: int
    recounted: int
    images: int = field(default=0, compare=False)
    by_deployment: Mapping[str, Visits] = field(default_factory=dict, compare=False, repr=False)
    differences: tuple[Difference, ...] = field(default=(), compare=False, repr=False)


def observe(bundle: Path, frames: Sequence[Frame], labels: LabelSet, tick: Step = quiet) -> list[Observation]:
    """What a bundle makes of a sequence, as the service records it, on one thread of the CPU.

    Args:
        bundle: folder of a whole bundle.
        frames: images in any order.
        labels: to name animals by.
        tick: told of progress.

    Returns:
        one observation for each frame; its media id is the frame's name, its count 0 where no animal is seen.

    Raises:
        BundleError: the bundle is missing, damaged or incomplete.
        ProviderError: it fails its self-test, or fails to run.
        ExportError: an image has gone.
    """
    settings = VisionSettings(providers=(_CPU,), snapshots=False)
    seen: list[Observation] = []
    with tempfile.TemporaryDirectory(prefix="edge-visits-") as cache:
        vision = Vision.open(bundle, labels, settings, Path(cache))
        for done, frame in enumerate(frames):
            tick("looking at images", done, len(frames))
            sight = vision.see(frame.jpeg(), MAX_PIXELS)
            seen.append(
                Observation(frame.deployment, frame.name, frame.t, sight.label, sight.count, sight.confidence)
            )
    tick("looking at images", len(frames), len(frames))
    return seen


def compare(reference: Sequence[Observation], got: Sequence[Observation]) -> Visits:
    """Run both through the rules and match what comes out.

    Args:
        reference: of every image that was looked at, of one or more deployments.
        got: of the same images by the other bundle.
    """
    ours, theirs = (_by_deployment(seen) for seen in (reference, got))
    parts: dict[str, Visits] = {}
    for deployment in sorted(ours.keys() | theirs.keys()):
        want, have = ours.get(deployment, []), theirs.get(deployment, [])
        found = match(_visits(want), _visits(have), _named([*want, *have]))
        parts[deployment] = replace(found, images=len({seen.media_id for seen in (*want, *have)}))
    return _sum(parts)


class Sighting(NamedTuple):
    """An image with an animal: when, and its file's name."""

    t: int
    name: str


def match(
    want: Sequence[Registration], have: Sequence[Registration], sightings: Sequence[Sighting] = ()
) -> Visits:
    """Pair the visits of one deployment that overlap in time, and count what is left over or differs.

    As many pairs are made as can be; among ways to do so the one with the most equal labels, then the most
    time in common.

    Args:
        want: the reference's.
        have: the other's.
        sightings: in any order, for the names of files in differences.
    """
    ours, theirs = (sorted(some, key=lambda visit: visit.first) for some in (want, have))
    pairs = _aligned(ours, theirs)
    mine, yours = {i for i, _ in pairs}, {j for _, j in pairs}
    differences = [_difference("lost", visit, None) for i, visit in enumerate(ours) if i not in mine]
    differences += [_difference("added", None, visit) for j, visit in enumerate(theirs) if j not in yours]
    for i, j in pairs:
        a, b = ours[i], theirs[j]
        differences += [_difference("relabelled", a, b)] if a.label != b.label else []
        differences += [_difference("recounted", a, b)] if a.count != b.count else []
    kinds = [difference.kind for difference in differences]
    return Visits(
        reference=len(want),
        lost=kinds.count("lost"),
        added=kinds.count("added"),
        relabelled=kinds.count("relabelled"),
        recounted=kinds.count("recounted"),
        differences=tuple(_with_files(each, sightings) for each in sorted(differences, key=_when)),
    )


class _Best(NamedTuple):
    """How good an alignment is: pairs, of those with equal labels, milliseconds in common."""

    pairs: int = 0
    equal: int = 0
    common: int = 0

    def plus(self, a: Registration, b: Registration) -> _Best:
        """With one more pair."""
        common = min(a.end, b.end) - max(a.start, b.start)
        return _Best(self.pairs + 1, self.equal + (a.label == b.label), self.common + common)


def _aligned(ours: Sequence[Registration], theirs: Sequence[Registration]) -> list[tuple[int, int]]:
    """Best pairs of two lists in order of time, none crossing another.

    Visits of one list don't overlap each other, so pairs that overlap never cross; the alignment is found as
    that of two sequences is (Needleman and Wunsch, 1970), on scores that are compared member by member.
    """
    best = [[_Best()] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i, a in enumerate(ours):
        for j, b in enumerate(theirs):
            choices = [best[i][j + 1], best[i + 1][j]]
            if _overlap(a, b):
                choices.append(best[i][j].plus(a, b))
            best[i + 1][j + 1] = max(choices)
    pairs: list[tuple[int, int]] = []
    i, j = len(ours), len(theirs)
    while i and j:
        here = best[i][j]
        if here == best[i - 1][j]:
            i -= 1
        elif here == best[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def _overlap(a: Registration, b: Registration) -> bool:
    return a.start <= b.end and b.start <= a.end


def _difference(kind: Kind, was: Registration | None, now: Registration | None) -> Difference:
    visits = [visit for visit in (was, now) if visit is not None]
    start, end = min(visit.start for visit in visits), max(visit.end for visit in visits)
    return Difference(kind, visits[0].deployment, start, end, _said(was), _said(now))


def _said(visit: Registration | None) -> str:
    return f"{visit.label} x{visit.count}" if visit is not None else ""


def _when(difference: Difference) -> tuple[int, int, str]:
    return difference.start, difference.end, difference.kind


def _with_files(difference: Difference, sightings: Sequence[Sighting]) -> Difference:
    inside = {seen.name for seen in sightings if difference.start <= seen.t <= difference.end}
    return replace(difference, files=tuple(sorted(inside)))


def _visits(seen: Iterable[Observation]) -> list[Registration]:
    return register([each for each in seen if each.count], Options())


def _named(seen: Iterable[Observation]) -> list[Sighting]:
    return [Sighting(each.t, each.media_id) for each in seen if each.count]


def _by_deployment(seen: Iterable[Observation]) -> dict[str, list[Observation]]:
    groups: defaultdict[str, list[Observation]] = defaultdict(list)
    for each in seen:
        groups[each.deployment].append(each)
    return groups


def _sum(parts: Mapping[str, Visits]) -> Visits:
    total = {
        name: sum(getattr(part, name) for part in parts.values())
        for name in ("reference", "lost", "added", "relabelled", "recounted", "images")
    }
    differences = tuple(each for part in parts.values() for each in part.differences)
    return Visits(**total, by_deployment=parts, differences=differences)
