"""Readers of image files: intake's, vision's, and the snapshot that is made of what they let through."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from edge.errors import EdgeError, ImageError, IntakeError
from edge.intake import exif, jpeg as segments
from edge.intake.examine import examine
from edge.intake.header import parse_header
from edge.intake.moment import moment
from edge.intake.whole import check, load
from edge.settings import DeploymentSettings, IntakeSettings
from edge.vision.decode import decode, read_header, reduction
from edge.vision.exif import orientation
from edge.vision.mend import mend
from edge.vision.snapshot import snapshot
from tests.fuzz.damage import damaged
from tests.fuzz.target import Target
from tests.intake.build import MAKE, MODEL, OFFSET, ORIGINAL, SERIAL, SUBSEC, candidate, exif_bytes

MOST_PIXELS = 4_000_000
_NOW = 1_780_000_000_000
_SETTINGS = IntakeSettings(
    max_pixels=MOST_PIXELS,
    timezone="America/St_Johns",
    deployments={"cam": DeploymentSettings(clock_offset=-3600.5)},
)
_TIFF = exif_bytes(
    {
        MAKE: "Maker",
        MODEL: "Trap 9",
        ORIGINAL: "2024:06:01 03:12:09",
        SUBSEC: "125",
        OFFSET: "+07:00",
        SERIAL: "A1",
    }
)
_TIFFS = [_TIFF, exif_bytes({ORIGINAL: "0000:00:00 00:00:00", MODEL: "x" * 300}, endian=">")]


def _picture(tiff: bytes = b"", mode: str = "RGB", **options: Any) -> bytes:
    """The same noise at every start: a finding has to come again."""
    pixels = np.random.default_rng(1).integers(0, 256, (16, 24, 3), np.uint8)
    out = io.BytesIO()
    extra = {"exif": exif.PREFIX + tiff} if tiff else {}
    Image.fromarray(pixels).convert(mode).save(out, "JPEG", quality=60, **extra, **options)
    return out.getvalue()


def originals() -> list[bytes]:
    """Small images of every kind that a camera, an editor or a scanner writes."""
    return [
        _picture(),
        _picture(_TIFF),
        _picture(_TIFFS[1], progressive=True),
        _picture(progressive=True, subsampling="4:2:0"),
        _picture(mode="L"),
        _picture(mode="CMYK"),
        _picture(restart_marker_blocks=1, subsampling="4:2:0", optimize=True),
    ]


_WORDS = [
    *(
        bytes([0xFF, marker])
        for marker in (0xC0, 0xC1, 0xC2, 0xC4, 0xC9, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xE1, 0xEE)
    ),
    b"\xff\xff",
    b"\0\0",
    b"\xff\xe1\xff\xff",
    b"\xff\xda\0\x02",
    b"\xff\xc2\0\x11\x08\xff\xff\xff\xff\x03",
    b"\xff\xc0\0\x11\x0c\x00\x10\x00\x10\x03",
    b"Exif\0\0",
    b"Adobe\0\x64",
]
_TIFF_WORDS = [b"II*\0", b"MM\0*", b"\xff\xff\xff\xff", b"\x69\x87\x04\0", b"\x03\x90\x02\0", b"\0\0\0\0"]
_FOLDER = tempfile.TemporaryDirectory(prefix="edge-fuzz-")


def take_in(data: bytes) -> None:
    """All that happens to a file before a model sees it."""
    found = candidate(Path(_FOLDER.name), "cam/IMG_0001.JPG", data)
    seen = examine(found, _SETTINGS, _NOW)
    assert all(note.isprintable() for note in (*seen.notes, *seen.camera))
    loaded = load(found, _SETTINGS)
    look_at(loaded.data)


def look_at(data: bytes) -> None:
    """Decode at two sizes, and make a snapshot with a hidden person in it."""
    header = read_header(data, max_pixels=MOST_PIXELS)
    width, height = header.upright_size
    for factor in {1, reduction(header.width, header.height, 8, 8)}:
        pixels = decode(data, header, factor)
        assert pixels.shape == (-(-height // factor), -(-width // factor), 3)
    made = snapshot(pixels, [(0.2, 0.2, 0.9, 1.0)], 65_536)
    assert len(made) <= 65_536
    check(made, MOST_PIXELS)


def _metadata(tiff: bytes) -> None:
    """The two readers of EXIF, and the time that is made of it."""
    fields = exif.parse(tiff)
    for stated in (fields, None):
        taken = moment(stated, "cam/IMG_0001.JPG", 1_700_000_000_000_000_001, "cam", _SETTINGS)
        assert 0 <= taken.nanos < 1_000_000
    whole = b"\xff\xd8" + b"\xff\xe1" + min(len(tiff) + 8, 0xFFFF).to_bytes(2, "big") + exif.PREFIX + tiff
    assert 1 <= orientation(whole) <= 8
    parse_header(whole)


def _structure(data: bytes) -> None:
    """The parts that look at any bytes at all and refuse nothing."""
    list(segments.segments(data))
    parse_header(data)
    orientation(data)
    mend(data)


_ORIGINALS = originals()
TARGETS: list[Target[bytes]] = [
    Target("intake of a file", damaged(_ORIGINALS, _WORDS), take_in, (IntakeError, ImageError)),
    Target("decoding and snapshot", damaged(_ORIGINALS, _WORDS), look_at, (ImageError,)),
    Target("EXIF", st.one_of(damaged(_TIFFS, _TIFF_WORDS), st.binary(max_size=200)), _metadata, ()),
    Target(
        "segments of JPEG",
        st.one_of(damaged(_ORIGINALS, _WORDS), st.lists(st.sampled_from(_WORDS)).map(b"".join)),
        _structure,
        (EdgeError,),
    ),
]
