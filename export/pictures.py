"""A user's own images, read when they are looked at and never all at once.

They take the way that they take on the device: the strict decoder, at the smallest size that no graph has to
enlarge, upright, then the manifest's preprocessing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ExportError, ImageError
from edge.settings import IntakeSettings
from edge.vision.crops import region
from edge.vision.decode import decode, read_header, reduction
from edge.vision.manifest import ImageInput, Visual
from edge.vision.pipeline import MOST_CROPS, SHARP
from edge.vision.preprocess import Preprocessor, allocate

Array = NDArray[Any]
Image = NDArray[np.uint8]
Feed = Mapping[str, Array]
Size = tuple[int, int]
Step = Callable[[str, int, int], None]
"""Told of progress: what is being done, how many of them are done, how many there are."""

JPEG = frozenset({".jpg", ".jpeg", ".jpe"})
SUFFIXES = JPEG | {".png"}
"""PNG isn't what cameras write, but it is what image collections are often kept in."""
MAX_PIXELS = IntakeSettings().max_pixels
_QUALITY = 95
_THUMBNAIL = 8
T = TypeVar("T")


def quiet(_what: str, _done: int, _total: int) -> None:
    """Tell nobody of progress."""


class Lazy(Sequence[T], Generic[T]):
    """A sequence whose members are made at each access and not kept.

    Args:
        make: a member by its index.
        indices: that there are.
    """

    def __init__(self, make: Callable[[int], T], indices: range) -> None:
        self._make = make
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Lazy[T]: ...
    def __getitem__(self, index: int | slice) -> T | Lazy[T]:
        if isinstance(index, slice):
            return Lazy(self._make, self._indices[index])
        return self._make(self._indices[index])


@dataclass(frozen=True, slots=True)
class Picture:
    """One image file that was found to be whole.

    Attributes:
        name: path below the folder it was found in, ``/`` between parts.
        path: where it is.
        sha256: of its content, hex.
        width, height: as a person sees it, pixels.
        contrast: standard deviation of its grey values, 0 to 127.5; below 2 there is nothing to be seen.
    """

    name: str
    path: Path
    sha256: str
    width: int
    height: int
    contrast: float

    def image(self, need: Size | None = None) -> Image:
        """Its pixels, HWC uint8 RGB, upright.

        Args:
            need: width and height that the graphs want; the image is decoded at the largest reduction that
                still has them. None: at full size.

        Raises:
            ExportError: the file has gone or was changed since it was chosen.
        """
        return self.reduced(1 if need is None else reduction(self.width, self.height, *need))

    def reduced(self, factor: int) -> Image:
        """Its pixels at 1/1, 1/2, 1/4 or 1/8 of its size; a PNG always at full size, as there is no shortcut.

        Raises:
            ExportError: the file has gone or was changed since it was chosen.
        """
        try:
            return pixels(self.path, _bytes(self.path), factor)
        except (OSError, ImageError) as error:
            raise ExportError(
                "image can't be read any more", subject=self.name, hint=_reason(error)
            ) from error

    def jpeg(self) -> bytes:
        """The file as a camera would have written it: a JPEG as it is, a PNG encoded.

        Raises:
            ExportError: the file has gone or was changed since it was chosen.
        """
        if self.path.suffix.lower() in JPEG:
            try:
                return _bytes(self.path)
            except OSError as error:
                raise ExportError(
                    "image can't be read any more", subject=self.name, hint=_reason(error)
                ) from error
        return encoded(self.image())


def look(path: Path, name: str) -> Picture:
    """Read a file once, to the end, and describe it.

    Raises:
        ImageError: it isn't an image that the device could read, or it is damaged.
    """
    try:
        data = _bytes(path)
    except OSError as error:
        raise ImageError(_reason(error), subject=name) from error
    if path.suffix.lower() in JPEG:
        header = read_header(data, max_pixels=MAX_PIXELS)
        small, (width, height) = decode(data, header, _THUMBNAIL), header.upright_size
    else:
        small = pixels(path, data, 1)
        height, width = small.shape[:2]
    contrast = float(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).std())
    return Picture(name, path, hashlib.sha256(data).hexdigest(), width, height, contrast)


def pixels(path: Path, data: bytes, factor: int) -> Image:
    """Decode a JPEG as the device does, a PNG by OpenCV.

    Raises:
        ImageError: it can't be decoded to its end.
    """
    if path.suffix.lower() in JPEG:
        return decode(data, read_header(data, max_pixels=MAX_PIXELS), factor)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise ImageError("image can't be decoded", subject=path.name)
    return np.ascontiguousarray(image[:, :, ::-1]).astype(np.uint8)


