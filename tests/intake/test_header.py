"""The look at the beginning of a file: enough, cheap, and never fooled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from edge.errors import IntakeError
from edge.intake import Candidate, FileStat, GoneError, header
from edge.intake.header import LAST_READ, parse_header, read_header
from tests.intake.build import ORIGINAL, candidate, exif_bytes, jpeg, segment

TIFF = exif_bytes({ORIGINAL: "2021:04:11 20:43:09"})
APP1 = segment(0xE1, b"Exif\0\0" + TIFF)
REST = jpeg()[2:]


def _taken(data: bytes, tmp_path: Path) -> str:
    found = read_header(candidate(tmp_path, "a.jpg", data))
    return found.exif.taken if found.exif else ""


def test_finds_exif_behind_other_segments(tmp_path: Path) -> None:
    """A JFIF header, a comment and a 60 kB colour profile come first."""
    before = segment(0xE0, b"JFIF\0" + bytes(9)) + segment(0xFE, b"hello") + segment(0xE2, bytes(60_000))
    assert _taken(b"\xff\xd8" + before + APP1 + REST, tmp_path) == "2021:04:11 20:43:09"


def test_finds_exif_that_is_larger_than_the_first_read(tmp_path: Path) -> None:
    """Its texts stand at its end, behind 50 kB of the maker's own."""
    moved = bytearray(TIFF)
    at = TIFF.index(b"2021:04:11")
    pointer = TIFF.index(at.to_bytes(4, "little"))
    moved[pointer : pointer + 4] = (at + 50_000).to_bytes(4, "little")
    app1 = segment(0xE1, b"Exif\0\0" + bytes(moved[:at]) + bytes(50_000) + TIFF[at:])
    assert _taken(b"\xff\xd8" + app1 + REST, tmp_path) == "2021:04:11 20:43:09"


def test_other_application_data_is_not_taken_for_exif(tmp_path: Path) -> None:
    """XMP uses the same marker and comes first."""
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")
    assert _taken(b"\xff\xd8" + xmp + APP1 + REST, tmp_path) == "2021:04:11 20:43:09"


def test_damaged_exif_is_said_to_be_damaged() -> None:
    """None with a note, so that people learn why another source was taken."""
    found = parse_header(b"\xff\xd8" + segment(0xE1, b"Exif\0\0XXXXXXXXXXXX") + REST)
    assert found.exif is None
    assert found.note == "the EXIF data is damaged"


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x89PNG\r\n\x1a\n" + APP1, b"\xff\xd8", REST])
def test_other_files_have_no_exif(data: bytes, tmp_path: Path) -> None:
    """Nothing is said of a file that isn't JPEG; it isn't an error here."""
    assert read_header(candidate(tmp_path, "a.jpg", data)) == (None, "")


def test_exif_inside_the_scan_does_not_count(tmp_path: Path) -> None:
    """The search ends where the image's data begin."""
    whole = jpeg()
    assert _taken(whole[:-2] + APP1 + b"\xff\xd9", tmp_path) == ""


def test_reads_at_most_192_kib_whatever_the_file_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments of 64 KiB without end."""
    read: list[int] = []

    def count(descriptor: int, size: int, offset: int) -> bytes:
        data = os.pread(descriptor, size, offset)
        read.append(len(data))
        return data

    monkeypatch.setattr(header, "_read", count)
    endless = b"\xff\xd8" + segment(0xE2, bytes(65_533)) * 40 + APP1 + REST
    assert _taken(endless, tmp_path) == ""
    assert len(read) == 2
    assert sum(read) == LAST_READ


def test_a_normal_header_takes_one_read_of_16_kib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EXIF at the front of a large file."""
    read: list[int] = []

    def count(descriptor: int, size: int, offset: int) -> bytes:
        read.append(size)
        return os.pread(descriptor, size, offset)

    monkeypatch.setattr(header, "_read", count)
    assert _taken(b"\xff\xd8" + APP1 + REST + bytes(500_000), tmp_path) == "2021:04:11 20:43:09"
    assert read == [16 * 1024]


def test_a_file_that_is_gone_says_so(tmp_path: Path) -> None:
    """Its own error, since there is nothing to wait for."""
    missing = Candidate(tmp_path, "cam/IMG_0001.JPG", FileStat(0, 0, 1, 1))
    with pytest.raises(GoneError, match=r"the file is gone: cam/IMG_0001\.JPG"):
        read_header(missing)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Even if it was put in the file's place after the scan."""
    (tmp_path / "secret").write_bytes(b"\xff\xd8" + APP1)
    (tmp_path / "a.jpg").symlink_to(tmp_path / "secret")
    with pytest.raises(IntakeError, match="can't read the file"):
        read_header(Candidate(tmp_path, "a.jpg", FileStat(0, 0, 1, 1)))


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    """A pipe in the file's place is no reason to wait for its writer."""
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(IntakeError, match="can't read the file"):
        read_header(Candidate(tmp_path, "a.jpg", FileStat(0, 0, 1, 1)))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(st.tuples(st.integers(0, 250), st.integers(0, 255)), max_size=10),
    cut=st.integers(0, 1200),
    progressive=st.booleans(),
)
def test_headers_with_bytes_changed_and_cut_are_read_without_an_error(
    edits: list[tuple[int, int]], cut: int, progressive: bool, tmp_path: Path
) -> None:
    """A real file with EXIF, changed anywhere in its first bytes and cut anywhere."""
    data = bytearray(_SEEDS[progressive])
    for position, value in edits:
        data[position] = value
    read_header(candidate(tmp_path, "a.jpg", bytes(data[:cut])))


_SEEDS = (jpeg(tiff=TIFF), jpeg(tiff=TIFF, progressive=True))
