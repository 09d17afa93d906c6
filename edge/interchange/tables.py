"""CSV and JSON Lines: one row per image, per animal or per box."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TextIO

from edge.errors import InterchangeError
from edge.interchange.columns import EVENT, SIGHTING, places
from edge.interchange.fields import confidence_of, label_and_count, needed, text_in
from edge.interchange.names import deployment_of
from edge.interchange.times import Clock
from edge.interchange.types import BadValue, Input, Reject, Row, Sighting

_DELIMITERS = ",;\t|"
_LONGEST_FIELD = 1 << 20
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Reading:
    """How somebody's results are to be read.

    Attributes:
        clock: reads times.
        columns: field -> column, where the caller named it.
        deployment: of all images, instead of what the file says; nothing: what the file says.
        depth: folders of an image's path that make its deployment, where the file names none.
        min_confidence: detections below are passed over (MegaDetector), 0 to 1; None: what the file
            recommends.
        min_label_confidence: labels below are none (MegaDetector), 0 to 1; None: what the file recommends.
    """

    clock: Clock = field(default_factory=Clock)
    columns: Mapping[str, str] = field(default_factory=dict)
    deployment: str = ""
    depth: int = 1
    min_confidence: float | None = None
    min_label_confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A row of a table of true registrations: what ``edge.registration.score`` compares with."""

    deployment: str
    label: str
    start: int
    end: int
    count: int


def read_csv(file: TextIO, name: str, reading: Reading) -> Input:
    """A table with a header line; comma, semicolon, tab or bar between the cells.

    Raises:
        InterchangeError: it is empty, is no table, or has no column for time, label, or media.
    """
    header, rows = _table(file, name)
    need = ["media", "time", "label"]
    found = places(header, reading.columns, SIGHTING, need, name)
    # One row per image tells the same again when it is repeated; one row per animal is another animal.
    return Input("csv", _csv_rows(rows, len(header), found, reading), repeats_add="count" not in found)


def read_events(file: TextIO, name: str, clock: Clock) -> list[Event]:
    """A table of registrations: deployment, label, start, end, count.

    Raises:
        InterchangeError: it is no such table, or a row can't be used.
    """
    header, rows = _table(file, name)
    at = places(header, {}, EVENT, EVENT, name)
    events = []
    for line, cells in rows:
        try:
            events.append(_event({field: cells[place].strip() for field, place in at.items()}, clock))
        except (BadValue, IndexError) as error:
            said = str(error.at(f"line {line}")) if isinstance(error, BadValue) else f"line {line} is short"
            raise InterchangeError("not a table of registrations", subject=name, hint=said) from error
    return events


def read_jsonl(file: TextIO, name: str, reading: Reading) -> Input:
    """One JSON object a line, with the fields that a table has as columns.

    Raises:
        InterchangeError: it isn't text, while it is read.
    """
    repeats_add = True
    lines = lines_of(file, name)
    first = next(lines, "")
    try:
        content = json.loads(first)
        repeats_add = not isinstance(content, dict) or "count" not in _where(content, reading)
    except (ValueError, RecursionError, BadValue):
        pass  # said when the row is read
    return Input("jsonl", _jsonl_rows(chain([first], lines), reading), repeats_add=repeats_add)


def lines_of(file: TextIO, name: str) -> Iterator[str]:
    """The lines of a file.

    Raises:
        InterchangeError: it can't be read, or isn't UTF-8.
    """
    try:
        for line in file:  # noqa: UP028 - `yield from` would close the file together with this generator
            yield line
    except UnicodeDecodeError as error:
        raise InterchangeError(
            "not UTF-8 text", subject=name, hint=f"save it as UTF-8; {error.reason} at byte {error.start}"
        ) from error
    except OSError as error:
        raise InterchangeError("can't be read", subject=name, hint=error.strerror or "") from error


