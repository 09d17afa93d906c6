"""Small pictures: people are unrecognisable, the right bytes count, and what is gone is stood in for."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.errors import TooBusyError
from edge.settings import Settings, VisionSettings, WebSettings
from edge.store.browsing import picture
from edge.store.database import open_database, open_readonly
from edge.store.media import Box, Detected, MediaRow, MediaStore
from edge.testing import encode_jpeg
from edge.web.pages.render import picture_address
from edge.web.pictures import LARGE, SMALL, Pictures, version
from tests.web.record import page

Pixels = npt.NDArray[np.uint8]
PERSON = Box(0.5, 0.0, 0.5, 1.0)
"""The right half."""


def noise(width: int, height: int) -> Pixels:
    """Coarse noise: detail everywhere."""
    cells = np.random.default_rng(1).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def detail(pixels: Pixels) -> float:
    """How much neighbouring pixels differ."""
    return float(np.abs(np.diff(pixels.astype(np.int16), axis=1)).mean())


@dataclass
class Site:
    """A state folder with one picture."""

    settings: Settings
    media_id: str
    original: Path
    snapshot: Path

    def made(self, width: int = LARGE, **web: bool) -> Pixels | None:
        """The picture as it is shown; None: a placeholder."""
        settings = self.settings.model_copy(update={"web": WebSettings(**web)}) if web else self.settings
        pictures = Pictures(settings)
        found = pictures.ask(self.media_id, width).result(20)
        pictures.stop()
        if found is None:
            return None
        decoded = cv2.imdecode(np.frombuffer(found.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        return np.asarray(decoded, np.uint8)


def site(
    folder: Path,
    *,
    kind: Literal["animal", "person"] = "person",
    size: tuple[int, int] = (1600, 1200),
    blurred_snapshot: bool = True,
    orientation: int | None = None,
) -> Site:
    """One picture, in which there is one animal or person, and its snapshot."""
    data = encode_jpeg(noise(*size), orientation=orientation) if orientation else encode_jpeg(noise(*size))
    media_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
    settings = Settings(
        device="d",
        drop=folder / "drop",
        state=folder / "state",
        vision=VisionSettings(blur_people=blurred_snapshot),
        web=WebSettings(requests=100_000.0),
    )
    original, snapshot = settings.drop / "cam" / "a.JPG", settings.state / "snapshots" / "a.jpg"
    original.parent.mkdir(parents=True)
    original.write_bytes(data)
    with_database = open_database(settings.state)
    width, height = size if orientation is None else size[::-1]
    MediaStore(with_database).add(
        MediaRow(
            media_id=media_id,
            file="cam/a.JPG",
            deployment="cam",
            taken=0,
            offset_minutes=0,
            time_source="exif",
            clock_ok=True,
            size=len(data),
            width=width,
            height=height,
            bundle="b" * 64,
            received=1,
            detections=(Detected(kind, PERSON, 0.9),),
            snapshot="snapshots/a.jpg",
        )
    )
    with_database.close()
    snapshot.parent.mkdir()
    snapshot.write_bytes(encode_jpeg(noise(640, 480)))
    return Site(settings, media_id, original, snapshot)


@pytest.fixture
def person(tmp_path: Path) -> Site:
    """One with a person in its right half."""
    return site(tmp_path)


@pytest.mark.parametrize("width", [SMALL, LARGE])
def test_people_are_blurred(person: Site, width: int) -> None:
    """In the small one, which comes from the snapshot, and in the large one, from the original."""
    shown = person.made(width)
    assert shown is not None
    assert shown.shape == (width * 3 // 4, width, 3)
    left, right = shown[:, : width * 2 // 5], shown[:, width * 3 // 5 :]
    assert detail(right) < detail(left) / 4


@pytest.mark.parametrize("width", [SMALL, LARGE])
def test_people_are_shown_where_that_is_allowed(tmp_path: Path, width: int) -> None:
    """And only where both settings say so is the snapshot taken for it."""
    shown = site(tmp_path).made(width, blur_people=False)
    assert shown is not None
    assert detail(shown[:, width * 3 // 5 :]) > detail(shown[:, : width * 2 // 5]) * 0.8


def test_animals_are_not_blurred(tmp_path: Path) -> None:
    """They have nothing against it."""
    shown = site(tmp_path, kind="animal").made()
    assert shown is not None
    assert detail(shown[:, 576:]) > detail(shown[:, :384]) * 0.8


def test_an_original_that_is_gone_has_its_snapshot(person: Site) -> None:
    """In whichever width; it isn't made larger than it is."""
    person.original.unlink()
    shown = person.made()
    assert shown is not None
    assert shown.shape[:2] == (480, 640)
    assert detail(shown[:, 400:]) < detail(shown[:, :240]) / 4


