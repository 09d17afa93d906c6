"""Images embedded anew by another bundle, while there is nothing else to do."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from edge.errors import DiskFullError, ImageError
from edge.service import reembedding
from edge.service.heartbeat import Worker
from edge.service.reembedding import AGAIN, Progress, Reembedder, Sources
from edge.service.reprocess import ATTEMPTS
from edge.store.media import Box, Embedded, add_embeddings
from edge.store.reembedding import coverage, is_complete
from edge.vision import sight
from edge.vision.sight import Embedding, Glimpse
from tests.service.corrected import Corrigible
from tests.service.outcomes import examined, seen

OLD, NEW = "b" * 64, "n" * 64
CROPS = (Box(0.1, 0.2, 0.3, 0.4), Box(0.5, 0.5, 1 / 3, 0.1))
Rows = list[tuple[object, ...]]


class KilledError(BaseException):
    """The process ends here."""


@dataclass
class Eyes:
    """They embed by an image's content and its boxes, each bundle's into numbers of its own.

    Attributes:
        number: of the bundle.
        fatal: content that ends the process.
        looked: content, in the order in which it was looked at.
    """

    number: int = 7
    fatal: bytes = b"fatal"
    looked: list[bytes] = field(default_factory=list)

    def embed(self, data: bytes, boxes: Sequence[sight.Box], max_pixels: int) -> Glimpse:
        """Whole and boxes."""
        night = self.is_night(data, max_pixels)
        whole = Embedding("image", None, self.vector(data, None))
        crops = (Embedding("crop", box, self.vector(data, box)) for box in boxes)
        return Glimpse((whole, *crops), night)

    def is_night(self, data: bytes, max_pixels: int) -> bool:
        """By its name."""
        self.looked.append(data)
        if data == self.fatal:
            raise KilledError
        if data.startswith(b"bad") or not max_pixels:
            raise ImageError("can't be decoded")
        return data.startswith(b"night")

    def vector(self, data: bytes, box: sight.Box | None) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
        """Four numbers."""
        digest = hashlib.sha256(data + repr(box).encode()).digest()
        return np.array([self.number, *digest[:3]], np.float16)


@dataclass
class Bench:
    """A daemon's desk with files and eyes."""

    desk: Corrigible
    drop: Path
    eyes: Eyes = field(default_factory=Eyes)
    now: float = 0.0

    def reembedder(self, bundle: str = NEW) -> Reembedder:
        """As a daemon that was just started with a bundle has it."""
        sources = Sources(self.eyes, f"bundle {bundle[0]}", bundle, self.drop, 10**6)
        return Reembedder(self.desk.database, sources, clock=lambda: self.now)

    def run(self, bundle: str = NEW) -> Reembedder:
        """Until there is nothing more to do at once."""
        reembedder = self.reembedder(bundle)
        while reembedder.step():
            pass
        return reembedder

    def image(self, name: str, bundle: str = OLD, *, crops: int = 2) -> str:
        """A file that a bundle has looked at; returns its id."""
        data = name.encode()
        path = self.drop / "cam" / f"{name}.JPG"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        media_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
        number = int(bundle == NEW)
        vectors = tuple(
            Embedded("crop" if i else "image", bytes([number, i] * 4), CROPS[i - 1] if i else None)
            for i in range(crops + 1)
        )
        outcome = seen(examined(name, 0.0), media_id=media_id)
        assert outcome.media is not None
        night = False if bundle == NEW else None
        media = replace(outcome.media, size=len(data), bundle=bundle, embeddings=vectors, night=night)
        self.desk.record(replace(outcome, media=media), close=True)
        return media_id

    def vectors(self, media_id: str, bundle: str = NEW) -> Rows:
        """What is on record of an image by a bundle."""
        return self.desk.database.execute(
            "SELECT ordinal, kind, box, vector FROM embeddings WHERE media_id = ? AND bundle = ? "
            "ORDER BY ordinal",
            (media_id, bundle),
        )

    def nights(self) -> Rows:
        """Images by name of their files, and what is known of their light."""
        return self.desk.database.execute("SELECT file, night FROM media ORDER BY file")

    def all_by(self, bundle: str) -> bool:
        """Whether every vector is of this bundle, and every image has some."""
        rows = self.desk.database.execute("SELECT DISTINCT bundle FROM embeddings")
        return rows == [(bundle,)] and coverage(self.desk.database, bundle).embedded == len(self.nights())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty one."""
    (tmp_path / "drop").mkdir()
    return Bench(Corrigible.at(tmp_path / "state"), tmp_path / "drop")


def test_whole_images_and_their_crops_are_embedded_anew(bench: Bench) -> None:
    """The boxes are those on record, to the last digit; the old vectors are gone at the end."""
    first, second = bench.image("a"), bench.image("night", crops=0)
    reembedder = bench.run()
    rows = bench.vectors(first)
    assert [row[:2] for row in rows] == [(0, "image"), (1, "crop"), (2, "crop")]
    boxes = [None, *(sight.Box(*box) for box in CROPS)]
    assert [row[3] for row in rows] == [bench.eyes.vector(b"a", box).tobytes() for box in boxes]
    assert len(bench.vectors(second)) == 1
    assert bench.all_by(NEW)
    assert bench.nights() == [("cam/a.JPG", 0), ("cam/night.JPG", 1)]
    assert reembedder.progress == Progress(2, 2, 0, running=False)
    assert is_complete(bench.desk.database, NEW)


def test_what_is_in_the_images_stays_as_it_is(bench: Bench) -> None:
    """Nothing is detected, named or told again: labels, boxes, registrations and messages are the same."""
    bench.image("a")

    def record() -> list[Rows]:
        sql = ("SELECT media_id, detections, bundle FROM media", "SELECT * FROM observations")
        rows = [bench.desk.database.execute(one) for one in sql]
        return [*rows, bench.desk.database.execute("SELECT * FROM registrations")]

    before, messages = record(), bench.desk.messages()
    bench.run()
    assert record() == before
    assert bench.desk.messages() == messages


def test_search_has_one_whole_space_all_the_time(bench: Bench) -> None:
    """Until the last image is embedded, every old vector is there; only then the old ones go."""
    ids = [bench.image(f"i{n}") for n in range(5)]
    reembedder = bench.reembedder()
    more = True
    while more:
        more = reembedder.step()
        whole = [all(bench.vectors(media_id, bundle) for media_id in ids) for bundle in (OLD, NEW)]
        assert any(whole)
        assert whole[0] or is_complete(bench.desk.database, NEW)
    assert bench.all_by(NEW)


def test_nothing_is_done_where_one_bundle_has_seen_everything(bench: Bench) -> None:
    """Not even looked for after a restart: it is on record that all is done."""
    bench.image("a", NEW)
    assert bench.run().progress is None
    assert bench.eyes.looked == []
    assert not bench.reembedder().step()


def test_progress_is_told_as_it_goes(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """After each image; begin and end are in the log."""
    for n in range(4):
        bench.image(f"i{n}")
    caplog.set_level(logging.INFO, "edge")
    reembedder, told = bench.reembedder(), []
    while reembedder.step():
        if reembedder.progress not in told:
            told.append(reembedder.progress)
    assert told == [None, *(Progress(4, n, 0, running=n < 4) for n in range(5))][1:]
    assert "4 of 4 images aren't embedded by bundle n yet" in caplog.text
    assert "4 images were embedded by bundle n" in caplog.text
    assert "12 old vectors were removed" in caplog.text


def test_it_goes_on_where_it_was_stopped(bench: Bench) -> None:
    """Each image is embedded once, however often the process ends in between."""
    for n in range(6):
        bench.image(f"i{n}")
    for _ in range(20):
        reembedder = bench.reembedder()
        for _ in range(3):  # turns the page, embeds two
            reembedder.step()
    assert sorted(bench.eyes.looked) == [b"i%d" % n for n in range(6)]
    bench.run()
    assert bench.all_by(NEW)


def test_back_to_the_old_bundle_half_way(bench: Bench) -> None:
    """What it had embedded is still there; only what came meanwhile is embedded, and the other's go."""
    ids = [bench.image(f"i{n}") for n in range(4)]
    reembedder = bench.reembedder()
    for _ in range(4):
        reembedder.step()
    before = [bench.vectors(media_id, OLD) for media_id in ids]
    bench.image("meanwhile", NEW)
    assert not is_complete(bench.desk.database, OLD)
    embedded = len(bench.eyes.looked)
    bench.eyes.number = 1
    bench.run(OLD)
    assert bench.eyes.looked.count(b"meanwhile") == 1
    assert len(bench.eyes.looked) - embedded == 1 + 1  # and the light of the one that nobody had looked at
    assert bench.all_by(OLD)
    assert [bench.vectors(media_id, OLD) for media_id in ids] == before


