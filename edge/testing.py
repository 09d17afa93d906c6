"""What tests and the demo share: pictures with camera tags, damaged files, and a virtual camera.

Nothing here is imported by the service. numpy, OpenCV and Pillow are imported where they are used, so
that tests which need only the damaged files or the camera stay quick to start.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Literal, TypedDict, Unpack

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

# Exif 2.32, sections 4.6.4 and 4.6.5: tag numbers.
_MAKE, _MODEL, _ORIENTATION, _EXIF_IFD = 0x010F, 0x0110, 0x0112, 0x8769
_ORIGINAL, _OFFSET_ORIGINAL, _SUBSEC_ORIGINAL = 0x9003, 0x9011, 0x9291

Manner = Literal["rename", "grow"]
_CHUNKS: Final = 5


class Tags(TypedDict, total=False):
    """EXIF that a camera writes; what is left out is not written.

    ``taken`` is what the camera's clock shows (DateTimeOriginal, whole seconds); if it is aware and
    ``offset`` is not given, its UTC offset is written too. ``subsec`` are the digits after the decimal
    point (``"350"``), ``offset`` is like ``"+07:00"``, ``orientation`` is 1 to 8.
    """

    taken: datetime
    subsec: str
    offset: str
    make: str
    model: str
    orientation: int


def encode_jpeg(image: Pixels, *, quality: int = 88, **tags: Unpack[Tags]) -> bytes:
    """Make a JPEG with EXIF.

    Args:
        image: HWC uint8 RGB, or HW uint8 grey.
        quality: 1 to 95.
        tags: see :class:`Tags`.
    """
    from PIL import Image  # noqa: PLC0415 - see the module's docstring

    exif = Image.Exif()
    exif.update(_camera_tags(tags))
    if times := _time_tags(tags):
        exif.get_ifd(_EXIF_IFD).update(times)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, exif=exif if tags else b"")
    return buffer.getvalue()


def _camera_tags(tags: Tags) -> dict[int, str | int]:
    found: dict[int, str | int] = {}
    if "make" in tags:
        found[_MAKE] = tags["make"]
    if "model" in tags:
        found[_MODEL] = tags["model"]
    if "orientation" in tags:
        found[_ORIENTATION] = tags["orientation"]
    return found


def _time_tags(tags: Tags) -> dict[int, str]:
    found: dict[int, str] = {}
    if "taken" in tags:
        found[_ORIGINAL] = f"{tags['taken']:%Y:%m:%d %H:%M:%S}"
        if tags["taken"].utcoffset() is not None:
            found[_OFFSET_ORIGINAL] = tags["taken"].isoformat(timespec="seconds")[-6:]
    if "offset" in tags:
        found[_OFFSET_ORIGINAL] = tags["offset"]
    if "subsec" in tags:
        found[_SUBSEC_ORIGINAL] = tags["subsec"]
    return found


def write_jpeg(path: Path, image: Pixels, *, quality: int = 88, **tags: Unpack[Tags]) -> Path:
    """Write :func:`encode_jpeg` to a file, making its folder; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_jpeg(image, quality=quality, **tags))
    return path


def texture(width: int, height: int, *, seed: int = 0, grain: float = 4.0) -> Pixels:
    """An image with detail at every scale, as foliage has: octaves of smoothed noise, HWC uint8 RGB.

    Args:
        width: pixels.
        height: pixels.
        seed: the same seed gives the same pixels.
        grain: standard deviation of the finest noise, grey levels; it rules the JPEG's size.
    """
    import cv2  # noqa: PLC0415 - see the module's docstring
    import numpy as np  # noqa: PLC0415

    random = np.random.default_rng(seed)
    light = np.full((height, width), 110.0, np.float32)
    for step in (256, 64, 16, 4):
        coarse = random.normal(0, 9 + step / 16, (height // step + 2, width // step + 2)).astype(np.float32)
        light += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    tile = random.normal(0, grain, (512, 512)).astype(np.float32)
    light += np.tile(tile, (height // 512 + 1, width // 512 + 1))[:height, :width]
    channels = [np.clip(light * share, 0, 255).astype(np.uint8) for share in (0.95, 1.05, 0.8)]
    return np.stack(channels, axis=-1)


def jpeg_bytes(
    width: int = 640,
    height: int = 480,
    *,
    seed: int = 0,
    quality: int = 88,
    grain: float = 4.0,
    **tags: Unpack[Tags],
) -> bytes:
    """A JPEG of :func:`texture`; different seeds give different bytes.

    4000 x 3000 with the defaults is 2.5 MB, with ``grain=8`` 3.8 MB: what a 12-megapixel trail camera writes.
    """
    return encode_jpeg(texture(width, height, seed=seed, grain=grain), quality=quality, **tags)


def torn(data: bytes, share: float = 0.6) -> bytes:
    """The first part of a file, as an upload that broke off leaves it; ``share`` from 0 to 1."""
    return data[: int(len(data) * share)]


def zero_tailed(data: bytes, share: float = 0.6) -> bytes:
    """A file of full length whose end is zeros, as a power cut leaves it; ``share`` (0 to 1) is real."""
    return torn(data, share).ljust(len(data), b"\0")


@dataclass(frozen=True, slots=True)
class Shot:
    """One file that a camera delivers.

    Attributes:
        file: path below the drop folder, ``/`` between parts.
        data: its bytes.
        delay: seconds to wait before.
        manner: ``rename``: written under a temporary name, then renamed; ``grow``: written in place,
            in pieces.
    """

    file: str
    data: bytes
    delay: float = 0.0
    manner: Manner = "rename"


class VirtualCamera:
    """Delivers shots into a drop folder as cameras and upload programs do.

    Args:
        drop: the folder; sub-folders are made as shots need them.
        pause: seconds between the pieces of a file that grows.
        sleep: how to wait; a test may pass its own.
    """

    def __init__(
        self, drop: Path, *, pause: float = 0.15, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._drop = drop
        self._pause = pause
        self._sleep = sleep

    def run(self, shots: Iterable[Shot], told: Callable[[Shot], None] | None = None) -> int:
        """Deliver shots in order, each after its delay; returns how many.

        Args:
            shots: may be a generator; the next one is asked for when the one before is delivered.
            told: called after each.
        """
        count = 0
        for count, shot in enumerate(shots, start=1):  # noqa: B007 - the count is the result
            if shot.delay:
                self._sleep(shot.delay)
            self.deliver(shot)
            if told:
                told(shot)
        return count

    def deliver(self, shot: Shot) -> Path:
        """Deliver one shot now; returns where it is."""
        path = self._drop / PurePosixPath(shot.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        if shot.manner == "grow":
            self._grow(path, shot.data)
        else:
            part = path.with_name(f".{path.name}.part")
            part.write_bytes(shot.data)
            part.rename(path)
        return path

    def _grow(self, path: Path, data: bytes) -> None:
        size = max(1, -(-len(data) // _CHUNKS))
        with path.open("wb") as file:
            for start in range(0, len(data), size):
                if start:
                    self._sleep(self._pause)
                file.write(data[start : start + size])
                file.flush()
