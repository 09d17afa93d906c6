"""The rules word for word, observation by observation, O(n * k): what the fast forms are held to.

Shares nothing with the product but its types.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.registration import UNIDENTIFIED, Key, Observation, Options


@dataclass(frozen=True)
class Event:
    """A registration's content."""

    deployment: str
    label: str
    count: int
    media: tuple[Key, ...]
    confidence: int


def events(observations: Iterable[Observation], options: Options) -> list[Event]:
    """All registrations, by deployment and start."""
    found = []
    present = [o for o in observations if o.count >= 1]
    for deployment in sorted({o.deployment for o in present}):
        ordered = sorted((o for o in present if o.deployment == deployment), key=lambda o: (o.t, o.media_id))
        found += [_event(members, ordered, options) for members in _split(ordered, options)]
    return found


def vote(voters: Iterable[Observation], options: Options) -> str:
    """The most frequent label; ties: sum of confidence, prior, name."""
    voters = [o for o in voters if o.label is not None]
    labels = sorted({o.label for o in voters if o.label is not None})
    if not labels:
        return UNIDENTIFIED
    ranked = {
        label: (
            sum(1 for o in voters if o.label == label),
            sum(o.confidence for o in voters if o.label == label),
            options.priors.get(label, 0),
        )
        for label in labels
    }
    best = max(ranked.values())
    return next(label for label in labels if ranked[label] == best)


def label_at(i: Observation, ordered: Sequence[Observation], options: Options) -> str:
    """label(i)."""
    if options.method == "simple":
        return UNIDENTIFIED if i.label is None else i.label
    return vote([j for j in ordered if abs(j.t - i.t) < options.window], options)


def count_at(i: Observation, ordered: Sequence[Observation], options: Options) -> int:
    """count(i)."""
    if options.method == "simple":
        return i.count
    return max(j.count for j in ordered if i.t - options.window < j.t <= i.t)


def _split(ordered: Sequence[Observation], options: Options) -> list[list[Observation]]:
    runs: list[list[Observation]] = []
    for place, i in enumerate(ordered):
        if place == 0:
            runs.append([i])
            continue
        p = ordered[place - 1]
        ref = p.t if options.compared_to == "last_image" else runs[-1][0].t
        if (
            ("label" in options.split_on and label_at(i, ordered, options) != label_at(p, ordered, options))
            or (
                "count" in options.split_on and count_at(i, ordered, options) != count_at(p, ordered, options)
            )
            or i.t - ref > options.gap
        ):
            runs.append([i])
        else:
            runs[-1].append(i)
    return runs


def _event(members: Sequence[Observation], ordered: Sequence[Observation], options: Options) -> Event:
    by_window = "label" in options.split_on
    label = label_at(members[0], ordered, options) if by_window else vote(members, options)
    voted = [o.confidence for o in members if o.label == label]
    return Event(
        deployment=members[0].deployment,
        label=label,
        count=max(count_at(i, ordered, options) for i in members),
        media=tuple(o.key for o in members),
        confidence=sum(voted) // len(voted) if voted else 0,
    )
