import io
from datetime import date

import pytest
from PIL import Image

from edge.demo.camera import picture, shots
from edge.demo.story import COPIED, COPY_FILE, STORY

EVENING = date(2026, 5, 4)
EXIF_IFD = 0x8769


@pytest.fixture(scope="module")
def delivered() -> dict[str, bytes]:
    """The story's files: path -> bytes."""
    return {shot.file: shot.data for shot in shots(EVENING)}


def test_every_file_once_and_the_copy_last(delivered: dict[str, bytes]) -> None:
    """The cameras deliver the story's files in its order, then the copy of one."""
    assert list(delivered) == [*(m.file for m in STORY), COPY_FILE]
    assert delivered[COPY_FILE] == delivered[COPIED.file]
    assert len(set(delivered.values())) == len(delivered) - 1


def test_exif_says_when_and_which_camera(delivered: dict[str, bytes]) -> None:
    """Each image's EXIF has its moment's time to the millisecond, the zone and the camera."""
    for moment in STORY:
        with Image.open(io.BytesIO(delivered[moment.file])) as image:
            exif = image.getexif()
            times = exif.get_ifd(EXIF_IFD)
        assert times[0x9003] == f"2026:05:04 {moment.clock[:8]}"
        assert times[0x9291] == (moment.clock[9:] or "000")
        assert times[0x9011] == "-06:00"
        assert exif[0x0110] == moment.deployment


def test_only_the_torn_file_has_no_end(delivered: dict[str, bytes]) -> None:
    """All files end as a JPEG does, but for the torn one."""
    assert [f for f, data in delivered.items() if not data.endswith(b"\xff\xd9")] == [
        m.file for m in STORY if m.arrival == "torn"
    ]


def test_a_picture_is_the_same_every_time() -> None:
    """The same moment on the same evening gives the same bytes."""
    assert picture(STORY[0], EVENING) == picture(STORY[0], EVENING)


def test_bursts_come_fast_and_one_file_grows() -> None:
    """Files of one burst follow each other quickly; the growing file is written in place."""
    made = {shot.file: shot for shot in shots(EVENING, pace=2.0)}
    assert made["meadow-01/IMG_0008.JPG"].delay < 1 < made["meadow-01/IMG_0007.JPG"].delay
    assert [f for f, shot in made.items() if shot.manner == "grow"] == ["meadow-01/IMG_0004.JPG"]
