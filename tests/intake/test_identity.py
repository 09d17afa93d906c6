"""Which camera a file is from, and its number."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from edge.intake import FileNumber
from edge.intake.identity import deployment_of, file_number, topic_level
from edge.settings import IntakeSettings

DEFAULT = IntakeSettings()


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("cam-07/IMG_0001.JPG", "cam-07"),
        ("cam-07/DCIM/100EK113/IMG_0001.JPG", "cam-07"),
        ("IMG_0001.JPG", "camera"),
        ("a+b#c/IMG_0001.JPG", "a_b_c"),
        ("$SYS/IMG_0001.JPG", "_SYS"),
        ("  /IMG_0001.JPG", "camera"),
        ("Füchse 1/IMG_0001.JPG", "Füchse 1"),
        ("a\tb\x7f/IMG_0001.JPG", "a_b_"),
    ],
)
def test_the_first_folder_names_the_camera(file: str, expected: str) -> None:
    """As one level of an MQTT topic; files at the top are from the default camera."""
    assert deployment_of(file, DEFAULT) == expected


def test_a_pattern_may_take_the_name_from_anywhere() -> None:
    """A camera's name inside the file's; what doesn't match is the default's."""
    settings = IntakeSettings(deployment_pattern=r".*/(?P<deployment>[A-Z]+) \d+_", default_deployment="rest")
    assert deployment_of("2005/AABP 13_20051007_1205.jpg", settings) == "AABP"
    assert deployment_of("2005/other.jpg", settings) == "rest"


@pytest.mark.parametrize("pattern", [r"^(?P<other>[^/]+)/", r"^x?(?P<deployment>y)?"])
def test_a_pattern_without_a_name_gives_the_default(pattern: str) -> None:
    """No such group, or one that took no part."""
    assert deployment_of("cam/a.jpg", IntakeSettings(deployment_pattern=pattern)) == "camera"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_level_never_holds_what_a_topic_can_t(name: str) -> None:
    """For any text: no wildcard, no separator, no control character, no leading dollar."""
    level = topic_level(name)
    assert not set(level) & set("+#/")
    assert not level.startswith("$")
    assert all(ord(c) >= 32 and not 0x7F <= ord(c) <= 0x9F for c in level)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("cam/IMG_0010.JPG", FileNumber("cam/IMG_", 10, 10_000)),
        ("IMG_0010.JPG", FileNumber("./IMG_", 10, 10_000)),
        ("cam/20210531082538-RCNX0031.JPG", FileNumber("cam/-RCNX", 31, 10_000)),
        ("cam/IMG_20240101_120000_00012.JPG", FileNumber("cam/IMG__", 12, 100_000)),
        ("cam/123.jpg", FileNumber("cam/", 123, 10_000)),
    ],
)
def test_the_number_at_the_end_of_a_name(file: str, expected: FileNumber) -> None:
    """With the folder and the name without time as its sequence."""
    assert file_number(file, DEFAULT.time_pattern) == expected


@pytest.mark.parametrize(
    "file",
    ["cam/AABP 13_20051007_1205.jpg", "cam/IMG.JPG", "cam/a1.jpg", "cam/123456789.jpg", "IMG_0001 (2).JPG"],
)
def test_no_number_in_a_name(file: str) -> None:
    """A time isn't one, nor one or two digits, nor a serial number, nor a copy's."""
    assert file_number(file, DEFAULT.time_pattern) is None


def test_a_time_pattern_that_matches_nothing_at_all_is_harmless() -> None:
    """An empty match isn't a time."""
    assert file_number("cam/IMG_0010.JPG", r"(?P<year>\d{4}x)?") == FileNumber("cam/IMG_", 10, 10_000)
