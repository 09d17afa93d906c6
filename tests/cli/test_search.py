"""``edge search`` as it is called, on a database whose bundle has no models: only its manifest is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import tomli_w
from PIL import Image
from typer.testing import CliRunner, Result

from edge.cli.app import app
from edge.errors import BundleError, ConfigError, ImageError, SearchError, StoreError, UsageError
from edge.vision.manifest import bundle_sha256
from tests.search.build import OTHER_BUNDLE, Site, media_id, names, two_cameras, unit

NO_FILE = "0" * 64


def manifest(dimension: int) -> dict[str, Any]:
    """What a bundle of this dimension says of itself; its files are missing."""
    picture = {"name": "x", "width": 8, "height": 8, "layout": "NHWC", "dtype": "uint8"}
    graph = {"sha256": NO_FILE, "opset": 20, "precision": "fp32"}
    return {
        "name": "paper",
        "version": "1",
        "license": "Apache-2.0",
        "sources": [],
        "detector": {
            **graph,
            "file": "detector.onnx",
            "input": picture,
            "decoder": "boxes",
            "outputs": {"boxes": "boxes", "scores": "scores"},
            "classes": ["animal"],
            "class_map": {"animal": "animal"},
            "thresholds": {"animal": 0.2, "person": 0.3, "vehicle": 0.3, "iou": 0.5},
        },
        "visual": {
            **graph,
            "file": "visual.onnx",
            "input": picture,
            "output": "embedding",
            "dimension": dimension,
            "logit_scale": 30.0,
        },
        "text": {
            **graph,
            "file": "text.onnx",
            "ids": "ids",
            "mask": "mask",
            "output": "embedding",
            "tokenizer_sha256": NO_FILE,
            "max_tokens": 16,
        },
        "golden": {"sha256": NO_FILE, "min_cosine": {"detector": 0.9, "visual": 0.9, "text": 0.9}},
    }


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    """A bundle's folder with nothing but its manifest."""
    folder = tmp_path / "paper"
    folder.mkdir()
    (folder / "manifest.toml").write_text(tomli_w.dumps(manifest(3)))
    return folder


@pytest.fixture
def site(tmp_path: Path, paper: Path) -> Iterator[Site]:
    """Two cameras' images and registrations, embedded by the bundle."""
    found = two_cameras(tmp_path / "state")
    sha256 = bundle_sha256(paper)
    with found.db.transaction():
        found.db.execute("INSERT INTO bundles VALUES (?, 'paper')", (sha256,))
        found.db.execute("UPDATE embeddings SET bundle = ?", (sha256,))
        found.db.execute("UPDATE media SET bundle = ?", (sha256,))
    yield found
    found.db.close()


def search(site: Site, paper: Path, *arguments: str) -> Result:
    """Call the command on a site with the bundle."""
    where = ("--state", str(site.state), "--bundle", str(paper))
    return CliRunner().invoke(app, ["search", *arguments, *where])


def rows(result: Result) -> list[dict[str, Any]]:
    """What it printed with ``--json``."""
    assert result.exception is None, result.exception
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_json_is_an_array_of_objects_best_first(site: Site, paper: Path) -> None:
    """Every answer has the documented fields; times are the camera's own, with their offset."""
    found = rows(search(site, paper, "image", media_id("f4"), "--json"))
    assert found[0] == {
        "file": "cam-2/f4.jpg",
        "score": pytest.approx(1, abs=1e-3),
        "media_id": media_id("f4"),
        "deployment": "cam-2",
        "taken": "1970-01-01T02:04:00.000+02:00",
        "label": "Fox",
        "registration_id": "r-fox-2",
    }
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)


def test_an_image_outside_of_registrations_has_no_label(site: Site, paper: Path) -> None:
    """Label and registration are null where there are none."""
    (found,) = rows(search(site, paper, "image", media_id("e1"), "--top", "1", "--json"))
    assert (found["file"], found["label"], found["registration_id"]) == ("cam-1/e1.jpg", None, None)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), {"f1", "f4", "b1", "e1", "e2"}),
        (("--all",), {"f1", "f2", "f3", "f4", "b1", "e1", "e2"}),
        (("--all", "--deployment", "cam-1", "--label", "Fox"), {"f1", "f2", "f3"}),
        (("--all", "--from", "1970-01-01T00:05:00", "--to", "1970-01-01T00:09:00"), {"f2", "e1"}),
        (("--top", "1"), {"f1"}),
        (("--label", "Wolf"), set()),
    ],
)
def test_options_choose_the_answers(
    site: Site, paper: Path, options: tuple[str, ...], expected: set[str]
) -> None:
    """Camera, label, times, number and grouping come from the command line."""
    found = rows(search(site, paper, "image", media_id("f1"), "--json", *options))
    assert set(names([row["file"] for row in found])) == expected