def test_a_file_that_is_another_picture_now_is_not_shown(person: Site) -> None:
    """Only the bytes that were looked at count: boxes and blurring belong to them."""
    person.original.write_bytes(encode_jpeg(noise(320, 240)))
    shown = person.made()
    assert shown is not None
    assert shown.shape[:2] == (480, 640)


def test_a_copy_under_another_name_is_found(person: Site) -> None:
    """By the ledger of files."""
    database = open_database(person.settings.state)
    database.execute(
        "INSERT INTO files (folder, name, device, inode, size, mtime_ns, state, media_id, first_seen, "
        "changed) VALUES ('cam', 'b.JPG', 1, 1, 1, 1, 'duplicate', ?, 1, 1)",
        (person.media_id,),
    )
    database.close()
    person.original.rename(person.original.with_name("b.JPG"))
    shown = person.made()
    assert shown is not None
    assert shown.shape[1] == LARGE


def test_what_can_not_be_shown_is_a_placeholder(person: Site) -> None:
    """Gone, or damaged: no picture, and no error."""
    person.original.unlink()
    person.snapshot.write_bytes(b"\xff\xd8 torn")
    assert person.made() is None
    assert person.made(SMALL) is None
    person.snapshot.unlink()
    assert person.made() is None


def test_pictures_are_upright(tmp_path: Path) -> None:
    """As the camera was turned."""
    shown = site(tmp_path, size=(1600, 800), orientation=6).made()
    assert shown is not None
    assert shown.shape[:2] == (1600, 800)


def test_metadata_stays_here(person: Site) -> None:
    """Position and serial number of a camera are nobody's business."""
    pictures = Pictures(person.settings)
    found = pictures.ask(person.media_id, LARGE).result(20)
    pictures.stop()
    assert found is not None
    assert b"Exif" not in found.jpeg


def test_they_are_made_once(person: Site) -> None:
    """And kept while there is room."""
    for kept, same in ((10_000_000, True), (1, False)):
        pictures = Pictures(person.settings, kept=kept)
        small = [pictures.ask(person.media_id, SMALL).result(20)]
        small.append(pictures.ask(person.media_id, LARGE).result(20))
        small.append(pictures.ask(person.media_id, SMALL).result(20))
        pictures.stop()
        first, _, last = small
        assert first is not None
        assert last is not None
        assert (first.jpeg is last.jpeg) is same
        assert first.jpeg == last.jpeg


def test_too_many_at_once_are_refused(person: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """And those in line are made."""
    go = threading.Event()
    monkeypatch.setattr(Pictures, "_made", lambda *_: go.wait(20) and None)
    pictures = Pictures(person.settings, waiting=2)
    asked = [pictures.ask(person.media_id, SMALL) for _ in range(2)]
    with pytest.raises(TooBusyError):
        pictures.ask(person.media_id, SMALL)
    go.set()
    assert [one.result(20) for one in asked] == [None, None]
    assert pictures.ask(person.media_id, SMALL).result(20) is None
    pictures.stop()
    with pytest.raises(TooBusyError):
        pictures.ask(person.media_id, SMALL)


def test_their_address_changes_with_what_is_blurred(person: Site) -> None:
    """So that a browser that keeps a picture never shows what must be blurred by now."""
    database = open_readonly(person.settings.state)
    pictured = picture(database, person.media_id)
    database.close()
    assert pictured is not None
    assert version(pictured, blurred=True) != version(pictured, blurred=False)


@pytest.fixture
def addresses(person: Site) -> tuple[str, str]:
    """Addresses of the picture: as pages have it, and bare."""
    database = open_readonly(person.settings.state)
    pictured = picture(database, person.media_id)
    database.close()
    assert pictured is not None
    address = picture_address(pictured, SMALL, blurred=True)
    return address, address.partition("?")[0]


def test_browsers_keep_them(person: Site, addresses: tuple[str, str]) -> None:
    """For good under the address with the version; else they ask again, and nothing is sent twice."""
    steady, bare = addresses
    with page(person.settings) as browser:
        found, again = browser.get(steady), browser.get(bare)
        assert (found.status_code, found.headers["content-type"]) == (200, "image/jpeg")
        assert found.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert again.headers["cache-control"] == "private, no-cache"
        kept = browser.get(bare, headers={"If-None-Match": found.headers["etag"]})
        assert (kept.status_code, kept.content) == (304, b"")


def test_only_what_is_on_record_in_two_widths(person: Site, addresses: tuple[str, str]) -> None:
    """Everything else is 404, with a drawing in the place of the picture."""
    _, bare = addresses
    with page(person.settings) as browser:
        assert browser.get(bare.replace("320", "5000")).status_code == 404
        missing = browser.get(f"/pictures/{'0' * 64}/320.jpg")
        assert (missing.status_code, missing.headers["content-type"]) == (404, "image/svg+xml")
        assert missing.headers["cache-control"] == "no-store"
        assert browser.get("/pictures/..%2f..%2fetc/320.jpg").status_code == 404