def test_being_done_is_forgotten_when_another_bundle_takes_over(bench: Bench) -> None:
    """Otherwise images that came under the other would be missing from search for good."""
    bench.image("a", NEW)
    bench.run(NEW)
    bench.reembedder(OLD)  # started, and stopped before it came to anything
    bench.image("b", OLD)
    assert not is_complete(bench.desk.database, NEW)
    bench.run(NEW)
    assert bench.all_by(NEW)


@pytest.mark.parametrize("change", ["gone", "other content", "undecodable"])
def test_images_that_cannot_be_embedded_keep_their_old_vectors(bench: Bench, change: str) -> None:
    """They are counted, and done counts as done without them."""
    lost, kept = bench.image("bad" if change == "undecodable" else "lost"), bench.image("kept")
    path = bench.drop / "cam" / "lost.JPG"
    if change == "gone":
        path.unlink()
    elif change == "other content":
        path.write_bytes(b"LOST")
    reembedder = bench.run()
    assert reembedder.progress == Progress(2, 1, 1, running=False)
    assert (len(bench.vectors(lost, OLD)), bench.vectors(lost, NEW)) == (3, [])
    assert (bench.vectors(kept, OLD), len(bench.vectors(kept, NEW))) == ([], 3)
    stand = coverage(bench.desk.database, NEW)
    assert (stand.images, stand.embedded, stand.unreachable, stand.complete) == (2, 1, 1, True)