def test_times_are_the_chosen_camera_s(site: Site, paper: Path, tmp_path: Path) -> None:
    """Who names a camera means its clock; the last moment of the span is not in it."""
    config = tmp_path / "zones.toml"
    config.write_text('[intake.deployments.cam-1]\ntimezone = "Asia/Tokyo"\n')
    asked = ("image", media_id("b1"), "--json", "--all", "--config", str(config), "--deployment", "cam-1")
    (taken,) = {row["taken"] for row in rows(search(site, paper, *asked)) if "b1" in row["file"]}
    tokyo = datetime.fromisoformat(taken).astimezone(ZoneInfo("Asia/Tokyo")).replace(tzinfo=None).isoformat()
    later = names([row["file"] for row in rows(search(site, paper, *asked, "--from", tokyo))])
    before = names([row["file"] for row in rows(search(site, paper, *asked, "--to", tokyo))])
    everything = names([row["file"] for row in rows(search(site, paper, *asked))])
    assert "b1" in later
    assert "b1" not in before
    assert sorted([*later, *before]) == sorted(everything)


def test_the_table_names_files_and_labels(site: Site, paper: Path) -> None:
    """Without --json people get a table, the best on top."""
    lines = search(site, paper, "image", media_id("b1")).stdout.splitlines()
    assert lines[0].split() == ["score", "file", "deployment", "taken", "label"]
    assert lines[1].split() == ["1.000", "cam-1/b1.jpg", "cam-1", "1970-01-01", "03:30:00", "Badger"]


def test_tells_of_images_that_could_not_be_compared(site: Site, paper: Path) -> None:
    """Images of other models are told on standard error; standard output stays JSON."""
    site.image("x", unit(1, 0, 0), minute=999, bundle=OTHER_BUNDLE)
    result = search(site, paper, "image", media_id("f1"), "--json")
    assert "x" not in names([row["file"] for row in rows(result)])
    assert "1 images were embedded by other models" in " ".join(result.stderr.split())


def failing(result: Result, kind: type[BaseException]) -> str:
    """The error with which the command ended."""
    assert isinstance(result.exception, kind), result.exception
    assert result.stdout == ""
    return str(result.exception)


def test_errors_say_what_is_wrong(site: Site, paper: Path, tmp_path: Path) -> None:
    """A bad time, an unknown image, a missing picture, a missing bundle: each has its own error."""
    unknown = media_id("nothing")
    assert unknown in failing(search(site, paper, "image", unknown), SearchError)
    assert "none.jpg" in failing(search(site, paper, "image", str(tmp_path / "none.jpg")), UsageError)
    assert "not a time" in failing(search(site, paper, "text", "fox", "--from", "soon"), UsageError)
    turned = search(site, paper, "text", "fox", "--from", "2026-05-05", "--to", "2026-05-05")
    assert "nothing lies between --from and --to" in failing(turned, UsageError)
    assert "no such model bundle" in failing(search(site, Path("nowhere"), "text", "fox"), BundleError)


@pytest.mark.parametrize(
    "arguments",
    [
        ("text", "f\udcffx"),
        ("image", "sha256:\udcff"),
        ("image", media_id("f1"), "--deployment", "\udcff"),
        ("image", media_id("f1"), "--label", "\udcff"),
    ],
)
def test_bytes_that_are_no_text_are_a_mistake(site: Site, paper: Path, arguments: tuple[str, ...]) -> None:
    """As a shell of another encoding gives them: no traceback, no talk of the tokenizer."""
    assert "text" in failing(search(site, paper, *arguments), UsageError)


def test_an_image_is_needed_before_a_model_is(site: Site, paper: Path) -> None:
    """With an empty database the error is that, not that the bundle's text model is missing."""
    site.db.execute("DELETE FROM embeddings")
    message = failing(search(site, paper, "text", "fox"), SearchError)
    assert "nothing to search yet" in message


def test_a_folder_without_a_database_is_named(paper: Path, tmp_path: Path) -> None:
    """A wrong --state says which file it looked for."""
    result = CliRunner().invoke(
        app, ["search", "text", "fox", "--state", str(tmp_path / "none"), "--bundle", str(paper)]
    )
    assert "edge.db" in failing(result, StoreError)


def test_a_configuration_that_is_missing_is_named(tmp_path: Path) -> None:
    """A wrong --config is an error of its own."""
    result = CliRunner().invoke(app, ["search", "text", "fox", "--config", str(tmp_path / "none.toml")])
    assert "none.toml" in failing(result, ConfigError)


def test_top_is_at_least_one(site: Site, paper: Path) -> None:
    """No answers is no question."""
    assert search(site, paper, "text", "fox", "--top", "0").exit_code == 2


def test_night_and_day_are_filters(site: Site, paper: Path) -> None:
    """Only pictures that are known to be the one or the other."""
    site.db.execute("UPDATE media SET clock_ok = 0")  # so that the hour says nothing
    site.db.execute("UPDATE media SET night = 1 WHERE media_id = ?", (media_id("f1"),))
    site.db.execute("UPDATE media SET night = 0 WHERE media_id = ?", (media_id("f2"),))
    for option, expected in (("--night", {"f1"}), ("--day", {"f2"})):
        found = rows(search(site, paper, "image", media_id("b1"), "--all", "--json", option))
        assert set(names([row["file"] for row in found])) == expected


