"""From a path, a folder or standard input to rows: what kind of results it is, and its reader."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from edge.errors import InterchangeError
from edge.interchange.camtrap_dp import DESCRIPTOR, read_camtrap_dp
from edge.interchange.megadetector import read_megadetector
from edge.interchange.tables import Event, Reading, read_csv, read_events, read_jsonl
from edge.interchange.times import Clock
from edge.interchange.types import Input, Kind

STDIN = "-"

_SUFFIXES: dict[str, Kind] = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip
_READERS = {"csv": read_csv, "jsonl": read_jsonl, "megadetector": read_megadetector}
_PEEKED = 4096


@contextmanager
def reading_from(source: str, reading: Reading, kind: Kind | None = None) -> Iterator[Input]:
    """Open somebody's results; rows can be read until the end of the block.

    Args:
        source: a file, a folder with a Camtrap DP package, or ``-`` for standard input.
        reading: how to read them.
        kind: what they are; None: told from the name, else from the first characters.

    Raises:
        InterchangeError: there is no such file, or it can't be understood.
    """
    path = Path(source)
    if source != STDIN and (path.is_dir() or path.name == DESCRIPTOR or kind == "camtrap-dp"):
        yield read_camtrap_dp(path if path.is_dir() else path.parent, reading)
        return
    if kind == "camtrap-dp":
        raise InterchangeError("a Camtrap DP package is a folder", subject="standard input")
    name = "standard input" if source == STDIN else source
    with _opened(source, name) as binary:
        known = kind or _SUFFIXES.get(path.suffix.lower()) or _kind(binary, name)
        if known == "camtrap-dp":  # for mypy; _kind and _SUFFIXES never say so
            raise InterchangeError("a Camtrap DP package is a folder", subject=name)
        with _text(binary) as text:
            yield _READERS[known](text, name, reading)


def events_from(path: Path, clock: Clock) -> list[Event]:
    """A table of true registrations.

    Raises:
        InterchangeError: there is no such file, or it is no such table.
    """
    with _opened(str(path), str(path)) as binary, _text(binary) as text:
        return read_events(text, str(path), clock)


@contextmanager
def _opened(source: str, name: str) -> Iterator[io.BufferedReader | BinaryIO]:
    if source == STDIN:
        yield sys.stdin.buffer
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115 - closed below; only opening it is tried
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        hint = error.strerror if isinstance(error, OSError) else "no such name"
        raise InterchangeError("can't be read", subject=name, hint=hint or "") from error
    with file:
        yield file


@contextmanager
def _text(binary: BinaryIO) -> Iterator[TextIO]:
    text = io.TextIOWrapper(binary, encoding="utf-8-sig", newline="")
    try:
        yield text
    finally:
        text.detach()  # whoever opened the file closes it; standard input stays open


def _kind(binary: BinaryIO, name: str) -> Kind:
    """What the first characters tell: objects are JSON, anything else a table."""
    start = binary.peek(_PEEKED) if isinstance(binary, io.BufferedReader) else b""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"[":
        raise InterchangeError(
            "a JSON list", subject=name, hint="MegaDetector's batch output is an object with images in it"
        )
    if text[:1] != b"{":
        return "csv"
    try:
        first = json.loads(text.splitlines()[0])
    except (ValueError, RecursionError):
        return "megadetector"  # an object over several lines, or a very long one
    return "megadetector" if isinstance(first, dict) and "images" in first else "jsonl"