def encoded(image: Image) -> bytes:
    """An image (HWC uint8 RGB) as a JPEG file of high quality."""
    bgr = np.ascontiguousarray(image[:, :, ::-1])
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(data)


def images(pictures: Sequence[Picture], need: Size | None = None) -> Lazy[Image]:
    """Pixels of pictures, decoded at each access (see :meth:`Picture.image`)."""
    return Lazy(lambda index: pictures[index].image(need), range(len(pictures)))


def crops(pictures: Sequence[Picture], boxes: Sequence[Array], spec: Visual, need: Size) -> Lazy[Image]:
    """What the classifier sees: each picture as a whole, then what was found in it.

    Args:
        pictures: to cut from.
        boxes: per picture n x 4 or more columns: left, top, right, bottom, 0 to 1; the first
            :data:`~edge.vision.pipeline.MOST_CROPS` count.
        spec: of the visual tower: margin and input size.
        need: largest width and height that any graph of the bundle wants.
    """
    places: list[tuple[int, tuple[float, float, float, float] | None]] = []
    for index, found in enumerate(boxes):
        places.append((index, None))
        places.extend((index, tuple(row[:4])) for row in found[:MOST_CROPS].tolist())

    def make(place: int) -> Image:
        index, box = places[place]
        if box is None:
            return pictures[index].image(need)
        rows = boxes[index][:MOST_CROPS, :4].tolist()
        image = pictures[index].reduced(_sharp_factor(pictures[index], rows, spec, need))
        cut = region(box, spec.crop_margin, image.shape[1], image.shape[0]).of(image)
        return np.ascontiguousarray(cut)

    return Lazy(make, range(len(places)))


def _sharp_factor(picture: Picture, boxes: Sequence[Sequence[float]], spec: Visual, need: Size) -> int:
    """The reduction that the device would take crops from: finer while the smallest is too coarse."""
    factor = reduction(picture.width, picture.height, *need)
    width, height = -(-picture.width // factor), -(-picture.height // factor)
    longer = [
        region((box[0], box[1], box[2], box[3]), spec.crop_margin, width, height).longer for box in boxes
    ]
    smallest = float(min(longer, default=width))
    while factor > 1 and smallest < SHARP * spec.input.width:
        factor, smallest = factor // 2, smallest * 2
    return factor


def canvases(source: Sequence[Image], spec: ImageInput, scratch: Path | None = None) -> Lazy[Image]:
    """Images drawn on a graph's input, as bytes; each is read once and kept.

    The device's preprocessing leaves such a canvas as it is, so whatever looks at images more than once can
    look at these instead.

    Args:
        source: HWC uint8 RGB of any size.
        spec: the graph's input.
        scratch: folder for a file with the canvases, which has to outlive them; None keeps them in memory.
    """
    shape = (len(source), spec.height, spec.width, 3)
    kept = np.empty(shape, np.uint8) if scratch is None else _on_disk(scratch, spec.name, shape)
    filled = np.zeros(len(source), bool)
    plain = {"layout": "NHWC", "dtype": "uint8", "mean": None, "std": None}
    draw = Preprocessor(spec.model_copy(update=plain))

    def make(index: int) -> Image:
        if not filled[index]:
            draw(source[index], kept[index])
            filled[index] = True
        canvas: Image = kept[index]
        return canvas

    return Lazy(make, range(len(source)))


def feeds(source: Sequence[Image], spec: ImageInput, scratch: Path | None = None) -> Lazy[Feed]:
    """A graph's inputs, one sample each, by the device's preprocessing.

    Images are read once and kept as :func:`canvases`, over which a quantiser goes many times. The last step,
    to the graph's layout and numbers, is made at each access.

    Args:
        source: HWC uint8 RGB of any size.
        spec: the graph's input.
        scratch: folder for a file that has to outlive the feeds; None keeps canvases in memory.
    """
    drawn = canvases(source, spec, scratch)
    finish = Preprocessor(spec.model_copy(update={"resize": "stretch"}))

    def make(index: int) -> Feed:
        sample = allocate(spec)
        finish(drawn[index], sample[0])
        return {spec.name: sample}

    return Lazy(make, range(len(source)))


def _on_disk(scratch: Path, name: str, shape: tuple[int, ...]) -> Image:
    free = next(n for n in range(10_000) if not (scratch / f"canvases-{n}").exists())
    if not all(shape):
        return np.empty(shape, np.uint8)
    try:
        return np.memmap(scratch / f"canvases-{free}", np.uint8, "w+", shape=shape)
    except OSError as error:
        raise ExportError("no room for calibration images", subject=name, hint=_reason(error)) from error


def _bytes(path: Path) -> bytes:
    return path.read_bytes()


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