def table_of(file: TextIO, name: str, need: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and cells by column, of a table whose columns have fixed names.

    Raises:
        InterchangeError: it is no table, or lacks a column that it needs.
    """
    header, rows = _table(file, name)
    if missing := [column for column in need if column not in header]:
        raise InterchangeError(f"no column {missing[0]!r}", subject=name)
    for line, cells in rows:
        row = dict.fromkeys(header, "")  # what a short row lacks is blank
        yield line, row | {column: cell.strip() for column, cell in zip(header, cells, strict=False)}


def _table(file: TextIO, name: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The header, and the rows with their line numbers; blank lines are passed over."""
    lines = lines_of(file, name)
    number, first = next((found for found in enumerate(lines) if found[1].strip()), (0, ""))
    if not first:
        raise InterchangeError(
            "nothing is in it", subject=name, hint="a table begins with its columns' names"
        )
    delimiter = max(_DELIMITERS, key=first.count)
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(chain([first], lines), delimiter=delimiter)
    rows = _checked(reader, name, number)
    _, header = next(rows, (1, []))
    return [column.strip() for column in header], rows


def _checked(reader: Any, name: str, before: int) -> Iterator[tuple[int, list[str]]]:
    """Rows with their line numbers, where some lines were passed over before the first."""
    line = before + 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise InterchangeError("not a table", subject=name, hint=f"line {line}: {error}") from error


def _csv_rows(
    rows: Iterator[tuple[int, list[str]]], width: int, at: Mapping[str, int], reading: Reading
) -> Iterator[Row]:
    sighting = _reader(reading)
    get = {field: at.get(field, width) for field in SIGHTING}
    order = [get[field] for field in SIGHTING]
    for line, cells in rows:
        if len(cells) != width:
            yield Reject(f"line {line}", "cells", str(len(cells)), f"{width} of them, as in the first line")
            continue
        cells.append("")  # where a column that there isn't is looked up
        try:
            yield sighting(f"line {line}", *[cells[place].strip() for place in order])
        except BadValue as error:
            yield error.at(f"line {line}")


def _jsonl_rows(lines: Iterator[str], reading: Reading) -> Iterator[Row]:
    sighting = _reader(reading)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            content = _object(line)
            at = _where(content, reading)
            yield sighting(f"line {number}", *[text_in(content, at.get(field, "")) for field in SIGHTING])
        except BadValue as error:
            yield error.at(f"line {number}")


def _object(line: str) -> dict[str, Any]:
    try:
        content = json.loads(line.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise BadValue("line", line.strip()[:_SHOWN], "a JSON object") from error
    if not isinstance(content, dict):
        raise BadValue("line", line.strip()[:_SHOWN], "a JSON object")
    return content


def _where(content: Mapping[str, Any], reading: Reading) -> dict[str, str]:
    """Field -> key in a JSON object."""
    keys = list(content)
    try:
        found = places(keys, reading.columns, SIGHTING, ("media", "time"), "")
    except InterchangeError as error:
        raise BadValue("fields", ", ".join(keys), f"an object in which there is {error.what}") from error
    return {field: keys[place] for field, place in found.items()}


def _reader(reading: Reading) -> Callable[..., Sighting]:
    """What makes a sighting of six texts; settings are looked up once, since this runs for every row."""
    read_time, fixed, depth = reading.clock.read, reading.deployment, reading.depth

    def sighting(  # noqa: PLR0917 - a row's cells, in SIGHTING's order
        where: str, deployment: str, media: str, time: str, label: str, count: str, confidence: str
    ) -> Sighting:
        media = needed(media, "media")
        name, number = label_and_count(label, count)
        place = fixed or deployment or deployment_of(media, depth)
        return Sighting(where, place, media, read_time(time), name, number, confidence_of(confidence))

    return sighting


def _event(cells: Mapping[str, str], clock: Clock) -> Event:
    start, end = clock.read(cells["start"], "start"), clock.read(cells["end"], "end")
    if end < start:
        raise BadValue("end", cells["end"], "a time that isn't before start")
    label, count = label_and_count(cells["label"], cells["count"])
    if count < 1:
        raise BadValue("count", cells["count"], "1 or more")
    return Event(needed(cells["deployment"], "deployment"), label or "unidentified", start, end, count)
