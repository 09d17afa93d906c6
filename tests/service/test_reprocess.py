"""Images looked at once more."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from edge.delivery.messages import BundleRef
from edge.errors import DiskFullError, ImageError
from edge.service.heartbeat import Worker
from edge.service.relabel import relabel
from edge.service.reprocess import ATTEMPTS, Optician, Reprocessor, reprocessing
from edge.store.corrections import Corrections
from edge.store.names import remember_bundle
from edge.store.outbox import Outbox
from edge.store.requests import Reprocessing, Which
from edge.vision.sight import Box, Detection, Embedding, Sight, Timings
from tests.service.corrected import Corrigible
from tests.service.outcomes import examined, seen

NEW = "n" * 64


def _sight(label: str | None, count: int, snapshot: bytes | None = None) -> Sight:
    boxes = tuple(Detection("animal", Box(0.1, 0.2, 0.3, 0.4), 0.9, label, 0.9) for _ in range(count))
    vector = Embedding("image", None, np.zeros(4, np.float16))
    return Sight(640, 480, boxes, label, 900_000, count, (), (vector,), snapshot, Timings(0, 0, 0, 0))


@dataclass
class Eyes:
    """They see what they are told to."""

    sight: Sight = field(default_factory=lambda: _sight("Badger", 1))
    seen: int = 0

    def see(self, data: bytes, max_pixels: int) -> Sight:
        """One image."""
        self.seen += 1
        if data == b"bad" or not max_pixels:
            raise ImageError("can't be decoded")
        return self.sight


@dataclass
class Bench:
    """A daemon's desk with files and eyes."""

    desk: Corrigible
    drop: Path
    eyes: Eyes = field(default_factory=Eyes)

    def reprocessor(self) -> Reprocessor:
        """As a daemon that was just started has it."""
        about = BundleRef(name="new", sha256=NEW)
        return Reprocessor(
            self.desk.database, Optician(self.eyes, about, self.drop, self.drop / "state", 10**6)
        )

    def image(self, name: str, minute: float = 0.0, data: bytes = b"", *, label: str = "Red_Fox") -> str:
        """A file that was looked at before; returns its id."""
        data = data or name.encode()
        path = self.drop / "cam" / f"{name}.JPG"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        media_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
        outcome = seen(examined(name, minute), label, media_id=media_id)
        assert outcome.media is not None
        media = replace(outcome.media, size=len(data))
        self.desk.record(replace(outcome, media=media), close=True)
        return media_id

    def queue(self, media_id: str) -> None:
        """Put it in line."""
        Reprocessing(self.desk.database).add(Which(media_id))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty one."""
    (tmp_path / "drop").mkdir()
    desk = Corrigible.at(tmp_path / "state")
    remember_bundle(desk.database, NEW, "new")  # as a daemon does at its start
    return Bench(desk, tmp_path / "drop")


def test_what_is_seen_now_takes_the_place_of_what_was_seen(bench: Bench) -> None:
    """The registration is corrected, names the new bundle, and the record agrees with the rules."""
    media_id = bench.image("a")
    bench.queue(media_id)
    assert bench.reprocessor().step() == 1
    last = bench.desk.messages()[-1]
    assert (last.change, last.label, last.bundle.sha256) == ("corrected", "Badger", NEW)
    assert bench.desk.database.one("SELECT bundle FROM media") == (NEW,)
    vectors = bench.desk.database.execute("SELECT bundle, LENGTH(vector) FROM embeddings ORDER BY id")
    assert vectors[-1] == (NEW, 8)
    assert Reprocessing(bench.desk.database).waiting() == 0
    bench.desk.check()
    assert bench.reprocessor().step() is None


def test_looking_again_without_news_says_nothing(bench: Bench) -> None:
    """The same sight twice makes no message the second time."""
    media_id = bench.image("a")
    for messages in (1, 0):
        bench.queue(media_id)
        assert bench.reprocessor().step() == messages


def test_animal_that_is_gone_is_retracted_and_one_that_is_new_opens(bench: Bench) -> None:
    """In both directions, and the image is blank in between."""
    media_id = bench.image("a")
    bench.eyes.sight = _sight(None, 0)
    bench.queue(media_id)
    bench.reprocessor().step()
    assert bench.desk.changes()[-1] == ("retracted", "Red_Fox")
    assert bench.desk.database.execute("SELECT kind FROM observations") == [("blank",)]
    bench.eyes.sight = _sight("Badger", 2)
    bench.queue(media_id)
    bench.reprocessor().step()
    assert [label for _, label in bench.desk.changes()[-2:]] == ["Badger", "Badger"]
    assert bench.desk.database.execute("SELECT kind, count FROM observations") == [("animal", 2)]
    bench.desk.check()


def test_person_s_word_stays(bench: Bench) -> None:
    """What the models say now is kept beside it."""
    media_id = bench.image("a")
    relabel(bench.desk.database, media_id, "Wild_Boar", 3)
    bench.queue(media_id)
    bench.reprocessor().step()
    review = Corrections(bench.desk.database).review(media_id)
    assert review is not None
    assert (review.label, review.count, review.machine_label, review.machine_count) == (
        "Wild_Boar",
        3,
        "Badger",
        1,
    )
    assert [o.label for o in bench.desk.observations()] == ["Wild_Boar"]
    bench.desk.check()


def test_file_under_another_name_will_do(bench: Bench) -> None:
    """A copy that was found is as good; where no file is left, what is on record stays."""
    media_id = bench.image("a", data=b"same")
    (bench.drop / "cam" / "a.JPG").rename(bench.drop / "cam" / "b.JPG")
    bench.queue(media_id)
    assert bench.reprocessor().step() == 0
    assert bench.eyes.seen == 0
    bench.desk.record(seen(examined("b", 0), media_id=media_id))
    bench.queue(media_id)
    assert bench.reprocessor().step() == 1
    assert bench.desk.changes()[-1] == ("corrected", "Badger")


def test_file_with_other_content_is_not_looked_at(bench: Bench) -> None:
    """What stands under the name now is another image."""
    media_id = bench.image("a", data=b"old")
    (bench.drop / "cam" / "a.JPG").write_bytes(b"new")
    bench.queue(media_id)
    assert (bench.reprocessor().step(), bench.eyes.seen) == (0, 0)
    assert Reprocessing(bench.desk.database).waiting() == 0


def test_image_that_cannot_be_decoded_any_more_keeps_what_it_has(bench: Bench) -> None:
    """One bad image doesn't hold up the line."""
    media_id = bench.image("a", data=b"bad")
    bench.queue(media_id)
    assert bench.reprocessor().step() == 0
    assert [o.label for o in bench.desk.observations()] == ["Red_Fox"]
    assert Reprocessing(bench.desk.database).waiting() == 0


