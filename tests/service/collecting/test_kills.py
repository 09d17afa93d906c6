"""Killed while it works, an indexing goes on as if nothing had been."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.service.searching import Desk, Wanted
from tests.service.collecting.killing import fill, finish, is_sound, kill_again_and_again
from tests.service.collecting.shelf import Shelf, picture


@pytest.mark.parametrize(
    ("kills", "pictures"),
    [
        pytest.param(3, 400, id="3"),
        pytest.param(20, 3000, id="20", marks=[pytest.mark.faults, pytest.mark.timeout(600)]),
    ],
)
def test_the_result_is_that_of_an_undisturbed_run(tmp_path: Path, kills: int, pictures: int) -> None:
    """Record and answers are equal, no attempt is held against a file, and no file was left out."""
    killed = Shelf.at(tmp_path)
    state = killed.settings.model_copy(update={"state": tmp_path / "calm"})
    calm = Shelf(killed.root, state)
    fill(killed, pictures)
    calm.run()
    settled = kill_again_and_again(killed, kills, pictures, seed=kills)
    assert settled == sorted(settled)
    assert 0 < settled[0] < settled[-1] < pictures
    finish(killed)
    assert is_sound(killed)
    assert killed.tables() == calm.tables()
    assert killed.run().looked == 0
    assert _answers(killed) == _answers(calm)


def _answers(shelf: Shelf) -> list[tuple[str, float]]:
    with shelf.open() as collection:
        desk = Desk(shelf.settings, collection.folder)
        try:
            answer = desk.searcher(collection.database).by_picture(picture(3), Wanted(top=50, every=True))
        finally:
            desk.close()
    return [(hit.place.media_id, hit.score) for hit in answer.hits]
