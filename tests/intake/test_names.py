"""What a name alone decides."""

from __future__ import annotations

import pytest

from edge.intake import classify_name, printable
from edge.intake.names import passed_over, unfinished


@pytest.mark.parametrize("name", ["a.jpg", "a.JPG", "cam/a.jpeg", "a.JPE", "a.b.Jpg"])
def test_jpeg_by_its_name(name: str) -> None:
    """In any case."""
    assert classify_name(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cam/clip.AVI", "videos aren't supported"),
        ("a.mp4", "videos aren't supported"),
        ("a.png", "not a JPEG image: PNG isn't supported"),
        ("a.wav", "sound isn't supported"),
        ("Thumbs.db", "not an image: .db"),
        ("cam.jpg/README", "not an image: the name has no extension"),
    ],
)
def test_other_files_are_accounted_for_with_a_reason(name: str, reason: str) -> None:
    """Every file has a fate, and people can read why."""
    assert classify_name(name) == reason


@pytest.mark.parametrize(
    "name", [".a.jpg", ".hidden", "a.jpg.part", "A.JPG.FILEPART", "a.tmp", "a.crdownload"]
)
def test_unfinished_names(name: str) -> None:
    """Hidden, or what uploaders call a file until it is whole."""
    assert unfinished(name)


@pytest.mark.parametrize("name", ["a.jpg", "part", "apart.jpg", "tmp.jpg"])
def test_finished_names(name: str) -> None:
    """Only endings count."""
    assert not unfinished(name)


def test_folders_that_are_not_for_images_are_passed_over() -> None:
    """Hidden ones, and what file systems put on a card."""
    assert passed_over(".Trash-1000")
    assert passed_over("System Volume Information")
    assert not passed_over("DCIM")


def test_a_name_that_is_no_utf8_becomes_printable() -> None:
    """Its odd bytes are written out; what is valid stays."""
    assert printable("F\u00fcchse/\udce4.jpg") == "F\u00fcchse/\\xe4.jpg"
    printable("\udcff").encode()