def test_image_that_ended_the_process_thrice_is_left_alone(bench: Bench) -> None:
    """An attempt is noted before the image is touched, once for each process."""
    media_id = bench.image("a")
    bench.queue(media_id)
    line = Reprocessing(bench.desk.database)

    def die(data: bytes, max_pixels: int) -> Sight:
        raise SystemError((len(data), max_pixels))

    bench.eyes.see = die  # type: ignore[method-assign]
    for _ in range(ATTEMPTS):
        reprocessor = bench.reprocessor()
        for _ in range(2):
            with pytest.raises(SystemError):
                reprocessor.step()
    assert bench.reprocessor().step() == 0
    assert line.waiting() == 0


def test_new_images_come_first_and_a_full_disk_costs_only_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is looked at again while images wait; without space the image stays in line."""
    monkeypatch.setattr("edge.service.reprocess.REST", 0.01)
    monkeypatch.setattr("edge.service.reprocess.FULL", 0.01)
    bench.queue(bench.image("a"))
    reprocessor, stop, woken = bench.reprocessor(), threading.Event(), list[int]()
    busy = iter([True, True, True])
    full = iter([True, True])
    step = reprocessor.step

    def sometimes() -> int | None:
        assert next(busy, None) is None
        if next(full, False):
            raise DiskFullError("disk is full")
        result = step()
        if result is None:
            stop.set()
        return result

    monkeypatch.setattr(reprocessor, "step", sometimes)
    loop = reprocessing(
        reprocessor,
        lambda: next(busy, False),
        stop,
        after=lambda: woken.append(Outbox(bench.desk.database).head()),
    )
    worker = Worker("reprocessor", loop)
    worker.start()
    worker.join(60)
    assert worker.failure is None
    assert len(woken) == 1
    assert bench.desk.changes()[-1] == ("corrected", "Badger")
