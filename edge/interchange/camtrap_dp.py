"""Camtrap DP packages, version 1: their media-level observations of animals.

The standard: https://camtrap-dp.tdwg.org. An observation's time is its media's timestamp. Event-level
observations are what somebody's grouping made of them, and are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from edge.errors import InterchangeError
from edge.interchange.fields import confidence_of, label_and_count, needed
from edge.interchange.tables import Reading, table_of
from edge.interchange.types import BadValue, Input, Row, Sighting

DESCRIPTOR = "datapackage.json"

_MEDIA = ("mediaID", "deploymentID", "timestamp")
_OBSERVATIONS = ("observationLevel", "observationType", "mediaID")
_LARGEST_DESCRIPTOR = 64 << 20


class _Medium(NamedTuple):
    deployment: str
    time: str


def read_camtrap_dp(folder: Path, reading: Reading) -> Input:
    """A package's observations of single images.

    Raises:
        InterchangeError: it isn't a package, or a table is missing or can't be read. While rows are read:
            there are no media-level observations.
    """
    resources = _resources(folder)
    media = dict(_media(resources["media"]))
    scientific: dict[str, str] = {}
    rows = _rows(resources["observations"], media, reading, scientific, str(folder))
    return Input("camtrap-dp", rows, scientific_names=scientific)


def _resources(folder: Path) -> dict[str, list[Path]]:
    """The files of the tables that are read."""
    descriptor = folder / DESCRIPTOR
    try:
        if descriptor.stat().st_size > _LARGEST_DESCRIPTOR:
            raise InterchangeError("too large to be a package's description", subject=str(descriptor))
        content = json.loads(descriptor.read_bytes())
    except OSError as error:
        raise InterchangeError(
            "not a Camtrap DP package", subject=str(folder), hint=f"{DESCRIPTOR}: {error.strerror}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InterchangeError("not JSON", subject=str(descriptor)) from error
    listed = content.get("resources") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise InterchangeError("a package without resources", subject=str(descriptor))
    named = {str(entry.get("name")): entry for entry in listed if isinstance(entry, dict)}
    return {name: _paths(folder, name, named.get(name)) for name in ("media", "observations")}


def _paths(folder: Path, name: str, entry: Mapping[str, Any] | None) -> list[Path]:
    stated = (entry or {}).get("path")
    paths = stated if isinstance(stated, list) else [stated]
    found = []
    for path in paths:
        # The standard forbids paths that lead out of the package; addresses aren't fetched.
        if not isinstance(path, str) or "://" in path or ".." in PurePosixPath(path).parts or path[:1] == "/":
            raise InterchangeError(
                f"no table of {name} in the package", subject=str(folder), hint=f"its path is {path!r}"
            )
        found.append(folder / path)
    return found


def _lines(paths: list[Path], columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Where a row stands, and its cells by column."""
    for path in paths:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                for line, cells in table_of(file, path.name, columns):
                    yield f"{path.name} line {line}", cells
        except OSError as error:
            raise InterchangeError("can't be read", subject=str(path), hint=error.strerror or "") from error


def _media(paths: list[Path]) -> Iterator[tuple[str, _Medium]]:
    for _, cells in _lines(paths, _MEDIA):
        yield cells["mediaID"], _Medium(cells.get("deploymentID", ""), cells.get("timestamp", ""))


def _rows(
    paths: list[Path], media: Mapping[str, _Medium], reading: Reading, scientific: dict[str, str], name: str
) -> Iterator[Row]:
    some = media_level = False
    for where, cells in _lines(paths, _OBSERVATIONS):
        some = True
        if cells["observationLevel"] != "media":
            continue
        media_level = True
        try:
            sighting = _sighting(where, cells, media, reading)
        except BadValue as error:
            yield error.at(where)
            continue
        if sighting.label is not None:
            scientific[sighting.label] = sighting.label
        yield sighting
    if some and not media_level:
        raise InterchangeError(
            "no media-level observations in the package",
            subject=name,
            hint="events can't be taken apart into images again",
        )


def _sighting(
    where: str, cells: Mapping[str, str], media: Mapping[str, _Medium], reading: Reading
) -> Sighting:
    identity = needed(cells.get("mediaID", ""), "mediaID")
    medium = media.get(identity)
    if medium is None:
        raise BadValue("mediaID", identity, "the mediaID of a row in the table of media")
    deployment = reading.deployment or medium.deployment or cells.get("deploymentID", "")
    t = reading.clock.read(medium.time, "timestamp")
    if cells["observationType"] != "animal":
        return Sighting(where, needed(deployment, "deploymentID"), identity, t, None, 0, 0)
    label, count = label_and_count(cells.get("scientificName", ""), cells.get("count", "") or "1")
    confidence = confidence_of(cells.get("classificationProbability", ""), "classificationProbability")
    return Sighting(where, needed(deployment, "deploymentID"), identity, t, label, count, confidence)