def test_originals_that_come_back_are_embedded(bench: Bench) -> None:
    """A card that was away, a day later or at the next start."""
    media_id = bench.image("card")
    path = bench.drop / "cam" / "card.JPG"
    path.rename(bench.drop / "away")
    reembedder = bench.run()
    (bench.drop / "away").rename(path)
    assert not reembedder.step()
    bench.now = AGAIN
    while reembedder.step():
        pass
    assert len(bench.vectors(media_id)) == 3
    assert bench.all_by(NEW)
    assert reembedder.progress == Progress(1, 1, 0, running=False)


def test_copy_elsewhere_is_as_good(bench: Bench) -> None:
    """The original is gone, a second file with its content is on record."""
    media_id = bench.image("a")
    (bench.drop / "cam" / "a.JPG").rename(bench.drop / "cam" / "b.JPG")
    bench.desk.database.execute(
        "INSERT INTO files (folder, name, device, inode, size, mtime_ns, state, media_id, first_seen, "
        "changed) VALUES ('cam', 'b.JPG', 1, 1, 1, 1, 'duplicate', ?, 1, 1)",
        (media_id,),
    )
    bench.run()
    assert bench.all_by(NEW)


def test_drop_folder_that_is_away_says_nothing_of_its_files(bench: Bench) -> None:
    """A disk that isn't mounted: nobody concludes that all originals are gone."""
    bench.image("a")
    bench.drop.rename(bench.drop.with_name("unmounted"))
    reembedder = bench.reembedder()
    assert not reembedder.step()
    assert reembedder.progress is None
    bench.drop.with_name("unmounted").rename(bench.drop)
    while reembedder.step():
        pass
    assert bench.all_by(NEW)


