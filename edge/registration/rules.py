"""The rules that make registrations of observations, applied to all of them at once.

Only observations with ``count >= 1`` take part, each deployment by itself, in the order of
``(t, media id)``. ``label(i)`` and ``count(i)`` are the observation's own under ``simple``; under
``windowed`` they are

- label(i): the most frequent label among the votes within less than W of i, before and after; a tie goes
  to the larger sum of confidence, then the larger prior, then the label that sorts first. An
  observation without a label doesn't vote. Where nobody votes it is ``unidentified``;
- count(i): the largest count since less than W before i, up to i's own time.

Walk the observations. One opens a new registration when it is the first, or

1. ``label`` is in ``split_on`` and label(i) differs from the label of the observation before it, or
2. ``count`` is in ``split_on`` and count(i) differs from the count of the observation before it, or
3. more than ``gap`` has passed since the reference: the observation before it under ``last_image``, the
   start of the current registration under ``registration_start``.

Otherwise it joins the current one. A registration's label is the label(i) that its members share; where
``label`` is not in ``split_on`` they needn't share one, and it is the winner among its members' own
labels, by the same rules for ties. Its count is the largest count(i).

``Engine`` reaches the same registrations one observation at a time; this module is what it is held to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter

from edge.registration.ids import registration_id
from edge.registration.smoothing import Mark, marks
from edge.registration.types import Observation, Options, Registration
from edge.registration.votes import Sums, winner


def register(observations: Iterable[Observation], options: Options) -> list[Registration]:
    """The registrations of some observations.

    Takes O(n log n) time, whatever the window holds.

    Args:
        observations: of any deployments, in any order; of several with one deployment and media id the
            first one counts.
        options: the rules' settings.

    Returns:
        Registrations by deployment and start. All are open, at revision 0; ids come from the first
        member, so they may differ from the engine's, which remember the media that arrived first.
    """
    deployments: defaultdict[str, dict[str, Observation]] = defaultdict(dict)
    for observation in observations:
        if observation.count >= 1:
            deployments[observation.deployment].setdefault(observation.media_id, observation)
    return [
        registration
        for _, by_media in sorted(deployments.items())
        for registration in _register_one(sorted(by_media.values(), key=attrgetter("t", "media_id")), options)
    ]


def breaks(before: Mark, mark: Mark, since: int, options: Options) -> bool:
    """Whether an observation opens a new registration.

    Args:
        before: label(p) and count(p) of the observation before it.
        mark: its own label(i) and count(i).
        since: ms from the reference to it.
        options: the rules' settings.
    """
    return (
        since > options.gap
        or ("label" in options.split_on and mark.label != before.label)
        or ("count" in options.split_on and mark.largest != before.largest)
    )


def label_of(sums: Sums, shared: str, options: Options) -> str:
    """A registration's label, from its members' own votes and the label(i) of any one of them."""
    return shared if "label" in options.split_on else winner(sums.votes, sums.confidence, options.priors)


def _register_one(ordered: Sequence[Observation], options: Options) -> Iterator[Registration]:
    marked = marks(ordered, options)
    cuts = [*_openings(ordered, marked, options), len(ordered)]
    for number, (first, end) in enumerate(zip(cuts, islice(cuts, 1, None), strict=False), start=1):
        yield _registration(ordered[first:end], marked[first:end], number, options)


def _openings(ordered: Sequence[Observation], marked: Sequence[Mark], options: Options) -> Iterator[int]:
    yield 0
    from_start = options.compared_to == "registration_start"
    reference = ordered[0].t
    for i in range(1, len(ordered)):
        t = ordered[i].t
        opens = breaks(marked[i - 1], marked[i], t - reference, options)
        if opens:
            yield i
        if opens or not from_start:
            reference = t


def _registration(
    members: Sequence[Observation], marked: Sequence[Mark], number: int, options: Options
) -> Registration:
    sums = Sums.of(members)
    first = members[0]
    label = label_of(sums, marked[0].label, options)
    return Registration(
        id=registration_id(first.deployment, first.media_id),
        deployment=first.deployment,
        label=label,
        count=max(mark.largest for mark in marked),
        first=first.key,
        last=members[-1].key,
        media_count=sums.media_count,
        votes=dict(sums.votes),
        confidence=sums.mean_confidence(label),
        opened=number,
        confidence_sums=dict(sums.confidence),
    )
