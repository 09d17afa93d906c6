"""What may be asked, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge.store.queries import Filter
from edge.store.searching import Place


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which answers are wanted.

    Attributes:
        filter: of the images; the label is that of their registration.
        top: how many, at least 1.
        every: images one by one; otherwise the best of each registration. An image that is in none counts
            for itself.
        night: only those taken at night (True: by infrared light, or from 22 to 4 o'clock), or only those
            taken by day (False); None: all.
    """

    filter: Filter = field(default_factory=Filter)
    top: int = 12
    every: bool = False
    night: bool | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer: an image, where it belongs, and its cosine to the query."""

    place: Place
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found.

    Attributes:
        hits: best first.
        not_compared: images that other bundles embedded.
        notes: whole sentences for whoever asked: which bundle answers, which language it understands.
    """

    hits: tuple[Hit, ...]
    not_compared: int
    notes: tuple[str, ...] = ()
