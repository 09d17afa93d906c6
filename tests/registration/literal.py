"""The rules word for word, observation by observation, O(n * k): what the fast forms are held to.

Shares nothing with the product but its types.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
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
        labels = [label_at(i, ordered, options) for i in ordered]
        counts = [count_at(i, ordered, options) for i in ordered]
        for begin, end in _split(ordered, labels, counts, options):
            found.append(_event(ordered[begin:end], labels[begin], max(counts[begin:end]), options))
    return found


def vote(voters: Iterable[Observation], options: Options) -> str:
    """The most frequent label; ties: sum of confidence, prior, name."""
    votes: dict[str, list[int]] = {}
    for o in voters:
        if o.label is not None:
            votes.setdefault(o.label, []).append(o.confidence)
    if not votes:
        return UNIDENTIFIED
    ranked = {label: (len(c), sum(c), options.priors.get(label, 0)) for label, c in votes.items()}
    best = max(ranked.values())
    return min(label for label in votes if ranked[label] == best)


def label_at(i: Observation, ordered: Sequence[Observation], options: Options) -> str:
    """label(i)."""
    if options.method == "simple":
        return UNIDENTIFIED if i.label is None else i.label
    begin = bisect_right(ordered, i.t - options.window, key=_time)
    end = bisect_left(ordered, i.t + options.window, key=_time)
    return vote(ordered[begin:end], options)


def count_at(i: Observation, ordered: Sequence[Observation], options: Options) -> int:
    """count(i)."""
    if options.method == "simple":
        return i.count
    begin = bisect_right(ordered, i.t - options.window, key=_time)
    end = bisect_right(ordered, i.t, key=_time)
    return max(j.count for j in ordered[begin:end])


def is_settled(event: Event, following: Event | None, w: int, options: Options) -> bool:
    """Whether no image on time (``t >= w``) can change an event, as the page on registrations has it.

    Args:
        event: the one in question.
        following: the next of its deployment, if there is one.
        w: the watermark.
        options: the rules' settings.
    """
    smoothed = options.method == "windowed" and "label" in options.split_on

    def settled(t: int) -> bool:
        return w >= t + options.window if smoothed else w > t

    start, end = event.media[0].t, event.media[-1].t
    until = options.gap + (end if options.compared_to == "last_image" else start)
    if not settled(end):
        return False
    if following is None:
        return w > until
    after = following.media[0].t
    apart = "count" in options.split_on and event.count != following.count and w > after
    return settled(after) or apart or (w > until and after > until)


def _time(o: Observation) -> int:
    return o.t


def _split(
    ordered: Sequence[Observation], labels: Sequence[str], counts: Sequence[int], options: Options
) -> list[tuple[int, int]]:
    """Begin and end of each registration."""
    begins = [0]
    for i in range(1, len(ordered)):
        p = i - 1
        ref = ordered[p].t if options.compared_to == "last_image" else ordered[begins[-1]].t
        if (
            ("label" in options.split_on and labels[i] != labels[p])
            or ("count" in options.split_on and counts[i] != counts[p])
            or ordered[i].t - ref > options.gap
        ):
            begins.append(i)
    return list(zip(begins, [*begins[1:], len(ordered)], strict=True))


def _event(members: Sequence[Observation], first_label: str, count: int, options: Options) -> Event:
    label = first_label if "label" in options.split_on else vote(members, options)
    voted = [o.confidence for o in members if o.label == label]
    return Event(
        deployment=members[0].deployment,
        label=label,
        count=count,
        media=tuple(o.key for o in members),
        confidence=sum(voted) // len(voted) if voted else 0,
    )
