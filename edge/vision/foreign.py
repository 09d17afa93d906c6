"""Pictures of other kinds as the one kind that everything behind this takes: an upright JPEG.

Queries and collections are people's own pictures, and those are PNG, WebP, TIFF, BMP and GIF as well. Pillow
reads them, told which decoders it may use, so that none is among them that starts a program (EPS) or that
nobody asked for. A JPEG isn't touched: cameras' files, which MPO files are too, go their way as in the drop
folder. What is decoded here is written again with little loss; its time and its camera go along.

Pillow keeps its limit of pixels in its module, and warns between one and two times as much: it is set to ours
and the warning made an error, at every call, since anybody may set it otherwise.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, NoReturn

from edge.errors import ImageError
from edge.sniff import name_of
from edge.vision.decode import read_header

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

JPEG: Final = b"\xff\xd8\xff"
KINDS: Final = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
"""First bytes of what Pillow is asked to read, and its name for that; WebP's stand in two places."""
LONGEST_SIDE: Final = 65_500
"""Of a JPEG, by libjpeg."""
ENOUGH: Final = 32
"""Bytes from the start of a file that `is_picture` wants."""

LARGE: Final = 16_000_000
"""Pixels above which a picture waits while another such is decoded: each takes up to 8 bytes a pixel."""

_one_at_a_time: Final = threading.Lock()  # memory is the process's, so this is too
_STRIP: Final = 256
_QUALITY: Final = 95
_TAKEN: Final = "a JPEG, PNG, WebP, TIFF, BMP or GIF can be used"
# What Pillow's readers raise on damage: most is OSError or SyntaxError, the rest is what nobody caught there.
_DAMAGE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    struct.error,
    zlib.error,
)
# TIFF 6.0 and DNG 1.7: a file that begins with a reduced picture keeps its own as raw data of the sensor.
_NEW_SUBFILE_TYPE, _DNG_VERSION, _REDUCED = 254, 50706, 1
_CANON_RAW: Final = b"CR"
# EXIF 2.32: make, model; times with their offsets and fractions, and the body's serial number.
_IN_FIRST: Final = (0x010F, 0x0110)
_EXIF_IFD: Final = 0x8769
_IN_EXIF: Final = (0x9003, 0x9004, 0x9011, 0x9012, 0x9291, 0x9292, 0xA431)
_LONGEST_TEXT: Final = 256
_WEBP_HEADER: Final = 30
_SIXTEEN_BITS: Final = 2**16


def is_picture(start: bytes) -> bool:
    """Whether a file that begins like this (``ENOUGH`` bytes) may be one that :func:`as_jpeg` takes."""
    return start.startswith(JPEG) or _kind(start) is not None


def as_jpeg(data: bytes, max_pixels: int) -> bytes:
    """A picture of any of the kinds that people have, as JPEG.

    A JPEG comes back as it is. Of others the first frame is taken, turned as EXIF says, put on white where it
    can be seen through, and brought to 8 bits: grey of 16 bits by the bits that are in use, since cameras put
    12 into 16; grey of 32 bits and of floating point from its darkest to its brightest value.

    Args:
        data: a whole file.
        max_pixels: a picture with more is refused before it is decoded.

    Returns:
        a JPEG, with time and camera in its EXIF where the picture has them.

    Raises:
        ImageError: empty, of another kind, larger than allowed, cut off or damaged.
    """
    if data.startswith(JPEG):
        read_header(data, max_pixels=max_pixels)
        return data
    if not data:
        raise ImageError("the file is empty")
    kind = _kind(data)
    if kind is None:
        raise ImageError(f"not a picture that can be read: the file holds {name_of(data)}", hint=_TAKEN)
    _check_size(_canvas(data), max_pixels)
    try:
        return _converted(data, kind, max_pixels)
    except _DAMAGE as error:
        reason = str(error).strip() or type(error).__name__
        raise ImageError(f"{kind} is cut off or damaged", hint=f"the decoder says: {reason}") from error
    except MemoryError as error:
        raise ImageError(f"not enough memory to decode this {kind}") from error


def _kind(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((kind for start, kind in KINDS.items() if data.startswith(start)), None)


def _converted(data: bytes, kind: str, max_pixels: int) -> bytes:
    from PIL import Image, ImageOps  # noqa: PLC0415 - 30 ms and a few MB that only such pictures should cost

    _limit(max_pixels)
    try:
        with Image.open(io.BytesIO(data), formats=(kind,)) as picture:
            _check_size(picture.size, max_pixels)
            _refuse_raw(data, picture)
            with _one_at_a_time if picture.width * picture.height > LARGE else nullcontext():
                picture.load()
                exif = _exif(picture)
                ImageOps.exif_transpose(picture, in_place=True)
                return _encoded(_eight_bits(picture), exif)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            "picture is larger than allowed", hint=f"the limit is intake.max_pixels = {max_pixels}"
        ) from error


