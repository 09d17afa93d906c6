import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.testing import Shot, VirtualCamera, encode_jpeg, jpeg_bytes, texture, torn, write_jpeg, zero_tailed

EXIF_IFD = 0x8769


def _exif(data: bytes) -> dict[int, object]:
    with Image.open(io.BytesIO(data)) as image:
        exif = image.getexif()
        return {**exif, **exif.get_ifd(EXIF_IFD)}


def test_every_tag_is_read_back() -> None:
    """Time, sub-second, offset, make, model and orientation are what Pillow reads from the file."""
    data = jpeg_bytes(
        64,
        48,
        taken=datetime(2026, 5, 4, 3, 12, 9),  # noqa: DTZ001 - a camera's clock has no zone
        subsec="350",
        offset="+07:00",
        make="MAKER",
        model="TrailCam 5",
        orientation=6,
    )
    found = _exif(data)
    assert found[0x9003] == "2026:05:04 03:12:09"
    assert found[0x9291] == "350"
    assert found[0x9011] == "+07:00"
    assert (found[0x010F], found[0x0110], found[0x0112]) == ("MAKER", "TrailCam 5", 6)


def test_no_tags_no_exif() -> None:
    """What isn't asked for is not written."""
    assert _exif(jpeg_bytes(64, 48)) == {}
    assert b"Exif" not in jpeg_bytes(64, 48)


@pytest.mark.parametrize(("hours", "text"), [(7, "+07:00"), (-6, "-06:00"), (5.75, "+05:45")])
def test_offset_comes_with_an_aware_time(hours: float, text: str) -> None:
    """An aware time brings its UTC offset, and the time stays that of the camera's clock."""
    taken = datetime(2026, 5, 4, 3, 0, tzinfo=timezone(timedelta(hours=hours)))
    found = _exif(jpeg_bytes(64, 48, taken=taken))
    assert (found[0x9003], found[0x9011]) == ("2026:05:04 03:00:00", text)


def test_given_offset_wins() -> None:
    """An offset that is given is written as given."""
    found = _exif(jpeg_bytes(64, 48, taken=datetime(2026, 5, 4, tzinfo=UTC), offset="+03:00"))
    assert found[0x9011] == "+03:00"


def test_same_seed_same_bytes() -> None:
    """Pictures are told apart by their seed, and by nothing else."""
    assert jpeg_bytes(96, 64, seed=3) == jpeg_bytes(96, 64, seed=3)
    assert jpeg_bytes(96, 64, seed=3) != jpeg_bytes(96, 64, seed=4)


def test_texture_is_an_rgb_image() -> None:
    """A texture has the size that was asked for, in HWC uint8."""
    image = texture(130, 70)
    assert image.shape == (70, 130, 3)
    assert image.dtype == np.uint8


def test_write_makes_the_folder(tmp_path: Path) -> None:
    """Writing makes the camera's folder and gives back the path."""
    path = write_jpeg(tmp_path / "cam" / "IMG_0001.JPG", texture(32, 32), make="M")
    assert path.read_bytes() == encode_jpeg(texture(32, 32), make="M")


def test_torn_is_a_prefix() -> None:
    """A torn file is the beginning of the whole one, and doesn't reach its end-of-image marker."""
    whole = jpeg_bytes(96, 64)
    cut = torn(whole, 0.6)
    assert whole.startswith(cut)
    assert len(cut) == int(len(whole) * 0.6)
    assert not cut.endswith(b"\xff\xd9")


def test_zero_tail_keeps_the_length() -> None:
    """A zero-tailed file has the length of the whole one, and zeros for an end."""
    whole = jpeg_bytes(96, 64)
    damaged = zero_tailed(whole, 0.6)
    assert len(damaged) == len(whole)
    assert damaged == torn(whole, 0.6) + bytes(len(whole) - int(len(whole) * 0.6))


def test_renamed_file_appears_whole(tmp_path: Path) -> None:
    """A file that is renamed into place leaves nothing else behind."""
    VirtualCamera(tmp_path).deliver(Shot("cam/a/IMG_0001.JPG", b"data"))
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()] == [
        "cam/a/IMG_0001.JPG"
    ]
    assert (tmp_path / "cam/a/IMG_0001.JPG").read_bytes() == b"data"


def test_growing_file_can_be_seen_growing(tmp_path: Path) -> None:
    """A file that grows is there under its final name, shorter, at every pause."""
    sizes: list[int] = []
    path = tmp_path / "cam" / "IMG_0001.JPG"
    camera = VirtualCamera(tmp_path, sleep=lambda _: sizes.append(path.stat().st_size))
    camera.deliver(Shot("cam/IMG_0001.JPG", bytes(1000), manner="grow"))
    assert sizes == [200, 400, 600, 800]
    assert path.stat().st_size == 1000


def test_shots_are_taken_one_by_one(tmp_path: Path) -> None:
    """Each shot waits for its delay, is told, and only then is the next one asked for."""
    events: list[object] = []

    def shots() -> Iterator[Shot]:
        for number in (1, 2):
            events.append(f"asked {number}")
            yield Shot(f"cam/{number}.JPG", b"x", delay=number)

    camera = VirtualCamera(tmp_path, sleep=events.append)
    assert camera.run(shots(), lambda shot: events.append(shot.file)) == 2
    assert events == ["asked 1", 1, "cam/1.JPG", "asked 2", 2, "cam/2.JPG"]
