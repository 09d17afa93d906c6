"""Real camera-trap images: their known times, cameras and wholeness."""

from __future__ import annotations

import csv
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.errors import NotAnImageError, NotWholeError
from edge.intake import Camera, Candidate, Examined, FileStat, Numbering, check, examine, in_event_order, load
from edge.settings import DeploymentSettings, IntakeSettings
from tests.shared import shared

NOW_MS = 4_000_000_000_000  # 2096: whatever the mtimes of the data, they are not in the future
PIXELS = 120_000_000


def _all(folder: Path, settings: IntakeSettings) -> list[Examined]:
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() == ".jpg")
    found = [Candidate(folder, name, FileStat.of((folder / name).stat())) for name in names]
    return [examine(candidate, settings, NOW_MS) for candidate in found]


def test_times_and_cameras_from_exif() -> None:
    """A RECONYX in California, seven hours behind UTC in spring."""
    settings = IntakeSettings(deployments={"camera": DeploymentSettings(timezone="America/Los_Angeles")})
    images = {image.candidate.name: image for image in _all(shared("data", "trap-images", "BUOW"), settings)}
    first = images["IMG_0708.JPG"]
    assert first.taken_ms == datetime(2020, 4, 16, 17, 10, 32, tzinfo=UTC).timestamp() * 1000
    assert (first.offset_minutes, first.time_source, first.clock_ok) == (-420, "exif", True)
    assert first.camera == Camera("RECONYX", "PC900 PROFESSIONAL", "")
    assert len(images) == 20
    assert {image.time_source for image in images.values()} == {"exif"}


def test_times_from_file_names() -> None:
    """Scanned film without EXIF; the year is before 2010, and said to be."""
    images = {i.candidate.name: i for i in _all(shared("data", "trap-images", "Jaguar"), IntakeSettings())}
    one = images["AABP 13_20051007_1205.jpg"]
    assert one.taken_ms == datetime(2005, 10, 7, 12, 5, tzinfo=UTC).timestamp() * 1000
    assert (one.time_source, one.clock_ok, one.number) == ("filename", False, None)
    assert one.notes == ("the time is before 2010",)
    assert {image.time_source for image in images.values()} == {"filename"}
    believed = _all(shared("data", "trap-images", "Jaguar"), IntakeSettings(earliest=2000))
    assert all(image.clock_ok for image in believed)


def test_images_without_any_time_have_mtime() -> None:
    """Numbers in their names aren't times; one of the 21 has kept its EXIF."""
    images = _all(shared("data", "trap-images", "ena24"), IntakeSettings())
    assert [image.candidate.name for image in images if image.time_source == "exif"] == ["49.jpg"]
    for image in images:
        if image.time_source == "exif":
            assert image.camera == Camera("Reconyx", "RC55 RAPIDFIRE", "")
            continue
        assert image.time_source == "mtime"
        assert image.taken_ms == image.candidate.stat.mtime_ns // 1_000_000


def test_a_burst_has_the_times_that_its_data_package_states_and_keeps_its_order() -> None:
    """Ten frames within seven seconds; several share a second, and their names decide."""
    example = shared("data", "camtrap-dp", "example")
    with (example / "media.csv").open(newline="") as file:
        stated = {row["fileName"]: datetime.fromisoformat(row["timestamp"]) for row in csv.DictReader(file)}
    settings = IntakeSettings(timezone="Etc/GMT-1")
    images = _all(example / "media", settings)
    assert len(images) == 10
    for image in images:
        assert image.taken_ms == stated[image.candidate.name].timestamp() * 1000
        assert image.offset_minutes == 60
    shuffled = random.Random(1).sample(images, len(images))
    ordered = in_event_order(shuffled, Numbering())
    assert [image.number.number for image in ordered if image.number] == list(range(31, 41))
    assert all(image.clock_ok for image in ordered)


@pytest.mark.parametrize("folder", ["BUOW", "Jaguar", "ena24"])
def test_every_real_image_is_whole_and_no_shortened_one_is(folder: str) -> None:
    """Cut at many places, and with zeros from there on."""
    for path in sorted(shared("data", "trap-images", folder).glob("*.[jJ]*")):
        found = Candidate(path.parent, path.name, FileStat.of(path.stat()))
        data = load(found, IntakeSettings()).data
        end = data.rstrip(b"\0").rindex(b"\xff\xd9")
        for percent in (1, 10, 33, 60, 90, 99):
            cut = data[: end * percent // 100]
            with pytest.raises(NotWholeError, match="cut"):
                check(cut, PIXELS)
            with pytest.raises(NotWholeError, match="never written"):
                check(cut.ljust(len(data), b"\0"), PIXELS)


def test_real_pictures_of_another_kind_are_named() -> None:
    """PNG data, whatever the file's name."""
    path = next(iter(sorted(shared("data", "cutouts").glob("*.png"))))
    with pytest.raises(NotAnImageError, match="the file holds a PNG image"):
        check(path.read_bytes(), PIXELS)