def _limit(max_pixels: int) -> None:
    """Have Pillow keep our limit, and say nothing of metadata that it doesn't like."""
    from PIL import Image  # noqa: PLC0415

    Image.MAX_IMAGE_PIXELS = max_pixels
    warnings.filterwarnings("ignore", module=r"PIL\.")
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


def _check_size(size: tuple[int, int] | None, max_pixels: int) -> None:
    if size is None:
        return
    width, height = size
    if width * height > max_pixels:
        raise ImageError(
            f"picture of {width} x {height} pixels is larger than allowed",
            hint=f"the limit is intake.max_pixels = {max_pixels}",
        )
    if max(width, height) > LONGEST_SIDE:
        raise ImageError(
            f"picture of {width} x {height} pixels is too long",
            hint=f"{LONGEST_SIDE} on a side at most",
        )


def _canvas(data: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP, which takes its memory when it is opened (RFC 9649, 2.5 to 2.7)."""
    if data[:4] != b"RIFF" or len(data) < _WEBP_HEADER:
        return None
    if data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _refuse_raw(data: bytes, picture: Image.Image) -> None:
    """A camera's raw file is a TIFF whose first picture is the size of a stamp."""
    tags = getattr(picture, "tag_v2", None)
    if tags is None:
        return
    reduced = tags.get(_NEW_SUBFILE_TYPE, 0) & _REDUCED
    if reduced or _DNG_VERSION in tags or data[8:10] == _CANON_RAW:
        _raw()


def _raw() -> NoReturn:
    raise ImageError("raw pictures of a camera's sensor aren't supported", hint="export them as JPEG")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """As RGB or grey (mode L)."""
    clear = picture.has_transparency_data
    if picture.mode in ("RGB", "L") and not clear:
        return picture
    if picture.mode[0] in "IF":
        return _scaled(picture)
    if clear:
        return _in_strips(picture, "RGB", _on_white)
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _on_white(strip: Image.Image) -> Image.Image:
    from PIL import Image  # noqa: PLC0415

    over = strip.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")


def _scaled(picture: Image.Image) -> Image.Image:
    """Grey of more than 8 bits, in 8."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    lows, highs = [], []
    for top in range(0, picture.height, _STRIP):
        values = _values(_strip(picture, top))
        lows.append(float(values.min()))
        highs.append(float(values.max()))
    black, white = _range(min(lows), max(highs), whole=picture.mode != "F")

    def shown(strip: Image.Image) -> Image.Image:
        scaled = (_values(strip) - black) * (255 / (white - black))
        return Image.fromarray(scaled.round().clip(0, 255).astype(np.uint8))

    return _in_strips(picture, "L", shown)


def _values(strip: Image.Image) -> npt.NDArray[np.float32]:
    import numpy as np  # noqa: PLC0415

    return np.nan_to_num(np.asarray(strip, np.float32), posinf=0.0, neginf=0.0)


def _in_strips(picture: Image.Image, mode: str, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """A picture changed strip by strip, which takes the memory of two pictures and not of five."""
    from PIL import Image  # noqa: PLC0415

    changed = Image.new(mode, picture.size)
    for top in range(0, picture.height, _STRIP):
        changed.paste(change(_strip(picture, top)), (0, top))
    return changed


def _strip(picture: Image.Image, top: int) -> Image.Image:
    return picture.crop((0, top, picture.width, min(top + _STRIP, picture.height)))


def _range(low: float, high: float, *, whole: bool) -> tuple[float, float]:
    """Which values are black and white, by the lowest and the highest that there are."""
    if whole and low >= 0 and high < _SIXTEEN_BITS:
        return 0.0, float(2 ** max(8, int(high).bit_length()) - 1)
    if not whole and low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, max(high, low + 1.0)


def _exif(picture: Image.Image) -> bytes:
    """Time and camera, as EXIF; empty where there are none, or where they can't be read."""
    from PIL import Image  # noqa: PLC0415

    kept = Image.Exif()
    try:
        found = picture.getexif()
        kept.update(_texts(found, _IN_FIRST))
        kept.get_ifd(_EXIF_IFD).update(_texts(found.get_ifd(_EXIF_IFD), _IN_EXIF))
        return kept.tobytes() if kept or kept.get_ifd(_EXIF_IFD) else b""
    except _DAMAGE:  # broken metadata is no reason to lose a picture
        return b""


def _texts(directory: object, tags: tuple[int, ...]) -> dict[int, str]:
    get = getattr(directory, "get")  # noqa: B009 - an Exif or a dict; Pillow has no common name for them
    texts = {tag: get(tag) for tag in tags}
    return {tag: text[:_LONGEST_TEXT] for tag, text in texts.items() if isinstance(text, str)}


def _encoded(picture: Image.Image, exif: bytes) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, subsampling=0, exif=exif)
    return buffer.getvalue()
