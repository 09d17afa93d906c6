from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image, ImageOps

from edge.errors import ImageError
from edge.vision.decode import Header, decode, read_header, reduction, upright
from tests.vision.toy import jpeg

PLENTY = 10**8


def _photo(width: int = 320, height: int = 240, seed: int = 1) -> npt.NDArray[np.uint8]:
    """Something with as much detail as a photograph: a gradient, blobs and noise."""
    random = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 6, width), np.linspace(0, 5, height))
    base = 120 + 60 * np.sin(x) * np.cos(y)
    noisy = base[..., None] + random.normal(0, 18, (height, width, 3)) + [10, 0, -10]
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _decode(data: bytes, factor: int = 1) -> npt.NDArray[np.uint8]:
    return decode(data, read_header(data, max_pixels=PLENTY), factor)


def _close(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> bool:
    return bool(np.abs(a.astype(int) - b.astype(int)).mean() < 3)


WHOLE = jpeg(_photo(), quality=88)
PROGRESSIVE = jpeg(_photo(), quality=88, progressive=True)


@pytest.mark.parametrize("data", [WHOLE, PROGRESSIVE], ids=["baseline", "progressive"])
def test_decodes_what_pillow_decodes(data: bytes) -> None:
    """Pixels are those of the reference decoder, RGB in this order."""
    assert _close(_decode(data), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
@pytest.mark.parametrize(("width", "height"), [(320, 240), (323, 241), (17, 9)])
def test_reduced_size_is_rounded_up(width: int, height: int, factor: int) -> None:
    """A reduction divides the sides and rounds up, for sizes that don't divide too."""
    pixels = _decode(jpeg(_photo(width, height)), factor)
    assert pixels.shape == (-(-height // factor), -(-width // factor), 3)
    assert pixels.flags.c_contiguous


def test_reduced_image_looks_like_the_full_one() -> None:
    """Decoding at a quarter equals averaging the full image down."""
    full = Image.open(io.BytesIO(WHOLE)).reduce(4)
    assert _close(_decode(WHOLE, 4), np.asarray(full))


def test_grey_image_becomes_rgb() -> None:
    """A grey image has three equal channels."""
    pixels = _decode(jpeg(_photo()[..., 0]))
    assert pixels.shape == (240, 320, 3)
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert (pixels[..., 1] == pixels[..., 2]).all()


def test_cmyk_image_becomes_rgb() -> None:
    """An Adobe CMYK image is shown as its colours, not as their negative."""
    stream = io.BytesIO()
    Image.fromarray(_photo()).convert("CMYK").save(stream, "JPEG", quality=95)
    assert _close(_decode(stream.getvalue()), _photo())


@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_applied(value: int) -> None:
    """Every EXIF orientation ends upright, as Pillow's own transposition does it."""
    exif = Image.Exif()
    exif[0x0112] = value
    data = jpeg(_photo(48, 32), exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    header = read_header(data, max_pixels=PLENTY)
    assert header.upright_size == expected.size
    assert _close(decode(data, header), np.asarray(expected))


def test_orientation_moves_every_corner() -> None:
    """On exact pixels, each orientation is the permutation that EXIF defines."""
    stored = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    turned = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(stored, 1),
    }
    for value, expected in turned.items():
        np.testing.assert_array_equal(upright(stored, value), expected)


def _hole(data: bytes, filling: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + filling + data[middle + len(filling) :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut at 60 %": lambda d: d[: len(d) * 6 // 10],
    "cut at 60 %, end marker added": lambda d: d[: len(d) * 6 // 10] + b"\xff\xd9",
    "zero-filled tail": lambda d: d[: len(d) * 6 // 10] + bytes(len(d) * 4 // 10),
    "zero-filled tail, end marker added": lambda d: d[: len(d) * 6 // 10] + bytes(5000) + b"\xff\xd9",
    "last 200 bytes missing": lambda d: d[:-200],
    "end marker missing": lambda d: d[:-2],
    "end marker missing, zeros instead": lambda d: d[:-2] + bytes(4096),
    "block of zeros in the middle": lambda d: _hole(d, bytes(2048)),
    "block of noise in the middle": lambda d: _hole(d, np.random.default_rng(3).bytes(2048)),
    "block missing in the middle": lambda d: d[: len(d) // 2] + d[len(d) // 2 + 2048 :],
    "block of the file twice": lambda d: _hole(d, d[len(d) // 4 : len(d) // 4 + 2048]),
    "only the header": lambda d: d[:640],
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("factor", [1, 4])
@pytest.mark.parametrize("data", [WHOLE, PROGRESSIVE], ids=["baseline", "progressive"])
def test_damage_is_refused(data: bytes, factor: int, kind: str) -> None:
    """An image that doesn't decode to its end raises, at any scale, and never gives grey rows."""
    with pytest.raises(ImageError):
        _decode(DAMAGE[kind](data), factor)


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_any_noise_is_refused(seed: int, progressive: bool) -> None:
    """Two kilobytes of noise anywhere in the coefficients are never taken for an image."""
    data, random = (PROGRESSIVE if progressive else WHOLE), np.random.default_rng(seed)
    start = int(random.integers(1000, len(data) - 3000))
    with pytest.raises(ImageError):
        _decode(data[:start] + random.bytes(2048) + data[start + 2048 :], 4)


def _revision(data: bytes) -> bytes:
    place = data.index(b"JFIF\0") + 5
    return data[:place] + b"\x09" + data[place + 1 :]


def _scan_parameters(data: bytes) -> bytes:
    place = data.index(b"\xff\xda")
    after = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return data[: after - 3] + b"\0\0\0" + data[after:]


CARELESS = {"revision of JFIF": _revision, "scan parameters": _scan_parameters}


@pytest.mark.parametrize("kind", CARELESS)
def test_careless_marker_is_no_damage(kind: str) -> None:
    """A marker that only a strict reader objects to doesn't cost the image."""
    np.testing.assert_array_equal(_decode(CARELESS[kind](WHOLE)), _decode(WHOLE))


@pytest.mark.parametrize("kind", CARELESS)
def test_damage_behind_a_careless_marker_is_refused(kind: str) -> None:
    """Leniency about a marker is none about the pixels."""
    data = CARELESS[kind](WHOLE)
    with pytest.raises(ImageError):
        _decode(data[: len(data) // 2] + bytes(2048) + data[len(data) // 2 + 2048 :])


@settings(max_examples=60)
@given(st.floats(0.02, 0.999), st.booleans())
def test_any_cut_is_refused(share: float, zeros: bool) -> None:
    """Wherever a file is cut, with or without zeros to its full length, it is refused."""
    length = int(len(WHOLE) * share)
    with pytest.raises(ImageError):
        _decode(WHOLE[:length] + bytes(len(WHOLE) - length if zeros else 0))


@pytest.mark.parametrize("tail", [bytes(4096), b"maker notes after the image"])
def test_bytes_after_the_end_are_no_damage(tail: bytes) -> None:
    """A whole image may be followed by zeros, or by what a camera's maker puts there."""
    np.testing.assert_array_equal(_decode(WHOLE + tail), _decode(WHOLE))


@pytest.mark.parametrize("padding", [b"\0" * 60, b"\xff" * 60])
def test_padding_before_the_end_marker_is_no_damage(padding: bytes) -> None:
    """A whole image whose last block was filled up before the end marker is taken."""
    np.testing.assert_array_equal(_decode(WHOLE[:-2] + padding + WHOLE[-2:]), _decode(WHOLE))


def test_damage_names_the_decoders_reason() -> None:
    """The error's hint says what the decoder met."""
    with pytest.raises(ImageError, match="cut off or damaged") as caught:
        _decode(WHOLE[:-200])
    assert "Premature end" in caught.value.hint


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"\x89PNG\r\n\x1a\n" + bytes(64), b"GIF89a" + bytes(64), b"plain text", bytes(1000)],
    ids=["empty", "one byte", "png", "gif", "text", "zeros"],
)
def test_other_files_are_refused(data: bytes) -> None:
    """A file that isn't a JPEG is refused by its first bytes."""
    with pytest.raises(ImageError, match="not a JPEG"):
        read_header(data, max_pixels=PLENTY)


def test_header_without_image_is_refused() -> None:
    """Something that only begins as a JPEG is refused."""
    with pytest.raises(ImageError, match="header"):
        read_header(b"\xff\xd8\xff\xe0" + bytes(64), max_pixels=PLENTY)


def test_sixteen_bit_png_is_refused_clearly() -> None:
    """An image of another kind says that only JPEG is read."""
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(stream, "PNG")
    with pytest.raises(ImageError, match="not a JPEG"):
        read_header(stream.getvalue(), max_pixels=PLENTY)


def test_bomb_is_refused_before_decoding() -> None:
    """A small file that claims enormous sides is refused by its header alone."""
    data = bytearray(WHOLE)
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = (65_000).to_bytes(2, "big") * 2
    with pytest.raises(ImageError, match="larger than allowed") as caught:
        read_header(bytes(data), max_pixels=120_000_000)
    assert "max_pixels" in caught.value.hint


def test_limit_is_inclusive() -> None:
    """An image of exactly the allowed number of pixels passes, one more pixel doesn't."""
    assert read_header(WHOLE, max_pixels=320 * 240).width == 320
    with pytest.raises(ImageError):
        read_header(WHOLE, max_pixels=320 * 240 - 1)


def test_upright_size_swaps_sides_of_a_turned_image() -> None:
    """A portrait stored as a landscape has its sides exchanged."""
    assert Header(400, 300, "YCbCr", 6).upright_size == (300, 400)
    assert Header(400, 300, "YCbCr", 3).upright_size == (400, 300)


@pytest.mark.parametrize(
    ("size", "need", "factor"),
    [
        ((4000, 3000), (512, 512), 4),
        ((4096, 4096), (512, 512), 8),
        ((4095, 4096), (512, 512), 8),
        ((4088, 4088), (512, 512), 4),
        ((1000, 400), (512, 512), 1),
        ((1024, 1024), (512, 512), 2),
    ],
)
def test_reduction_leaves_enough(size: tuple[int, int], need: tuple[int, int], factor: int) -> None:
    """The largest reduction is chosen that still covers the graph's input on both sides."""
    assert reduction(*size, *need) == factor


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 1300))
def test_reduction_never_goes_below_the_need(width: int, height: int, need: int) -> None:
    """Unless the image itself is smaller, both reduced sides reach what is needed."""
    factor = reduction(width, height, need, need)
    assert factor == 1 or min(-(-width // factor), -(-height // factor)) >= need
