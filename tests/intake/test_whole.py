"""Whole, cut, never written, damaged, or something else."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st
from PIL import Image

from edge.errors import IntakeError, NotAnImageError, NotWholeError
from edge.intake import Candidate, FileStat, GoneError, check, load, whole
from edge.settings import IntakeSettings
from tests.intake.build import ORIGINAL, candidate, exif_bytes, jpeg, segment

PIXELS = 10_000_000
WHOLE = jpeg(200, 150)
PROGRESSIVE = jpeg(200, 150, progressive=True)
TIFF = exif_bytes({ORIGINAL: "2021:04:11 20:43:09"})


def _with_thumbnail() -> bytes:
    """An image whose EXIF segment holds a complete small JPEG."""
    return b"\xff\xd8" + segment(0xE1, b"Exif\0\0" + TIFF + jpeg(32, 24)) + WHOLE[2:]


@pytest.mark.parametrize(
    "data", [WHOLE, PROGRESSIVE, _with_thumbnail()], ids=["baseline", "progressive", "exif"]
)
@pytest.mark.parametrize(
    "tail",
    [b"", b"\0\0", bytes(4096), b"maker data \xff\xd8", WHOLE],
    ids=["", "00", "zeros", "maker", "mpf"],
)
def test_a_whole_image_whatever_follows_it(data: bytes, tail: bytes) -> None:
    """Padding, a maker's own data, further pictures."""
    assert check(data + tail, PIXELS) == (200, 150, 8, 3)


@pytest.mark.parametrize(("mode", "components"), [("L", 1), ("RGB", 3), ("CMYK", 4)])
def test_the_frame_tells_the_colour_model(mode: str, components: int) -> None:
    """One, three or four components; the decoder decides what it takes."""
    assert check(jpeg(mode=mode), PIXELS).components == components


@given(missing=st.integers(1, len(WHOLE) - 1), progressive=st.booleans())
def test_a_file_cut_anywhere_is_not_whole(missing: int, progressive: bool) -> None:
    """Every prefix, to the byte."""
    data = PROGRESSIVE if progressive else WHOLE
    with pytest.raises(NotWholeError, match="cut"):
        check(data[: max(1, len(data) - missing)], PIXELS)


@example(length=1, progressive=False)
@example(length=2, progressive=False)
@example(length=WHOLE.index(b"\xff\xc0") + 6, progressive=False)
@given(length=st.integers(0, len(WHOLE) - 20), progressive=st.booleans())
def test_a_tail_of_zeros_is_not_whole_and_told_from_a_cut(length: int, progressive: bool) -> None:
    """The size was reserved, the end never written."""
    data = PROGRESSIVE if progressive else WHOLE
    with pytest.raises(NotWholeError, match=r"zero|never written"):
        check(data[: min(length, len(data) - 20)].ljust(len(data), b"\0"), PIXELS)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
def test_a_thumbnail_s_end_of_image_is_not_the_image_s(share: float) -> None:
    """A cut file whose EXIF holds a whole small picture."""
    data = _with_thumbnail()
    start = data.index(b"\xff\xd9") + 2
    with pytest.raises(NotWholeError):
        check(data[: start + int((len(data) - start) * share)], PIXELS)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (bytes(5000), "nothing but 5000 zero bytes"),
        (bytes(4096) + WHOLE[4096:], "begins with zeros"),
        (b"\xff", "ends after 1 bytes"),
        (b"\xff\xd8", "ends after 2 bytes"),
    ],
)
def test_what_was_not_written_yet_is_not_whole(data: bytes, reason: str) -> None:
    """Each says what is wrong with it."""
    with pytest.raises(NotWholeError, match=reason):
        check(data, PIXELS)


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (_png(), "a PNG image"),
        (b"GIF89a....", "a GIF image"),
        (b"II*\0" + bytes(20), "a TIFF or raw image"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a WebP image"),
        (b"RIFF\0\0\0\0AVI LIST", "an AVI video"),
        (b"\0\0\0\x18ftypheic", "a HEIC image"),
        (b"\0\0\0\x18ftypisom", "an MP4 or MOV video"),
        (b"<!DOCTYPE html><p>404", "an HTML page"),
        (b"\n <HTML>", "an HTML page"),
        (b"<?xml version='1.0'?>", "an XML document"),
        (b"login required", "text"),
        (b"\0\x05\x16\x07\0\x02\0\0Mac", "macOS metadata"),
        (b"\xff\xd8\x01\x02", "a damaged JPEG image"),
        (b"\x01\x02\x03\x04", "unknown data"),
    ],
)
def test_other_data_is_named(data: bytes, name: str) -> None:
    """So that people know what their camera wrote."""
    with pytest.raises(NotAnImageError, match=f"not a JPEG image: the file holds {name}"):
        check(data, PIXELS)