def test_several_images_on_record_are_one_question(site: Site, paper: Path) -> None:
    """What is like any of them comes first; they are among the answers themselves."""
    found = rows(search(site, paper, "image", media_id("b1"), media_id("f4"), "--top", "2", "--json"))
    assert set(names([row["file"] for row in found])) == {"b1", "f4"}


def test_a_sheet_is_written_beside_the_answer(site: Site, paper: Path, tmp_path: Path) -> None:
    """The answer is on standard output as always; pictures that are gone have a place on the sheet too."""
    sheet = tmp_path / "sheet.jpg"
    found = rows(search(site, paper, "image", media_id("f1"), "--json", "--sheet", str(sheet)))
    assert len(found) == 5
    with Image.open(sheet) as picture:
        assert picture.format == "JPEG"
        assert picture.width > 4 * 320


def test_an_empty_answer_makes_no_sheet(site: Site, paper: Path, tmp_path: Path) -> None:
    """And says so, on standard error."""
    sheet = tmp_path / "sheet.jpg"
    result = search(site, paper, "image", media_id("f1"), "--label", "Wolf", "--json", "--sheet", str(sheet))
    assert rows(result) == []
    assert "was not written" in " ".join(result.stderr.split())
    assert not sheet.exists()


def test_pictures_that_can_t_be_used_are_named(site: Site, paper: Path, tmp_path: Path) -> None:
    """Which of several it is, before any model is opened."""
    (tmp_path / "bad.png").write_bytes(b"%PDF-1.4")
    (tmp_path / "large.jpg").touch()
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    for name, message in (("bad.png", "not a picture"), ("large.jpg", "larger than allowed")):
        result = search(site, paper, "image", media_id("f1"), str(tmp_path / name))
        assert name in failing(result, ImageError)
        assert message in str(result.exception)
    assert "is not a file" in failing(search(site, paper, "image", str(tmp_path)), UsageError)


def test_a_collection_is_searched_in_its_place(site: Site, paper: Path) -> None:
    """With --collection its database is asked, by the same rules; one that isn't there is named."""
    pictures = Site(site.state / "collections" / "sights")
    pictures.db.remember("collection_root", (site.state / "pictures").as_uri())
    pictures.image("castle", unit(1, 0, 0), animal="", bundle=bundle_sha256(paper))
    pictures.db.close()
    found = rows(search(site, paper, "image", media_id("castle"), "--collection", "sights", "--json"))
    assert names([row["file"] for row in found]) == ["castle"]
    missing = search(site, paper, "image", media_id("castle"), "--collection", "sight")
    assert "there are: sights" in failing(missing, SearchError)


def test_an_empty_collection_says_what_fills_it(site: Site, paper: Path) -> None:
    """Which is not the daemon."""
    empty = Site(site.state / "collections" / "sights")
    empty.db.remember("collection_root", (site.state / "pictures").as_uri())
    empty.db.close()
    said = failing(search(site, paper, "text", "castle", "--collection", "sights"), SearchError)
    assert "edge index" in said
    assert "edge run" not in said


@pytest.mark.parametrize("whole", [True, False])
def test_people_that_nobody_looked_for_are_told_of(
    site: Site, paper: Path, tmp_path: Path, *, whole: bool
) -> None:
    """A collection of whole pictures has no boxes to blur: who makes a sheet of it is told."""
    pictures = Site(site.state / "collections" / "sights")
    pictures.db.remember("collection_root", (site.state / "pictures").as_uri())
    pictures.db.remember("collection_whole", str(int(whole)))
    pictures.image("castle", unit(1, 0, 0), animal="", bundle=bundle_sha256(paper))
    pictures.db.close()
    asked = ("image", media_id("castle"), "--collection", "sights", "--json")
    assert "blurred" not in search(site, paper, *asked).stderr
    with_sheet = search(site, paper, *asked, "--sheet", str(tmp_path / "sheet.jpg"))
    assert ("people in its pictures are not blurred" in " ".join(with_sheet.stderr.split())) is whole
    assert len(rows(with_sheet)) == 1


def test_in_a_collection_a_label_is_the_image_s_own(site: Site, paper: Path) -> None:
    """There are no registrations there: what each image was named is shown, and can be asked for."""
    pictures = Site(site.state / "collections" / "trap")
    pictures.db.remember("collection_root", (site.state / "pictures").as_uri())
    for minute, animal in enumerate(("Fox", "Badger", None)):
        pictures.image(
            f"p-{animal}", unit(1, 0, 0), animal=animal, minute=minute, bundle=bundle_sha256(paper)
        )
    pictures.db.close()
    asked = ("image", media_id("p-Fox"), "--collection", "trap", "--json")
    found = {row["file"]: row["label"] for row in rows(search(site, paper, *asked))}
    assert found == {"cam-1/p-Fox.jpg": "Fox", "cam-1/p-Badger.jpg": "Badger", "cam-1/p-None.jpg": None}
    assert names([row["file"] for row in rows(search(site, paper, *asked, "--label", "Badger"))]) == [
        "p-Badger"
    ]
