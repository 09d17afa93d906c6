"""Which of many files to take: the same on every machine, spread over cameras and bursts. Pure.

A folder of camera-trap images isn't a fair sample of what its cameras see: one camera in the wind makes
more images than ten others together, and bursts are the same scene many times. So cameras take turns, and
within a camera its bursts do. Who comes first is decided by a hash of the name, not by chance: one file
more or less moves few others.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

T = TypeVar("T")
HOUR_MS = 3_600_000
LONGEST = 30
"""Images of one burst that are taken together where bursts are taken whole."""
_NEIGHBOURS = 10  # files whose running numbers differ in the last digit only are taken for neighbours
_DIGITS = re.compile(r"\d+$", re.ASCII)
_FEW_BURSTS = 24
"""Fewer bursts than that are dealt out in turns, since tossing a coin for each may leave a side empty."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a file before it is read.

    Attributes:
        name: path below its folder, ``/`` between parts.
        deployment: the camera it is from.
        t: event time, ms UTC, by EXIF or its name; None if neither has one.
    """

    name: str
    deployment: str
    t: int | None

    @property
    def burst(self) -> str:
        """What it shares with the images taken around it: the camera's hour, or a run of numbers."""
        path = PurePosixPath(self.name)
        if self.t is not None:
            return f"{self.deployment}|{path.parent}|{self.t // HOUR_MS}"
        return f"{self.deployment}|{neighbourhood(self.name)}"


def neighbourhood(name: str) -> str:
    """A name with its last digit's place cut off: images that a camera took one after the other share it."""
    path = PurePosixPath(name)
    found = _DIGITS.search(path.stem)
    if found is None:
        return name
    return f"{path.parent}/{path.stem[: found.start()]}{int(found.group()) // _NEIGHBOURS}*"


def rank(text: str) -> str:
    """A text's place in a fixed shuffle: SHA-256 of its composed form (file systems differ in that)."""
    return hashlib.sha256(unicodedata.normalize("NFC", text).encode("utf-8", "surrogateescape")).hexdigest()


def spread(entries: Iterable[Entry]) -> list[Entry]:
    """All files, ordered so that the first n are a fair choice of n: cameras in turns, then their bursts."""
    cameras = _grouped(entries, lambda entry: entry.deployment)
    orders = {}
    for camera, own in cameras.items():
        bursts = _grouped(own, lambda entry: entry.burst)
        orders[camera] = in_turns({burst: sorted(some, key=_place) for burst, some in bursts.items()})
    return in_turns(orders)


def spread_bursts(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Whole bursts, each in the order of time, ordered so that cameras take turns.

    Of a burst longer than :data:`LONGEST` the rest comes after the beginnings of all others.
    """
    cameras = _grouped(entries, lambda entry: entry.deployment)
    orders = {}
    for camera, own in cameras.items():
        bursts = _grouped(own, lambda entry: entry.burst)
        orders[camera] = in_turns({burst: _pieces(some) for burst, some in bursts.items()})
    return in_turns(orders)


def _pieces(burst: Sequence[Entry]) -> list[list[Entry]]:
    ordered = sorted(burst, key=lambda entry: (entry.t or 0, entry.name))
    return [ordered[start : start + LONGEST] for start in range(0, len(ordered), LONGEST)]


def in_turns(orders: Mapping[str, Sequence[T]]) -> list[T]:
    """Everyone's first, then everyone's second and so on; who begins a round changes with the round."""
    places = [
        (number, rank(f"{number}|{key}"), member)
        for key, order in orders.items()
        for number, member in enumerate(order)
    ]
    return [member for _, _, member in sorted(places, key=lambda place: place[:2])]


def halves(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Split one folder in two without parting a burst: for calibration, for evaluation.

    A burst's side is one bit of its rank, so that it doesn't change when others come or go; a folder with few
    bursts deals them out in turns instead, and one with a single burst its files.
    """
    units = _grouped(entries, lambda entry: entry.burst)
    if len(units) == 1:
        units = _grouped(entries, lambda entry: entry.name)
    order = sorted(units, key=rank)
    sides: tuple[list[Entry], list[Entry]] = ([], [])
    for index, unit in enumerate(order):
        side = index % 2 if len(order) < _FEW_BURSTS else int(rank(unit)[-1], 16) % 2
        sides[side].extend(units[unit])
    return sides


def _place(entry: Entry) -> str:
    return rank(entry.name)


def _grouped(entries: Iterable[Entry], key: Callable[[Entry], str]) -> dict[str, list[Entry]]:
    groups: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[key(entry)].append(entry)
    return groups
