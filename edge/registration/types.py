"""The values that the rules work on. Plain, immutable, and free of any clock or I/O.

Event times are integers, milliseconds since 1970-01-01 UTC. Confidence is an integer in parts per
million, so that sums don't depend on the order of addition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, get_args

UNIDENTIFIED = "unidentified"
MINUTE_MS = 60_000

Method = Literal["windowed", "simple"]
ComparedTo = Literal["last_image", "registration_start"]
SplitOn = Literal["label", "count"]
State = Literal["open", "closed"]
ChangeKind = Literal["opened", "updated", "closed", "corrected", "retracted"]


class Key(NamedTuple):
    """The total order of a deployment's observations: event time, then media id."""

    t: int
    media_id: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What the models said of one image with animals in it.

    Attributes:
        deployment: one camera at one place over a period.
        media_id: identity of the image, ``sha256:...`` in the daemon.
        t: event time, ms UTC: when the camera took the image.
        label: the animal's label, or None where the models weren't sure.
        count: animals in the image; only observations with ``count >= 1`` take part.
        confidence: of the label, parts per million (0 to 1,000,000).
    """

    deployment: str
    media_id: str
    t: int
    label: str | None
    count: int
    confidence: int

    @property
    def key(self) -> Key:
        """Its place in the deployment's order."""
        return Key(self.t, self.media_id)


@dataclass(frozen=True, slots=True)
class Options:
    """How observations become registrations; the defaults are the documented ones.

    Attributes:
        method: ``windowed`` smooths labels over the window, ``simple`` takes each as it is.
        window: W, ms; strict on both sides.
        gap: the independence interval, ms; a registration ends after more than this.
        split_on: what opens a new registration besides the gap: ``label``, ``count``, both, none.
        compared_to: what the gap is measured from.
        priors: a local fauna's weights by label (default 0), used to break ties.

    Raises:
        ValueError: for an unknown word, a window below 1 ms or a negative gap.
    """

    method: Method = "windowed"
    window: int = 30 * MINUTE_MS
    gap: int = 30 * MINUTE_MS
    split_on: frozenset[SplitOn] = frozenset({"label"})
    compared_to: ComparedTo = "last_image"
    priors: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ValueError(f"method is one of {get_args(Method)}, not {self.method!r}")
        if self.compared_to not in get_args(ComparedTo):
            raise ValueError(f"compared_to is one of {get_args(ComparedTo)}, not {self.compared_to!r}")
        if not self.split_on <= set(get_args(SplitOn)):
            raise ValueError(f"split_on holds some of {get_args(SplitOn)}, not {sorted(self.split_on)}")
        if self.window < 1 or self.gap < 0:
            raise ValueError(f"window is at least 1 ms and gap at least 0, not {self.window} and {self.gap}")


@dataclass(frozen=True, slots=True)
class Registration:
    """One event in time: animals of one label in one camera's field of view.

    Its members are all observations of the deployment from ``first`` to ``last``, both included,
    in key order; no other registration has any of them.

    Attributes:
        id: stable while the registration changes (UUIDv5 of deployment and opening media).
        deployment: where it was seen.
        label: a label, or ``unidentified``.
        count: the largest count(i) of its members.
        first: key of its first member; ``first.t`` is its start.
        last: key of its last member; ``last.t`` is its end.
        media_count: how many members it has.
        votes: members by their own label (those with one), label -> number.
        confidence: mean confidence of its members that voted for its label, ppm, floor; 0 if none.
        state: open, or closed.
        revision: grows by one with every change that was emitted; 0 before the first.
        opened: position of its first opening among all openings of the deployment; earlier is smaller.
            A retracted id that comes back keeps it, so that it doesn't depend on how arrivals were batched.
        superseded_by: on a retracted one, the registration that took its members, if one did.
        confidence_sums: confidence of those votes, label -> sum in ppm; part of the record like ``votes``,
            because means can't be updated without it.
    """

    id: str
    deployment: str
    label: str
    count: int
    first: Key
    last: Key
    media_count: int
    votes: Mapping[str, int]
    confidence: int
    state: State = "open"
    revision: int = 0
    opened: int = 0
    superseded_by: str | None = None
    confidence_sums: Mapping[str, int] = field(default_factory=dict)

    @property
    def start(self) -> int:
        """Event time of the first member, ms UTC."""
        return self.first.t

    @property
    def end(self) -> int:
        """Event time of the last member, ms UTC."""
        return self.last.t


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the change log: a registration whole, as it is after the change.

    A ``retracted`` one is as it last stood, with its new revision and ``superseded_by``.
    """

    kind: ChangeKind
    registration: Registration


class Tally(NamedTuple):
    """Sums over a run of consecutive observations, by their own label (None: had no label).

    ``votes`` and ``confidence`` leave out observations without a label; ``media_count`` doesn't.
    """

    media_count: int
    votes: Mapping[str, int]
    confidence: Mapping[str, int]


class Record(Protocol):
    """What the engine reads of the past and where its results are put.

    One implementation keeps it in memory, one in the store's database; a contract test suite runs
    on both. Every call is about one deployment; observations are those with ``count >= 1``.
    Ranges of keys and of times include both ends. Within one ``Engine.accept`` the engine may add
    and replace many times; the caller owns the transaction around it.
    """

    def add(self, observation: Observation) -> bool:
        """Put one observation on record; False (and nothing changes) if its media is there already."""

    def remove(self, observation: Observation) -> bool:
        """Take the observation with its deployment and key off the record; False if it isn't there."""

    def observations(self, deployment: str, first_t: int, last_t: int) -> list[Observation]:
        """Those with ``first_t <= t <= last_t``, in key order."""

    def before(self, deployment: str, key: Key) -> Observation | None:
        """The nearest observation whose key is smaller."""

    def after(self, deployment: str, key: Key) -> Observation | None:
        """The nearest observation whose key is larger."""

    def tally(self, deployment: str, first: Key, last: Key) -> Tally:
        """Sums over the observations from ``first`` to ``last``."""

    def max_count(self, deployment: str, first_t: int, last_t: int) -> int:
        """Largest count among observations with ``first_t <= t <= last_t``; 0 if there are none."""

    def registrations(self, deployment: str, first: Key, last: Key) -> list[Registration]:
        """Living registrations whose range overlaps ``first`` to ``last``, in order."""

    def open_registrations(self, deployment: str) -> list[Registration]:
        """Living registrations in state ``open``, in order."""

    def find(self, registration_id: str) -> Registration | None:
        """The registration with this id, living or retracted (then whole, as last retracted); else None."""

    def is_living(self, registration_id: str) -> bool:
        """Whether the id stands for a registration that is not retracted."""

    def put(self, registration: Registration) -> None:
        """Insert or replace a living registration by id (a retracted id comes back to life)."""

    def retract(self, registration: Registration) -> None:
        """Put a tombstone in its place, or anew: in no list any more; ``find`` gives it back as passed."""

    def next_opening(self, deployment: str) -> int:
        """A number larger than any given before for this deployment."""

    def watermark(self, deployment: str) -> int | None:
        """The deployment's watermark, ms UTC, or None before the first."""

    def set_watermark(self, deployment: str, watermark: int) -> None:
        """Remember the deployment's watermark."""