def test_image_that_ends_the_process_is_given_up(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """After so many processes, not within one; the others are embedded, and so is it by another bundle."""
    bench.image("fatal")
    bench.image("good")
    for _ in range(ATTEMPTS):
        reembedder = bench.reembedder()
        with pytest.raises(KilledError):
            while reembedder.step():
                pass
    assert bench.run().progress == Progress(2, 1, 1, running=False)
    assert bench.eyes.looked.count(b"fatal") == ATTEMPTS
    assert "ended the process" in caplog.text
    assert bench.run().progress == Progress(2, 1, 1, running=False)
    assert bench.eyes.looked.count(b"fatal") == ATTEMPTS
    bench.eyes.fatal = b""
    bench.run("c" * 64)
    assert bench.all_by("c" * 64)


def test_full_disk_costs_no_image_its_turn(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be committed is tried again, and no attempt is counted for it."""
    media_id = bench.image("a")
    reembedder = bench.reembedder()
    real, full = reembedder._store.keep, [True] * 5

    def keep(media_id: str, vectors: Sequence[Embedded], *, night: bool) -> bool:
        if full:
            full.pop()
            raise DiskFullError("disk is full")
        return real(media_id, vectors, night=night)

    monkeypatch.setattr(reembedder._store, "keep", keep)
    more = True
    while more:
        try:
            more = reembedder.step()
        except DiskFullError:
            assert reembedder._store.attempts(media_id) == 1
    assert bench.all_by(NEW)


def test_image_looked_at_again_meanwhile_keeps_what_was_seen_last(bench: Bench) -> None:
    """Its boxes are newer than those that embedding again began with."""
    media_id = bench.image("a")
    reembedder = bench.reembedder()
    reembedder.step()
    newer = [Embedded("image", b"newer000")]
    with bench.desk.database.transaction():
        add_embeddings(bench.desk.database, media_id, NEW, newer)
    while reembedder.step():
        pass
    assert [row[3] for row in bench.vectors(media_id)] == [b"newer000"]
    assert bench.all_by(NEW)


def test_light_of_images_on_record_is_found_out(bench: Bench) -> None:
    """After an upgrade nobody has looked: no model is needed for it, and the vectors stay."""
    media_id = bench.image("night")
    rows = bench.vectors(media_id, OLD)
    assert bench.run(OLD).progress is None
    assert bench.nights() == [("cam/night.JPG", 1)]
    assert bench.vectors(media_id, OLD) == rows


def test_many_pages(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """More images than are looked through, and cleared, at a time; all received in one moment."""
    monkeypatch.setattr(reembedding, "PAGE", 3)
    monkeypatch.setattr(reembedding, "CLEARED", 2)
    for n in range(11):
        bench.image(f"i{n}", NEW if n % 4 == 0 else OLD)
    bench.run()
    assert bench.all_by(NEW)
    assert len(bench.eyes.looked) == 8


def test_new_images_come_first(bench: Bench) -> None:
    """While somebody waits nothing is embedded; it goes on afterwards, and ends when it is told to."""
    bench.image("a")
    waiting, asked, stop = [True] * 3, [0], threading.Event()

    def busy() -> bool:
        asked[0] += 1
        if waiting:
            assert not bench.eyes.looked
            waiting.pop()
            return True
        if bench.all_by(NEW):
            stop.set()
        return False

    worker = Worker("reembedder", reembedding.reembedding(bench.reembedder(), busy, stop))
    worker.start()
    worker.join(60)
    assert worker.failure is None
    assert not worker.is_alive()
    assert not waiting
    assert bench.eyes.looked == [b"a"]
