"""Pictures of other kinds become JPEG, and what is none is refused with a reason."""

from __future__ import annotations

import io
import itertools
import random
import struct
import warnings
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms

from edge.errors import ImageError
from edge.intake.header import parse_header
from edge.testing import jpeg_bytes, texture
from edge.vision.decode import decode, read_header
from edge.vision.foreign import ENOUGH, as_jpeg, is_picture

LIMIT = 4_000_000
ORIENTATION, EXIF_IFD, ORIGINAL, MODEL = 0x0112, 0x8769, 0x9003, 0x0110


def _saved(picture: Image.Image, kind: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **how)
    return buffer.getvalue()


def _pixels(data: bytes) -> npt.NDArray[np.int16]:
    return decode(data, read_header(data, max_pixels=LIMIT)).astype(np.int16)


def _scene(mode: str = "RGB", size: tuple[int, int] = (96, 64)) -> Image.Image:
    return Image.fromarray(texture(*size, seed=3)).convert(mode)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {}),
    "webp": ("WEBP", {"lossless": True}),
    "webp-lossy": ("WEBP", {"quality": 95}),
    "tiff": ("TIFF", {}),
    "tiff-lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff-jpeg": ("TIFF", {"compression": "jpeg", "quality": 95}),
    "bigtiff": ("TIFF", {"big_tiff": True}),
    "bmp": ("BMP", {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_pixels_are_those_of_the_picture(kind: str) -> None:
    """Every kind comes out with the pixels that went in, as far as a fine JPEG keeps them."""
    scene = _scene()
    name, how = KINDS[kind]
    data = _saved(scene, name, **how)
    assert is_picture(data[:ENOUGH])
    assert np.abs(_pixels(as_jpeg(data, LIMIT)) - np.asarray(scene, np.int16)).mean() < 4


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_every_mode_of_tiff_is_understood(mode: str) -> None:
    """Grey, palette, alpha, CMYK and 16 bits show what the picture shows."""
    grey = _scene("L")
    picture = Image.fromarray(np.asarray(grey, np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    shown = _pixels(as_jpeg(_saved(picture, "TIFF"), LIMIT))[..., 0]
    expected = np.asarray(picture.convert("L") if mode == "1" else grey, np.int16)
    assert np.abs(shown - expected).mean() < 6


def test_a_jpeg_and_a_cameras_file_of_several_pass_untouched() -> None:
    """JPEG and MPO (JPEG files one behind the other) are the same bytes afterwards."""
    one = jpeg_bytes(64, 48)
    several = _saved(_scene(), "MPO", save_all=True, append_images=[_scene("L")])
    assert as_jpeg(one, LIMIT) is one
    assert as_jpeg(several, LIMIT) is several
    assert _pixels(several).shape == (64, 96, 3)


def test_first_frame_of_an_animation() -> None:
    """GIF, WebP and TIFF with several pictures give the first."""
    red, blue = (Image.new("RGB", (32, 24), colour) for colour in ("red", "blue"))
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        shown = _pixels(as_jpeg(_saved(red, kind, save_all=True, append_images=[blue]), LIMIT))
        assert np.abs(shown - (255, 0, 0)).max() < 8, kind


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_orientation_is_applied_once(kind: str, orientation: int) -> None:
    """What EXIF says of top and left is done to the pixels, and isn't said again in the JPEG."""
    upright = Image.new("RGB", (48, 32), "black")
    upright.paste("white", (0, 0, 16, 16))
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that undoes each orientation
    stored = upright.transpose(Image.Transpose(turned[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = as_jpeg(_saved(stored, kind, exif=exif), LIMIT)
    assert read_header(data, max_pixels=LIMIT).orientation == 1
    assert np.abs(_pixels(data) - np.asarray(upright, np.int16)).mean() < 8


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_time_and_camera_go_along(kind: str) -> None:
    """Intake reads from the JPEG when the picture was taken and by what."""
    exif = Image.Exif()
    exif[MODEL] = "HyperFire"
    exif.get_ifd(EXIF_IFD)[ORIGINAL] = "2024:06:01 12:00:00"
    found = parse_header(as_jpeg(_saved(_scene(), kind, exif=exif.tobytes()), LIMIT)).exif
    assert found is not None
    assert (found.taken, found.camera.model) == ("2024:06:01 12:00:00", "HyperFire")


def test_damaged_exif_is_no_reason_to_lose_a_picture() -> None:
    """A PNG whose EXIF is noise is taken without it."""
    plain = _saved(_scene(), "PNG")
    end = plain.index(b"IEND") - 4
    for noise in (b"MM\0*" + b"\xff" * 40, b"nothing", b"II*\0\x08\0\0\0\xff\xff" + bytes(60)):
        data = plain[:end] + _chunk(b"eXIf", noise) + plain[end:]
        assert _pixels(as_jpeg(data, LIMIT)).shape == (64, 96, 3)


def test_transparent_is_white() -> None:
    """What can be seen through is put on white, whether by alpha or by a colour that means nothing."""
    clear = Image.new("RGBA", (32, 24), (0, 0, 0, 0))
    palette = Image.new("P", (32, 24), 0)
    keyed = Image.new("RGB", (32, 24), (1, 2, 3))
    grey = Image.new("L", (32, 24), 7)
    for picture, how in (
        (clear, {}),
        (palette, {"transparency": 0}),
        (keyed, {"transparency": (1, 2, 3)}),
        (grey, {"transparency": 7}),
    ):
        assert _pixels(as_jpeg(_saved(picture, "PNG", **how), LIMIT)).min() > 250


@pytest.mark.parametrize(("top", "expected"), [(255, 255), (4095, 255), (65535, 255), (2048, 128)])
def test_sixteen_bits_are_scaled_by_those_in_use(top: int, expected: int) -> None:
    """A 12-bit sensor's picture in a 16-bit file is not black; half of 12 bits is half of the light."""
    ramp = np.tile(np.linspace(0, top, 64).astype(np.uint16), (32, 1))
    for kind in ("PNG", "TIFF"):
        shown = _pixels(as_jpeg(_saved(Image.fromarray(ramp), kind), LIMIT))
        assert abs(int(shown.max()) - expected) < 6, kind
        assert shown.min() < 6


def test_colour_of_sixteen_bits() -> None:
    """A PNG with 16 bits for each colour shows them."""
    row = b"\0" + struct.pack(">HHH", 65535, 32768, 0) * 16
    shown = _pixels(as_jpeg(_png(16, 16, 16, 2, row * 16), LIMIT))
    assert np.abs(shown - (255, 128, 0)).max() < 8


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_floating_point(scale: float) -> None:
    """Values from 0 to 1 are light; others go from darkest to brightest; what is no number is 0."""
    values = np.tile(np.linspace(0, scale, 64, dtype=np.float32), (32, 1))
    values[0, 0], values[1, 1] = np.nan, np.inf
    shown = _pixels(as_jpeg(_saved(Image.fromarray(values), "TIFF"), LIMIT))
    assert shown.max() > 248
    assert shown.min() < 8


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (b"%PDF-1.7\n1 0 obj", "a PDF document"),
        (b"plain words\n", "text"),
        (b"<!doctype html><html>", "an HTML page"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "text"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "a HEIC image"),
        (b"\0\0\0\x18ftypisom" + bytes(40), "an MP4"),
        (bytes(100), "unknown data"),
        (b"\xff\xd8", "damaged JPEG"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, what: str) -> None:
    """The refusal says what the file holds instead."""
    assert not is_picture(data[:ENOUGH])
    with pytest.raises(ImageError, match=what):
        as_jpeg(data, LIMIT)


@pytest.mark.parametrize("kind", [*KINDS, "gif", "png-palette"])
def test_a_torn_picture_is_refused(kind: str) -> None:
    """Wherever it was cut: nothing grey is made up, and no other kind of error gets out."""
    name, how = {"gif": ("GIF", {}), "png-palette": ("PNG", {})}.get(kind) or KINDS[kind]
    data = _saved(_scene("P" if kind in ("gif", "png-palette") else "RGB"), name, **how)
    for share in (0.05, 0.3, 0.6, 0.9):
        with pytest.raises(ImageError):
            as_jpeg(data[: max(12, int(len(data) * share))], LIMIT)


def test_limits_hold_before_anything_is_decoded() -> None:
    """A picture that claims to be huge is refused by its header, of any kind; nothing is warned of."""
    small = _saved(Image.new("L", (8, 8)), "BMP")
    frame = b",\0\0\0\0" + struct.pack("<HH", 60_000, 60_000) + b"\0\x08" + bytes(20)
    bombs = {
        "png": _png(30_000, 30_000, 1, 0, b""),
        "bmp": small[:18] + struct.pack("<ii", 30_000, 30_000) + small[26:],
        "gif": b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + b"\0\0\0" + frame,
        "gif frame": b"GIF89a\x08\0\x08\0\0\0\0" + frame,
        "webp": b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\x2f\x75\0" * 2 + bytes(40),
        "webp lossless": b"RIFF\x40\0\0\0WEBPVP8L\x20\0\0\0\x2f\xff\xff\xff\x0f" + bytes(40),
        "webp lossy": b"RIFF\x40\0\0\0WEBPVP8 \x20\0\0\0\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(40),
        "jpeg": jpeg_bytes(64, 48).replace(struct.pack(">HH", 48, 64), struct.pack(">HH", 60_000, 60_000), 1),
    }
    for name, data in bombs.items():
        with warnings.catch_warnings(), pytest.raises(ImageError, match="larger than allowed"):
            warnings.simplefilter("error")
            as_jpeg(data, LIMIT)
            pytest.fail(name)


def test_a_tiff_between_pillows_limits() -> None:
    """Where Pillow would only warn, ours is an error as well."""
    data = _saved(Image.new("1", (3000, 2000)), "TIFF")
    with pytest.raises(ImageError, match="larger than allowed"):
        as_jpeg(data, LIMIT)
    assert read_header(as_jpeg(data, 6_000_000), max_pixels=6_000_000).width == 3000


def test_a_ribbon_that_no_jpeg_can_hold() -> None:
    """A side beyond what JPEG allows is said to be too long."""
    with pytest.raises(ImageError, match="too long"):
        as_jpeg(_saved(Image.new("L", (66_000, 2)), "PNG"), LIMIT)


@pytest.mark.parametrize("tags", [{254: 1}, {50706: b"\1\4\0\0"}])
def test_raw_files_are_refused(tags: dict[int, Any]) -> None:
    """A TIFF that begins with a preview is a camera's raw file; its stamp isn't taken for the picture."""
    from PIL import TiffImagePlugin  # noqa: PLC0415

    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory.tagtype[tag] = 1 if isinstance(value, bytes) else 4
        directory[tag] = value
    with pytest.raises(ImageError, match="raw"):
        as_jpeg(_saved(_scene(), "TIFF", tiffinfo=directory), LIMIT)


def test_lab_is_shown() -> None:
    """A TIFF whose colours are L*a*b* is shown in them."""
    lab = ImageCms.createProfile("LAB")
    move = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
    picture = ImageCms.applyTransform(_scene(), move)
    assert picture is not None
    shown = _pixels(as_jpeg(_saved(picture, "TIFF"), LIMIT))
    assert np.abs(shown - np.asarray(_scene(), np.int16)).mean() < 4


def test_damage_anywhere_is_an_error_of_ours_or_a_picture() -> None:
    """Bytes changed at random: whatever comes of it, no other error and no warning gets out."""
    random_ = random.Random(11)
    scene = _scene(size=(40, 30))
    files = [_saved(scene, name, **how) for name, how in KINDS.values()]
    files += [_saved(scene.convert("P"), "GIF"), _saved(scene.convert("P"), "PNG", transparency=3)]
    for data, _ in itertools.product(files, range(60)):
        damaged = bytearray(data)
        for _ in range(random_.randint(1, 8)):
            damaged[random_.randrange(min(len(data), 400) if random_.random() < 0.5 else len(data))] ^= (
                random_.randrange(1, 256)
            )
        with suppress(ImageError):
            assert read_header(as_jpeg(bytes(damaged), LIMIT), max_pixels=LIMIT).width > 0
