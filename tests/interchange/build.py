"""Rows from text, for tests."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from edge.interchange import Input, Reading, Reject, Row, Sighting
from edge.interchange.megadetector import read_megadetector
from edge.interchange.tables import read_csv, read_jsonl

Reader = Callable[[TextIO, str, Reading], Input]


def ms(time: str) -> int:
    """A UTC time as ms."""
    return round(datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp() * 1000)


def rows_of(reader: Reader, text: str, reading: Reading | None = None) -> list[Row]:
    """What a reader makes of a text."""
    return list(reader(io.StringIO(text, newline=""), "x", reading or Reading()).rows)


def csv_rows(text: str, reading: Reading | None = None) -> list[Row]:
    """What the CSV reader makes of a text."""
    return rows_of(read_csv, text, reading)


def jsonl_rows(*contents: object, reading: Reading | None = None) -> list[Row]:
    """What the JSON Lines reader makes of objects."""
    return rows_of(read_jsonl, "\n".join(map(json.dumps, contents)), reading)


def megadetector_rows(content: object, reading: Reading | None = None) -> list[Row]:
    """What the MegaDetector reader makes of an object."""
    return rows_of(read_megadetector, json.dumps(content), reading)


def only(rows: list[Row]) -> Sighting:
    """The one row, which is fine."""
    (row,) = rows
    assert isinstance(row, Sighting)
    return row


def refused(rows: list[Row]) -> Reject:
    """The one row, which isn't."""
    (row,) = rows
    assert isinstance(row, Reject)
    return row


def batch_of(*images: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A MegaDetector file around some images."""
    return {
        "info": {"format_version": "1.5"},
        "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
        "images": list(images),
        **more,
    }
