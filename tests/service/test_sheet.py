"""Contact sheets, and the small pictures on them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.configuration import load
from edge.errors import ImageError, UsageError
from edge.service.sheet import HEIGHT, MOST, WIDTH, Tile, contact_sheet, thumbnail
from edge.service.thumbnails import Thumbnails
from edge.store.database import open_database
from edge.store.media import Box, Detected, MediaRow, MediaStore
from edge.vision.decode import Pixels

MAX = 10_000_000


def stripes(width: int = 800, height: int = 600) -> Pixels:
    """Fine black and white stripes: what blurring destroys."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, ::8] = image[:, 1::8] = image[:, 2::8] = image[:, 3::8] = 255
    return image


def jpeg(image: Pixels) -> bytes:
    """As a file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def contrast(picture: Pixels, left: float, right: float) -> float:
    """How much of the stripes is left between two shares of the width."""
    width = picture.shape[1]
    return float(picture[:, int(left * width) : int(right * width)].astype(np.float32).std())


def opened(data: bytes) -> Image.Image:
    """A sheet, decoded."""
    return Image.open(io.BytesIO(data))


def test_a_small_picture_fits_and_keeps_its_shape() -> None:
    """Within the tile, with its own proportions; one that is smaller stays as it is."""
    assert thumbnail(jpeg(stripes(1000, 250)), (), MAX).shape == (80, 320, 3)
    assert thumbnail(jpeg(stripes(250, 1000)), (), MAX).shape == (240, 60, 3)
    assert thumbnail(jpeg(stripes(100, 50)), (), MAX).shape == (50, 100, 3)


def test_people_are_made_unrecognisable() -> None:
    """In their boxes nothing of the detail is left; elsewhere all of it."""
    plain = thumbnail(jpeg(stripes()), (), MAX)
    blurred = thumbnail(jpeg(stripes()), [(0.5, 0.0, 1.0, 1.0)], MAX)
    assert contrast(plain, 0.6, 0.9) > 20
    assert contrast(blurred, 0.6, 0.9) < 0.3 * contrast(plain, 0.6, 0.9)
    assert contrast(blurred, 0.0, 0.4) == pytest.approx(contrast(plain, 0.0, 0.4), rel=0.05)


def test_other_kinds_of_pictures_are_taken_and_what_is_none_is_refused() -> None:
    """A PNG is a picture, a text isn't."""
    buffer = io.BytesIO()
    Image.fromarray(stripes(100, 50)).save(buffer, "PNG")
    assert thumbnail(buffer.getvalue(), (), MAX).shape == (50, 100, 3)
    with pytest.raises(ImageError):
        thumbnail(b"%PDF-1.7 nothing to see", (), MAX)


def test_a_sheet_has_a_place_for_each_picture() -> None:
    """Four in a row; a gone picture has its place too, and more lines need more room."""
    picture = thumbnail(jpeg(stripes()), (), MAX)
    one = opened(contact_sheet([Tile(picture, ("a",))]))
    five = opened(contact_sheet([Tile(picture, ("a",))] * 4 + [Tile(None, ("b",))]))
    more = opened(contact_sheet([Tile(picture, ("a", "b", "c"))]))
    assert one.format == five.format == "JPEG"
    assert WIDTH < one.width < 2 * WIDTH
    assert 4 * WIDTH < five.width < 5 * WIDTH
    assert 2 * HEIGHT < five.height < 3 * HEIGHT
    assert more.height > one.height


def test_a_sheet_shows_its_pictures() -> None:
    """The stripes are where the tile is; a gone picture is a plain grey."""
    picture = thumbnail(jpeg(stripes(640, 480)), (), MAX)
    shown = np.asarray(opened(contact_sheet([Tile(picture, ()), Tile(None, ())])), np.float32)
    assert shown[50:200, 20:300].std() > 20
    assert shown[100:200, WIDTH + 60 : 2 * WIDTH - 20].std() < 5


def test_long_lines_and_strange_letters_are_no_trouble() -> None:
    """A path of any length, in any script, with line breaks, is cut to the picture's width."""
    lines = ("x" * 5000, "Лиса/狐狸\n.jpg", "", "\udcff")
    assert opened(contact_sheet([Tile(None, lines)], "t" * 4000)).width < 2 * WIDTH


def test_an_empty_or_endless_sheet_is_refused() -> None:
    """Nothing can't be shown, and everything not on one sheet."""
    with pytest.raises(UsageError, match="nothing"):
        contact_sheet([])
    with pytest.raises(UsageError, match="too many"):
        contact_sheet([Tile(None, ())] * (MOST + 1))


class Drop:
    """One image on record, its file, and a person on its right half."""

    def __init__(self, folder: Path, *, blur: bool = True) -> None:
        self.file = folder / "drop" / "cam" / "a.jpg"
        self.file.parent.mkdir(parents=True)
        self.file.write_bytes(jpeg(stripes()))
        vision = {"blur_people": blur}
        self.settings = load(None, {"state": folder / "state", "vision": vision}).settings
        self.database = open_database(self.settings.state)
        self.media_id = f"sha256:{hashlib.sha256(self.file.read_bytes()).hexdigest()}"
        row = MediaRow(
            media_id=self.media_id,
            file="cam/a.jpg",
            deployment="cam",
            taken=0,
            offset_minutes=0,
            time_source="exif",
            clock_ok=True,
            size=1,
            width=800,
            height=600,
            bundle="b",
            received=0,
            snapshot="snapshots/a.jpg",
            detections=(Detected("person", Box(0.5, 0, 0.5, 1), 0.9),),
        )
        MediaStore(self.database).add(row)
        self.pictures = Thumbnails(
            self.database, self.settings, lambda name: folder / "drop" / name, self.settings.state
        )

    def keep_snapshot(self) -> None:
        """As the daemon does."""
        path = self.settings.state / "snapshots" / "a.jpg"
        path.parent.mkdir()
        path.write_bytes(jpeg(stripes(160, 120)))


def test_the_original_is_shown_with_people_blurred(tmp_path: Path) -> None:
    """By the boxes on record; only if the settings allow people are they shown."""
    picture = Drop(tmp_path / "a")
    shown = picture.pictures(picture.media_id)
    open_ = Drop(tmp_path / "b", blur=False)
    clear = open_.pictures(open_.media_id)
    assert shown is not None
    assert clear is not None
    assert contrast(shown, 0.6, 0.9) < 0.3 * contrast(clear, 0.6, 0.9)
    for drop in (picture, open_):
        drop.database.close()


def test_a_file_that_holds_another_picture_by_now_is_not_shown(tmp_path: Path) -> None:
    """The boxes of people belong to the content on record: the snapshot is shown instead, or nothing."""
    drop = Drop(tmp_path)
    drop.file.write_bytes(jpeg(stripes(400, 300)))
    assert drop.pictures(drop.media_id) is None
    drop.keep_snapshot()
    shown = drop.pictures(drop.media_id)
    assert shown is not None
    assert shown.shape == (120, 160, 3)
    drop.database.close()


def test_what_is_gone_or_unknown_is_none(tmp_path: Path) -> None:
    """A removed original, a damaged snapshot, an id that isn't on record."""
    drop = Drop(tmp_path)
    drop.keep_snapshot()
    drop.file.unlink()
    assert drop.pictures(drop.media_id) is not None
    (drop.settings.state / "snapshots" / "a.jpg").write_bytes(b"torn")
    assert drop.pictures(drop.media_id) is None
    assert drop.pictures("sha256:" + "0" * 64) is None
    drop.database.close()
