from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from edge.vision.exif import orientation


def _with_orientation(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def _app1(tiff: bytes) -> bytes:
    body = b"Exif\0\0" + tiff
    return b"\xff\xd8\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body


@pytest.mark.parametrize("value", range(1, 9))
def test_reads_orientation_written_by_pillow(value: int) -> None:
    """Each of the eight orientations is read as it was written."""
    assert orientation(_with_orientation(value)) == value


@pytest.mark.parametrize(("order", "mark"), [("<", b"II"), (">", b"MM")])
def test_reads_both_byte_orders(order: str, mark: bytes) -> None:
    """Little and big endian EXIF are read alike."""
    tiff = mark + struct.pack(order + "HIHHHIHH", 42, 8, 1, 0x0112, 3, 1, 6, 0)
    assert orientation(_app1(tiff)) == 6


def test_other_application_segments_are_passed_over() -> None:
    """A JFIF segment before the EXIF segment doesn't hide it."""
    jfif = b"\xff\xe0\x00\x04ab"
    data = _with_orientation(3)
    assert orientation(data[:2] + jfif + data[2:]) == 3


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_impossible_value_is_upright(value: int) -> None:
    """A value that EXIF doesn't define counts as upright."""
    tiff = b"II" + struct.pack("<HIHHHIHH", 42, 8, 1, 0x0112, 3, 1, value, 0)
    assert orientation(_app1(tiff)) == 1


def test_without_exif_is_upright() -> None:
    """An image that says nothing is upright."""
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(stream, "JPEG")
    assert orientation(stream.getvalue()) == 1


@given(st.binary(max_size=200), st.booleans())
def test_never_raises(garbage: bytes, inside: bool) -> None:
    """Whatever the bytes, a valid orientation comes back."""
    assert 1 <= orientation(_app1(b"II" + garbage) if inside else b"\xff\xd8" + garbage) <= 8


@given(st.integers(0, 300), st.integers(0, 255))
def test_one_wrong_byte_never_raises(position: int, value: int) -> None:
    """A damaged EXIF block costs the orientation at most, not the image."""
    data = bytearray(_with_orientation(6))
    data[position % len(data)] = value
    assert 1 <= orientation(bytes(data)) <= 8
