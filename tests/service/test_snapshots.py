"""Which pictures are sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge.registration import Change, Engine, MemoryRecord, Options
from edge.service.recorder import Recorded
from edge.service.snapshots import pictures
from edge.service.work import Outcome
from tests.service.outcomes import examined, seen


def _with_snapshot(state: Path, outcome: Outcome, jpeg: bytes) -> Outcome:
    assert outcome.media is not None
    name = f"{outcome.media.media_id.removeprefix('sha256:')}.jpg"
    (state / name).write_bytes(jpeg)
    return replace(outcome, media=replace(outcome.media, snapshot=name))


def _changes(*outcomes: Outcome) -> list[Change]:
    engine = Engine(Options(), MemoryRecord())
    return engine.accept([o.observation for o in outcomes if o.observation])


def test_registration_that_opens_sends_its_picture_with_most_animals(tmp_path: Path) -> None:
    """One picture for each opening, of the image in the group with the largest count."""
    one = _with_snapshot(tmp_path, seen(examined("a", 0), count=1), b"one")
    two = _with_snapshot(tmp_path, seen(examined("b", 1), count=2), b"two")
    (picture,) = pictures(tmp_path, Recorded([one, two], _changes(one, two)))
    assert (picture.deployment, picture.media_id, picture.jpeg) == ("cam", "sha256:cam-b", b"two")


def test_only_openings_send_pictures(tmp_path: Path) -> None:
    """What is updated or closed sends none; neither does an image without a snapshot."""
    first = _with_snapshot(tmp_path, seen(examined("a", 0)), b"one")
    bare = seen(examined("b", 600))
    (opened,) = _changes(first)
    changes = [replace(opened, kind="updated"), *_changes(bare)]
    assert list(pictures(tmp_path, Recorded([first, bare], changes))) == []
