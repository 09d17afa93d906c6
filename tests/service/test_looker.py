"""One file to its outcome, where no model is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.intake.examine import examine
from edge.intake.types import Candidate, Examined, FileStat
from edge.service.looker import Looker
from edge.settings import IntakeSettings
from edge.testing import jpeg_bytes, torn
from edge.vision.sight import Sight

TAKEN = datetime(2026, 5, 4, 12, tzinfo=UTC)


class Blind:
    """Eyes that must not be used."""

    def see(self, data: bytes, max_pixels: int) -> Sight:
        """Nothing here is an image worth looking at."""
        raise AssertionError((len(data), max_pixels))


@pytest.fixture
def looker(tmp_path: Path) -> Looker:
    """One without models and with nothing on record."""
    return Looker(Blind(), "b" * 64, IntakeSettings(), state=tmp_path / "state", has_media=lambda _: False)


def _found(drop: Path, data: bytes) -> Examined:
    path = drop / "cam" / "a.JPG"
    path.parent.mkdir()
    path.write_bytes(data)
    return examine(Candidate(drop, "cam/a.JPG", FileStat.of(path.stat())), IntakeSettings(), 0)


def test_file_that_is_gone_is_looked_for_again(looker: Looker, tmp_path: Path) -> None:
    """It may be on a card that was pulled, or in a folder that was moved away and back."""
    file = _found(tmp_path, jpeg_bytes(32, 32, taken=TAKEN))
    file.candidate.path.unlink()
    outcome = looker.look(file)
    assert (outcome.fate.state, outcome.retry) == ("gone", file.candidate)


def test_file_that_ends_early_is_tried_again_for_a_while(looker: Looker, tmp_path: Path) -> None:
    """It may still grow, but not for ever."""
    file = _found(tmp_path, torn(jpeg_bytes(32, 32, taken=TAKEN)))
    outcome = looker.look(file)
    assert (outcome.fate.state, outcome.retry, outcome.unreadable) == ("incomplete", file.candidate, False)


def test_file_that_cannot_be_read_is_tried_until_it_can(looker: Looker, tmp_path: Path) -> None:
    """What the system refuses says nothing about the image."""
    file = _found(tmp_path, jpeg_bytes(32, 32, taken=TAKEN))
    file.candidate.path.unlink()
    file.candidate.path.symlink_to("/")
    outcome = looker.look(file)
    assert (outcome.fate.state, outcome.retry, outcome.unreadable) == ("incomplete", file.candidate, True)
