"""The EXIF reader: right on what cameras write, calm on anything else."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings, strategies as st

from edge.intake.exif import Exif, parse
from edge.intake.types import Camera
from tests.intake.build import DIGITIZED, MAKE, MODEL, OFFSET, ORIGINAL, SERIAL, SUBSEC, exif_bytes

FULL = {
    MAKE: "RECONYX",
    MODEL: "HYPERFIRE 2\0\0",
    ORIGINAL: "2021:04:11 20:43:09",
    SUBSEC: "123",
    OFFSET: "+02:00",
    SERIAL: "H5-0042",
}
EXPECTED = Exif("2021:04:11 20:43:09", "123", "+02:00", Camera("RECONYX", "HYPERFIRE 2", "H5-0042"))
SEEDS = [exif_bytes(FULL), exif_bytes(FULL, endian=">"), exif_bytes({ORIGINAL: "2021:04:11 20:43:09"})]


@pytest.mark.parametrize("endian", ["<", ">"])
def test_reads_time_and_camera_in_either_byte_order(endian: str) -> None:
    """Both byte orders give the same fields."""
    assert parse(exif_bytes(FULL, endian=endian)) == EXPECTED


def test_takes_the_digitized_time_where_the_original_is_missing() -> None:
    """A camera digitizes when it takes the picture."""
    fields = parse(exif_bytes({DIGITIZED: "2021:04:11 20:43:09", SUBSEC: "9"}))
    assert fields is not None
    assert fields.taken == "2021:04:11 20:43:09"
    assert fields.subsec == "", "a fraction of another field's second isn't taken"


@pytest.mark.parametrize("data", [b"", b"II", b"II*\0", b"XX*\0\x08\0\0\0", b"II\x2b\0\x08\0\0\0"])
def test_what_is_no_tiff_is_none(data: bytes) -> None:
    """Too short, no byte order, wrong magic."""
    assert parse(data) is None


def test_a_directory_that_points_at_itself_is_read_once() -> None:
    """The EXIF directory's pointer leads back to the first directory: no loop."""
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    assert parse(b"II*\0" + struct.pack("<IH", 8, 1) + entry + b"\0\0\0\0") == Exif()


def test_offsets_and_lengths_past_the_data_give_nothing() -> None:
    """A text said to be 4 GiB long, and one said to stand behind the end."""
    entries = struct.pack("<HHII", MAKE, 2, 0xFFFFFFFF, 0xFFFFFFF0) + struct.pack("<HHII", MODEL, 2, 40, 9999)
    assert parse(b"II*\0" + struct.pack("<IH", 8, 65535) + entries) == Exif()


def test_control_characters_and_bytes_that_are_no_text_are_dropped_or_replaced() -> None:
    """What goes to the database and to messages is printable text."""
    tiff = exif_bytes({MAKE: "MAKEMAKE"}).replace(b"MAKEMAKE", b"M\x1b[2J\xff\xfeE")
    fields = parse(tiff)
    assert fields is not None
    assert fields.camera.make == "M[2J\ufffd\ufffdE"


@given(st.binary(max_size=600))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    """Noise after a valid start of the structure, and before."""
    for start in (b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"):
        assert parse(start + data) is None or isinstance(parse(start + data), Exif)


@settings(max_examples=400)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=12),
    cut=st.integers(0, 400),
)
def test_real_structures_with_bytes_changed_and_cut_are_read_without_an_error(
    seed: bytes, edits: list[tuple[int, int]], cut: int
) -> None:
    """Whatever flips, the texts that come out are printable and short."""
    data = bytearray(seed)
    for position, value in edits:
        data[position % len(data)] = value
    fields = parse(bytes(data[: max(cut, 8)]))
    if fields is not None:
        texts = [fields.taken, fields.subsec, fields.offset, *fields.camera]
        assert all(len(text) <= 256 and (text.isprintable() or not text) for text in texts)