def _sized(width: int, height: int) -> bytes:
    at = WHOLE.index(b"\xff\xc0") + 5
    return WHOLE[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + WHOLE[at + 4 :]


def test_a_bomb_is_refused_by_its_header() -> None:
    """65,500 pixels square in a small file; nothing is decoded."""
    with pytest.raises(NotAnImageError, match="too large: 65500 x 65500 pixels, at most 10000000"):
        check(_sized(65_500, 65_500), PIXELS)


def test_the_pixel_limit_is_exact() -> None:
    """At the limit it is taken."""
    assert check(WHOLE, 30_000).width == 200
    with pytest.raises(NotAnImageError, match="too large"):
        check(WHOLE, 29_999)


@pytest.mark.parametrize("size", [(0, 100), (100, 0)])
def test_an_image_without_extent_is_damaged(size: tuple[int, int]) -> None:
    """No width or no height."""
    with pytest.raises(NotAnImageError, match="no width or no height"):
        check(_sized(*size), PIXELS)


def test_a_segment_of_impossible_length_is_damage() -> None:
    """A length counts its own two bytes, so it can't be one."""
    with pytest.raises(NotAnImageError, match="impossible length"):
        check(b"\xff\xd8\xff\xe0\x00\x01" + WHOLE[2:], PIXELS)


def test_a_file_without_image_data_is_damaged() -> None:
    """Start and end, and nothing between them."""
    with pytest.raises(NotAnImageError, match="holds no image data"):
        check(b"\xff\xd8\xff\xd9" + bytes(10), PIXELS)


def test_a_frame_header_that_is_too_short_is_damage() -> None:
    """Three bytes can't say a size."""
    with pytest.raises(NotAnImageError, match="frame header is too short"):
        check(b"\xff\xd8" + segment(0xC0, b"abc") + WHOLE[2:], PIXELS)


@given(st.lists(st.tuples(st.integers(2, len(WHOLE) - 1), st.integers(0, 255)), max_size=20))
def test_any_damage_ends_in_a_frame_or_one_of_two_errors(edits: list[tuple[int, int]]) -> None:
    """Nothing else comes out of a file."""
    data = bytearray(WHOLE)
    for position, value in edits:
        data[position] = value
    with contextlib.suppress(NotWholeError, NotAnImageError):
        frame = check(bytes(data), PIXELS)
        assert 0 < frame.width * frame.height <= PIXELS


@given(st.binary(max_size=300))
def test_any_bytes_behind_a_start_of_image_end_in_one_of_two_errors_or_a_frame(data: bytes) -> None:
    """Noise in place of segments."""
    with contextlib.suppress(NotWholeError, NotAnImageError):
        assert check(b"\xff\xd8\xff" + data, PIXELS).width > 0


def test_load_gives_the_bytes_and_their_hash(tmp_path: Path) -> None:
    """Identity is the SHA-256 of the whole file."""
    loaded = load(candidate(tmp_path, "cam/a.jpg", WHOLE + b"\0\0"), IntakeSettings())
    assert loaded.data == WHOLE + b"\0\0"
    assert loaded.media_id == "sha256:" + hashlib.sha256(WHOLE + b"\0\0").hexdigest()
    assert loaded.frame.height == 150


def test_the_same_bytes_under_two_names_are_one_image(tmp_path: Path) -> None:
    """A card imported twice, a changed mtime."""
    one = load(candidate(tmp_path, "a.jpg", WHOLE), IntakeSettings())
    two = load(candidate(tmp_path, "copy/b.jpg", WHOLE, mtime_ns=1), IntakeSettings())
    assert one.media_id == two.media_id


def test_a_file_larger_than_the_limit_is_not_read(tmp_path: Path) -> None:
    """A sparse terabyte costs nothing."""
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(NotAnImageError, match="too large: 1099511627776 bytes"):
        load(candidate(tmp_path, "a.jpg"), IntakeSettings())


def test_a_file_that_changed_since_it_was_found_is_not_whole(tmp_path: Path) -> None:
    """Its settling begins anew."""
    found = candidate(tmp_path, "a.jpg", WHOLE[:1000])
    (tmp_path / "a.jpg").write_bytes(WHOLE)
    with pytest.raises(NotWholeError, match="still changing"):
        load(found, IntakeSettings())


def test_a_file_that_changes_while_it_is_read_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes would be of two versions."""
    found = candidate(tmp_path, "a.jpg", WHOLE)

    def write(*_: object) -> None:
        os.utime(tmp_path / "a.jpg", ns=(1, 1))

    monkeypatch.setattr(whole, "_check_file", write)
    with pytest.raises(NotWholeError, match="still changing"):
        load(found, IntakeSettings())


def test_a_file_that_is_gone_or_can_t_be_read_says_so(tmp_path: Path) -> None:
    """Each with its file."""
    with pytest.raises(GoneError, match=r"gone: a\.jpg"):
        load(Candidate(tmp_path, "a.jpg", FileStat(0, 0, 0, 0)), IntakeSettings())
    (tmp_path / "a.jpg").symlink_to("elsewhere")
    with pytest.raises(IntakeError, match=r"can't read the file: .*: a\.jpg"):
        load(Candidate(tmp_path, "a.jpg", FileStat(0, 0, 0, 0)), IntakeSettings())
