"""label(i) and count(i): what the rules compare from one observation to the next.

Both slide a window over observations in order: each one enters once and leaves once, so the work is
linear however dense the window is. The sliding maximum keeps a queue of falling counts (the usual
monotonic queue: an entry that is older and not larger than a newer one can never be the maximum again).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from edge.registration.types import UNIDENTIFIED, Observation, Options
from edge.registration.votes import winner


class Mark(NamedTuple):
    """label(i) and count(i) of one observation."""

    label: str
    largest: int


def marks(observations: Sequence[Observation], options: Options) -> list[Mark]:
    """label(i) and count(i) of each observation.

    Args:
        observations: of one deployment, in key order. Each observation's result is right if everything
            within the window of it is among them.
        options: method, window and priors.
    """
    if options.method == "simple":
        return [Mark(o.label if o.label is not None else UNIDENTIFIED, o.count) for o in observations]
    labels = smoothed_labels(observations, options)
    return list(map(Mark, labels, smoothed_counts(observations, options.window)))


def compared_marks(observations: Sequence[Observation], options: Options) -> list[Mark]:
    """As ``marks``, right only in what ``options.split_on`` has compared; quicker where that isn't both."""
    if options.method == "simple" or options.split_on == {"label", "count"}:
        return marks(observations, options)
    if "label" in options.split_on:
        return [Mark(label, 0) for label in smoothed_labels(observations, options)]
    if "count" in options.split_on:
        return [Mark(UNIDENTIFIED, count) for count in smoothed_counts(observations, options.window)]
    return [Mark(UNIDENTIFIED, 0)] * len(observations)


def smoothed_labels(observations: Sequence[Observation], options: Options) -> list[str]:
    """label(i) of each: the winner among the votes with ``|t_j - t_i| < W``."""
    window, priors = options.window, options.priors
    votes: dict[str, int] = {}
    confidence: dict[str, int] = {}
    labels = []
    label = UNIDENTIFIED
    enters = leaves = 0
    for observation in observations:
        changed = False
        end = observation.t + window
        while enters < len(observations) and observations[enters].t < end:
            vote = observations[enters]
            enters += 1
            if vote.label is not None:
                votes[vote.label] = votes.get(vote.label, 0) + 1
                confidence[vote.label] = confidence.get(vote.label, 0) + vote.confidence
                changed = True
        start = observation.t - window
        while observations[leaves].t <= start:
            vote = observations[leaves]
            leaves += 1
            if vote.label is not None:
                _withdraw(votes, confidence, vote.label, vote.confidence)
                changed = True
        if changed:
            label = winner(votes, confidence, priors)
        labels.append(label)
    return labels


def smoothed_counts(observations: Sequence[Observation], window: int) -> list[int]:
    """count(i) of each: the largest count with ``t_i - W < t_j <= t_i``."""
    counts = []
    falling: deque[tuple[int, int]] = deque()  # (t, count), count strictly falling
    enters = 0
    for observation in observations:
        while enters < len(observations) and observations[enters].t <= observation.t:
            entering = observations[enters]
            enters += 1
            while falling and falling[-1][1] <= entering.count:
                falling.pop()
            falling.append((entering.t, entering.count))
        while falling[0][0] <= observation.t - window:
            falling.popleft()
        counts.append(falling[0][1])
    return counts


def _withdraw(votes: dict[str, int], confidence: dict[str, int], label: str, ppm: int) -> None:
    if votes[label] == 1:
        del votes[label], confidence[label]
        return
    votes[label] -= 1
    confidence[label] -= ppm
