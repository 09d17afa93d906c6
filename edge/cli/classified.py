"""How ``edge classify`` says what it found: tables, JSON, CSV, a sheet."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table

from edge.cli.escaping import escape
from edge.delivery.messages import timestamp
from edge.service.searching import Classified
from edge.service.sheet import Tile
from edge.store.searching import Place
from edge.vision.decode import Pixels

UNKNOWN = "unknown"
_FEW = 10
"""Classes without a picture that are shown all the same."""
COLUMNS = ("file", "score", "media_id", "deployment", "taken", "label", "registration_id")


@dataclass(frozen=True, slots=True)
class Result:
    """One picture.

    Attributes:
        name: as it was given, or its path on record.
        shows: what it shows.
        record: where it belongs, if it is on record.
    """

    name: str
    shows: Classified
    record: Place | None = None


def as_object(result: Result) -> dict[str, object]:
    """For JSON: the fields of a search's answers, ``label`` being the class, and what speaks for others."""
    shows, record = result.shows, result.record
    return {
        "file": result.name,
        "score": round(shows.confidence, 6),
        "media_id": record.media_id if record else None,
        "deployment": record.deployment if record else None,
        "taken": timestamp(record.taken, record.offset_minutes) if record else None,
        "label": shows.label,
        "registration_id": record.registration_id if record else None,
        "top": [{"label": guess.label, "confidence": round(guess.confidence, 6)} for guess in shows.top],
        "known": round(shows.known, 6),
        "animals": shows.animals,
    }


def write_csv(results: Iterable[Result]) -> None:
    """One row for each picture on standard output; an unknown one's label is empty."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow((*COLUMNS, "likeliest", "known", "animals"))
    for result in results:
        row = as_object(result)
        likeliest = result.shows.top[0].label
        writer.writerow([*(row[name] for name in COLUMNS), likeliest, row["known"], row["animals"]])


def table(results: Iterable[Result]) -> Table:
    """For people: a line for each picture."""
    found = Table(box=None, header_style="bold")
    for name in ("picture", "label", "confidence", "likeliest"):
        found.add_column(name, justify="right" if name == "confidence" else "left", overflow="fold")
    for result in results:
        shows = result.shows
        likeliest = ", ".join(f"{guess.label} {guess.confidence:.2f}" for guess in shows.top)
        row = (result.name, shows.label or UNKNOWN, f"{shows.confidence:.2f}", likeliest)
        found.add_row(*map(escape, row))
    return found


def counts(results: Sequence[Result], names: Sequence[str]) -> Table:
    """For people: how many pictures of each class; classes with none are left out where there are many."""
    per_label = Counter(result.shows.label for result in results)
    found = Table(box=None, header_style="bold")
    for name in ("label", "pictures", "share"):
        found.add_column(name, justify="left" if name == "label" else "right")
    ordered = sorted(names, key=lambda name: -per_label[name])
    short = len(names) <= len(per_label) + _FEW
    rows = [(name, per_label[name]) for name in ordered if per_label[name] or short]
    for name, count in (*rows, (UNKNOWN, per_label[None])):
        found.add_row(escape(name), f"{count}", f"{count / max(1, len(results)):.1%}")
    found.add_row("all", f"{len(results)}", "", style="bold")
    return found


def tile(result: Result, picture: Pixels | None) -> Tile:
    """For the sheet."""
    shows = result.shows
    first = f"{shows.label or UNKNOWN}  {shows.confidence:.2f}"
    rest = shows.top[1:] if shows.label else shows.top
    others = ", ".join(f"{guess.label} {guess.confidence:.2f}" for guess in rest)
    return Tile(picture, (first, result.name, others))


def surest(results: Sequence[Result], of_each: int, most: int) -> list[Result]:
    """Some pictures of each class, the surest first, the unknown last; classes by name.

    Args:
        results: all.
        of_each: pictures of a class, at most.
        most: pictures altogether.
    """
    chosen: list[Result] = []
    given = Counter[str]()
    for result in sorted(results, key=_by_class):
        key = result.shows.label or ""
        if given[key] < of_each:
            given[key] += 1
            chosen.append(result)
    return chosen[:most]


def _by_class(result: Result) -> tuple[bool, str, float]:
    shows = result.shows
    return (shows.label is None, shows.label or "", -shows.confidence)
