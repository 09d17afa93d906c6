"""Files and values that the intake tests share."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from edge.intake import Candidate, Examined, FileNumber, FileStat
from edge.intake.types import TimeSource

NOON_MS = 1_717_243_200_000  # 2024-06-01T12:00:00Z
HOUR_MS = 3_600_000

MAKE, MODEL, EXIF_IFD = 0x010F, 0x0110, 0x8769
ORIGINAL, DIGITIZED, OFFSET, SUBSEC, SERIAL = 0x9003, 0x9004, 0x9011, 0x9291, 0xA431


def exif_bytes(fields: Mapping[int, object], *, endian: str = "<") -> bytes:
    """A TIFF structure with these fields, each in its directory."""
    exif = Image.Exif()
    exif.endian = endian
    below = exif.get_ifd(EXIF_IFD)
    for tag, value in fields.items():
        (exif if tag in (MAKE, MODEL) else below)[tag] = value
    return exif.tobytes().removeprefix(b"Exif\0\0")


def jpeg(
    width: int = 64, height: int = 48, *, tiff: bytes = b"", progressive: bool = False, mode: str = "RGB"
) -> bytes:
    """A JPEG file with something to see on it."""
    picture = Image.effect_noise((width, height), 60).convert(mode)
    out = io.BytesIO()
    extra = {"exif": b"Exif\0\0" + tiff} if tiff else {}
    picture.save(out, "JPEG", quality=80, progressive=progressive, **extra)
    return out.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    """One JPEG segment."""
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def candidate(root: Path, name: str, data: bytes | None = None, *, mtime_ns: int | None = None) -> Candidate:
    """A candidate for a file, which is written first if its data are given."""
    path = root / name
    if data is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if mtime_ns is not None:
        os.utime(path, ns=(mtime_ns, mtime_ns))
    return Candidate(root, name, FileStat.of(path.stat()))


def examined(
    name: str,
    ms: int,
    *,
    number: FileNumber | None = None,
    nanos: int = 0,
    source: TimeSource = "exif",
    clock_ok: bool = True,
) -> Examined:
    """An examined file that isn't on any disk."""
    return Examined(
        candidate=Candidate(Path("/drop"), name, FileStat(1, 1, 1, 1)),
        deployment="cam",
        taken_ms=ms,
        nanos=nanos,
        offset_minutes=0,
        time_source=source,
        clock_ok=clock_ok,
        number=number,
    )
