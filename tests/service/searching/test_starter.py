"""With the starter bundle's models: images through the daemon, then found by words and by pictures."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge.cli.app import app
from edge.configuration import load
from edge.demo.scenes import Figure, Place, Scene, compose
from edge.errors import ImageError, SearchError
from edge.service.searching import Desk, Wanted, class_labels
from edge.store.database import open_database, open_readonly
from edge.testing import jpeg_bytes, torn, write_jpeg
from tests.e2e.site import Site
from tests.shared import shared

MODELS = Path(__file__).resolve().parents[3] / "models" / "onnx" / "starter"
MEADOW, WOODLAND = Place("meadow"), Place("woodland")

pytestmark = pytest.mark.skipif(
    not (MODELS / "manifest.toml").is_file(), reason="the starter bundle is not built: edge export starter"
)


def search(site: Site, *arguments: str) -> list[dict[str, Any]]:
    """What ``edge search ... --json`` prints."""
    result = CliRunner().invoke(app, ["search", *arguments, "--json", "--config", str(site.config)])
    if result.exception is not None:
        raise result.exception
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Four scenes, one of them empty, taken in by the daemon."""
    site = Site(tmp_path_factory.mktemp("made")).prepare()
    scenes = {
        "jaguar": Scene(WOODLAND, (Figure("jaguar", 0.5, 0.5),)),
        "bison": Scene(MEADOW, (Figure("bison", 0.5, 0.6),)),
        "boar": Scene(MEADOW, (Figure("boar", 0.5, 0.5),)),
        "empty": Scene(WOODLAND),
    }
    for name, scene in scenes.items():
        write_jpeg(site.drop / name / f"{name}.jpg", compose(scene))
    site.run_until_idle()
    return site


@pytest.mark.parametrize("query", ["jaguar", "a bison", "wild boar"])
def test_words_find_the_animal(made: Site, query: str) -> None:
    """The scene with the animal comes before those with others and the one with none."""
    found = search(made, "text", query)
    assert len(found) == 4
    assert found[0]["deployment"] == query.rsplit(maxsplit=1)[-1]
    assert found[0]["score"] > found[1]["score"] + 0.05


def test_a_picture_finds_itself(made: Site) -> None:
    """A file that is on record comes first, all but identical to what the daemon saw."""
    for name in ("jaguar", "empty"):
        found = search(made, "image", str(made.drop / name / f"{name}.jpg"))
        assert found[0]["deployment"] == name
        assert found[0]["score"] == pytest.approx(1, abs=2e-3)


def test_a_picture_finds_the_same_animal_elsewhere(made: Site, tmp_path: Path) -> None:
    """The animal counts, not only the background: a bison in the woods finds the one in the meadow."""
    path = write_jpeg(tmp_path / "new.jpg", compose(Scene(WOODLAND, (Figure("bison", 0.4, 0.6),))))
    assert search(made, "image", str(path))[0]["deployment"] == "bison"


def test_an_animal_that_the_detector_isn_t_sure_of_is_looked_at(made: Site) -> None:
    """In a picture that somebody asks with the likeliest animal counts, if there is no other."""
    data = (made.drop / "jaguar" / "jaguar.jpg").read_bytes()
    labels = class_labels(["jaguar", "bison", "wild boar"])
    for threshold, animals in ((0.2, 1), (0.95, 0)):
        settings = load(made.config, {"vision": {"animal": threshold}}).settings
        desk = Desk(settings)
        shown = desk.classify(data, labels)
        assert (shown.top[0].label, shown.animals) == ("jaguar", animals)
        with closing(open_readonly(settings.state)) as database:
            hits = desk.searcher(database).by_picture(data, Wanted()).hits
        assert hits[0].place.deployment == "jaguar"
        desk.close()


def test_a_desk_is_asked_from_any_thread(made: Site) -> None:
    """What one thread opened others use, also at once, and all get the same answer."""
    settings = load(made.config, {}).settings
    desk = Desk(settings)

    def ask(query: str) -> list[str]:
        with closing(open_readonly(settings.state)) as database:
            return [hit.place.media_id for hit in desk.searcher(database).by_words(query, Wanted()).hits]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, ["jaguar", "a bison"] * 10))
    assert answers[::2] == [answers[0]] * 10
    assert answers[1::2] == [answers[1]] * 10
    assert answers[0] != answers[1]
    desk.close()


def test_a_desk_follows_the_database(made: Site, tmp_path: Path) -> None:
    """After another database has taken the place of the one before, its images are what is found."""
    state = tmp_path / "state"
    shutil.copytree(made.state, state)
    desk = Desk(load(made.config, {"state": state}).settings)
    with closing(open_readonly(state)) as database:
        assert len(desk.searcher(database).by_words("jaguar", Wanted()).hits) == 4
    for file in state.glob("edge.db*"):
        file.unlink()
    open_database(state).close()
    with closing(open_readonly(state)) as database, pytest.raises(SearchError, match="nothing to search"):
        desk.searcher(database).by_words("jaguar", Wanted())
    desk.close()


def test_a_media_id_answers_as_its_file_does(made: Site) -> None:
    """An image on record by its id and by its file: the same answers in the same order."""
    by_file = search(made, "image", str(made.drop / "boar" / "boar.jpg"))
    by_id = search(made, "image", by_file[0]["media_id"])
    assert [row["media_id"] for row in by_id] == [row["media_id"] for row in by_file]
    assert [row["score"] for row in by_id] == pytest.approx([row["score"] for row in by_file], abs=2e-3)


def test_a_picture_that_is_cut_off_is_refused(made: Site, tmp_path: Path) -> None:
    """Half a JPEG, and no JPEG at all, are errors that name the file."""
    path = tmp_path / "cut.jpg"
    for data in (torn(jpeg_bytes()), b"GIF89a"):
        path.write_bytes(data)
        with pytest.raises(ImageError, match=r"cut\.jpg"):
            search(made, "image", str(path))


def test_words_find_animals_in_real_trap_images(tmp_path: Path) -> None:
    """Among jaguars, owls and bears of real cameras each is found by its name."""
    images = shared("data", "trap-images")
    site = Site(tmp_path).prepare()
    for folder, pattern in (("Jaguar", "RL*.jpg"), ("BUOW", "IMG*.JPG")):
        site.copy_in(sorted((images / folder).glob(pattern)), folder)
    for name in ("9455", "8831", "8786"):
        (site.drop / f"bear-{name}").mkdir()
        shutil.copyfile(images / "ena24" / f"{name}.jpg", site.drop / f"bear-{name}" / f"{name}.jpg")
    site.run_until_idle()
    for query, folder, number in (("jaguar", "Jaguar", 5), ("bird", "BUOW", 5), ("black bear", "bear", 3)):
        found = search(site, "text", query, "--all", "--top", str(number))
        assert [row["deployment"].split("-")[0] for row in found] == [folder] * number, query
