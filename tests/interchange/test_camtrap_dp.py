from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from edge.errors import InterchangeError
from edge.interchange import Reading, Row
from edge.interchange.camtrap_dp import read_camtrap_dp
from tests.interchange.build import ms, only, refused
from tests.shared import shared

RESOURCES = [{"name": name, "path": f"{name}.csv"} for name in ("deployments", "media", "observations")]
MEDIA = "mediaID,deploymentID,timestamp\nm1,ridge,2026-05-04T20:00:00+0200\n"
HEAD = (
    "observationID,mediaID,observationLevel,observationType,scientificName,count,classificationProbability\n"
)


def package(folder: Path, observations: str, resources: object = RESOURCES, media: str = MEDIA) -> Path:
    """A package with one image."""
    (folder / "datapackage.json").write_text(json.dumps({"resources": resources}))
    (folder / "media.csv").write_text(media)
    (folder / "observations.csv").write_text(HEAD + observations)
    return folder


def rows_of(folder: Path, reading: Reading | None = None) -> list[Row]:
    """All rows of a package."""
    return list(read_camtrap_dp(folder, reading or Reading()).rows)


def test_media_level_observations(tmp_path: Path) -> None:
    """An observation has its media's time and deployment; events are passed over."""
    folder = package(tmp_path, "o1,m1,media,animal,Vulpes vulpes,2,0.75\no2,,event,animal,Vulpes vulpes,2,\n")
    row = only(rows_of(folder))
    assert row[1:] == ("ridge", "m1", ms("2026-05-04T18:00:00"), "Vulpes vulpes", 2, 750_000)


@pytest.mark.parametrize("kind", ["blank", "human", "vehicle", "unknown", "unclassified"])
def test_other_than_animals(tmp_path: Path, kind: str) -> None:
    """Images without an animal are told, with no animals in them."""
    assert only(rows_of(package(tmp_path, f"o1,m1,media,{kind},,,\n"))).animals == 0


def test_animal_without_name_and_count(tmp_path: Path) -> None:
    """It is one animal without a label."""
    row = only(rows_of(package(tmp_path, "o1,m1,media,animal,,,\n")))
    assert (row.label, row.animals) == (None, 1)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("o1,m2,media,animal,,,", "mediaID"),
        ("o1,,media,animal,,,", "mediaID"),
        ("o1,m1,media,animal,,many,", "count"),
        ("o1,m1,media,animal,,1,2", "classificationProbability"),
    ],
)
def test_bad_rows(tmp_path: Path, row: str, column: str) -> None:
    """The table, the line and the column are named."""
    reject = refused(rows_of(package(tmp_path, f"{row}\n")))
    assert (reject.where, reject.column) == ("observations.csv line 2", column)


def test_only_events(tmp_path: Path) -> None:
    """A package of events can't be taken apart, and says so."""
    with pytest.raises(InterchangeError, match="media-level"):
        rows_of(package(tmp_path, "o1,,event,animal,,,\n"))


@pytest.mark.parametrize(
    "resources",
    [
        None,
        [],
        [{"name": "media"}, {"name": "observations"}],
        [{"name": "media", "path": "../media.csv"}, {"name": "observations", "path": "observations.csv"}],
        [{"name": "media", "path": "/etc/passwd"}, {"name": "observations", "path": "observations.csv"}],
        [{"name": "media", "path": "https://x.org/m.csv"}, {"name": "observations", "path": "o.csv"}],
        [{"name": "media", "path": "media.csv"}, {"name": "observations", "path": "absent.csv"}],
        [{"name": "media", "path": "observations.csv"}, {"name": "observations", "path": "observations.csv"}],
    ],
)
def test_packages_that_cant_be_read(tmp_path: Path, resources: object) -> None:
    """Tables that are missing, elsewhere or others than they should be."""
    with pytest.raises(InterchangeError):
        rows_of(package(tmp_path, "o1,m1,media,animal,,,\n", resources))


@pytest.mark.parametrize("text", ["", "[", "[]", "7", "[" * 100_000])
def test_descriptions_that_cant_be_read(tmp_path: Path, text: str) -> None:
    """A description that is no JSON object."""
    (tmp_path / "datapackage.json").write_text(text)
    with pytest.raises(InterchangeError):
        rows_of(tmp_path)


def test_standards_example() -> None:
    """The standard's own example: its images of animals, none refused."""
    rows = rows_of(shared("data", "camtrap-dp", "example"))
    assert not [row for row in rows if row[1] == "mediaID"]
    labels = Counter(row.label for row in map(only, ([row] for row in rows)) if row.animals)
    assert labels["Rattus norvegicus"] > 0


def test_standards_example_in_two_tables(tmp_path: Path) -> None:
    """A resource may be several files."""
    shutil.copytree(shared("data", "camtrap-dp", "example"), tmp_path / "p", ignore=lambda *_: ["media"])
    whole = rows_of(tmp_path / "p")
    head, *lines = (tmp_path / "p" / "observations.csv").read_text().splitlines(keepends=True)
    for name, part in (("a.csv", lines[:300]), ("b.csv", lines[300:])):
        (tmp_path / "p" / name).write_text("".join([head, *part]))
    resources = [{"name": "media", "path": "media.csv"}, {"name": "observations", "path": ["a.csv", "b.csv"]}]
    (tmp_path / "p" / "datapackage.json").write_text(json.dumps({"resources": resources}))
    assert [row[1:] for row in rows_of(tmp_path / "p")] == [row[1:] for row in whole]
