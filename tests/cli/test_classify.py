"""``edge classify`` as it is called."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from edge.cli.classified import Result, surest
from edge.cli.variadic import spread
from edge.demo.scenes import Figure, Place, Scene, compose
from edge.errors import UsageError
from edge.service.searching import Classified, Guess
from edge.testing import jpeg_bytes, torn, write_jpeg
from tests.cli.conftest import Run
from tests.e2e.site import Site

MODELS = Path(__file__).resolve().parents[2] / "models" / "onnx" / "starter"
CLASSES = ("--labels", "jaguar", "bison", "wild boar")
starter = pytest.mark.skipif(
    not (MODELS / "manifest.toml").is_file(), reason="the starter bundle is not built: edge export starter"
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a.jpg --labels fox bear", "a.jpg --labels fox --labels bear"),
        ("a.jpg --labels fox bear --json", "a.jpg --labels fox --labels bear --json"),
        ("--labels fox -n 1 a.jpg", "--labels fox -n 1 a.jpg"),
        ("--labels fox bear -- a.jpg --labels", "--labels fox --labels bear -- a.jpg --labels"),
        ("--labels=fox a.jpg", "--labels=fox a.jpg"),
        ("a.jpg --labels fox --labels bear", "a.jpg --labels fox --labels bear"),
        ("a.jpg --json", "a.jpg --json"),
    ],
)
def test_words_behind_labels_are_its_values(words: str, expected: str) -> None:
    """Up to the next option, or to a double dash; what was written out already stays as it is."""
    assert list(spread(words.split(), "--labels")) == expected.split()


@pytest.mark.parametrize(
    "words", ["a.jpg --labels", "a.jpg --labels --json", "--labels -n 1 a", "--labels -- a"]
)
def test_labels_without_words_are_a_mistake(words: str) -> None:
    """What follows isn't taken for a label set, and the default isn't used in silence."""
    with pytest.raises(UsageError, match="nothing follows --labels"):
        list(spread(words.split(), "--labels"))


@given(st.lists(st.text(st.characters(exclude_characters="-"), min_size=1), min_size=1))
def test_any_class_reaches_the_parser(classes: list[str]) -> None:
    """Whatever classes are called, each stands behind an option of its own."""
    given = list(spread(["a.jpg", "--labels", *classes], "--labels"))
    assert given == ["a.jpg", *(word for name in classes for word in ("--labels", name))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{pic}", "--json", "--csv"], "exclude each other"),
        ([], "nothing to classify"),
        (["--labels", "fox", "{pic}"], "this picture was taken for a class"),
        (["{pic}", "--all"], "not both"),
        (["{pic}", "--collection", "x"], "not both"),
        (["{pic}", "--deployment", "cam-1"], "filters choose among images on record"),
        (["{pic}", "--night"], "filters choose among images on record"),
        (["{pic}", "--labels", "fox", "fox"], "label given twice"),
        (["{pic}", "--labels"], "nothing follows --labels"),
        (["{pic}", "--sheet", "sheet.png"], "a sheet is a JPEG"),
        (["{pic}", "--sheet", "nowhere/sheet.jpg"], "no such folder"),
        (["{pic}", "--sheet", "{folder}"], "this is a folder"),
        (["none.jpg"], "picture can't be read"),
        (["."], "picture is not a file"),
        (["--collection", "no/name", "--labels", "a", "b"], "not a name for a collection"),
    ],
)
def test_calls_that_can_t_work_say_why(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    """Before any model is opened; nothing on standard output, exit code 2."""
    picture = write_jpeg(tmp_path / "pic.jpg", np.zeros((40, 60, 3), np.uint8))
    (tmp_path / "folder.jpg").mkdir()
    words = [word.format(pic=picture, folder=tmp_path / "folder.jpg") for word in arguments]
    result = run(
        "classify", *words, *(["--state", tmp_path / "state"] if "--labels" not in words[-1:] else [])
    )
    assert message in " ".join(result.err.split())
    assert (result.code, result.out) == (2, "")


def test_a_collection_that_isn_t_there_is_named(run: Run, tmp_path: Path) -> None:
    """With what to do."""
    result = run("classify", "--collection", "sights", "--state", tmp_path)
    assert result.code == 1
    assert "no such collection: sights" in result.err


def test_the_surest_of_each_class_come_first() -> None:
    """So many of each, classes by name, the unknown last; never more than fit."""

    def result(name: str, label: str | None, confidence: float) -> Result:
        return Result(name, Classified(label, confidence, (Guess(label or "x", confidence),), 1.0, 0))

    results = [
        result("b1", "b", 0.4),
        result("a1", "a", 0.5),
        result("?", None, 0.2),
        result("a2", "a", 0.9),
        result("a3", "a", 0.7),
    ]
    assert [r.name for r in surest(results, 2, 10)] == ["a2", "a3", "b1", "?"]
    assert [r.name for r in surest(results, 2, 2)] == ["a2", "a3"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Four scenes, one of them empty, taken in by the daemon."""
    site = Site(tmp_path_factory.mktemp("made")).prepare()
    woodland, meadow = Place("woodland"), Place("meadow")
    scenes = {
        "jaguar": Scene(woodland, (Figure("jaguar", 0.5, 0.5),)),
        "bison": Scene(meadow, (Figure("bison", 0.5, 0.6),)),
        "boar": Scene(meadow, (Figure("boar", 0.5, 0.5),)),
        "empty": Scene(woodland),
    }
    for name, scene in scenes.items():
        write_jpeg(site.drop / name / f"{name}.jpg", compose(scene))
    site.run_until_idle()
    return site


def rows(run: Run, site: Site, *arguments: object) -> list[dict[str, Any]]:
    """What ``edge classify ... --json`` prints."""
    result = run("classify", "--config", site.config, "--json", *arguments)
    assert result.code == 0, result.err
    found: list[dict[str, Any]] = json.loads(result.out)
    return found


@starter
def test_files_are_classified_in_their_order(run: Run, made: Site, tmp_path: Path) -> None:
    """A JPEG and a PNG of it say the same; the likeliest three come with it."""
    jaguar, bison = made.drop / "jaguar" / "jaguar.jpg", made.drop / "bison" / "bison.jpg"
    png = tmp_path / "bison.png"
    Image.open(bison).save(png)
    found = rows(run, made, jaguar, bison, png, *CLASSES)
    assert [row["label"] for row in found] == ["jaguar", "bison", "bison"]
    assert [row["file"] for row in found] == [str(jaguar), str(bison), str(png)]
    assert found[1]["score"] == pytest.approx(found[2]["score"], abs=0.05)
    first = found[0]
    assert (first["media_id"], first["taken"], first["registration_id"]) == (None, None, None)
    assert len(first["top"]) == 3
    assert first["top"][0] == {"label": "jaguar", "confidence": first["score"]}


@starter
def test_a_class_that_isn_t_given_is_unknown(run: Run, made: Site) -> None:
    """A jaguar among kinds of buildings is none of them."""
    jaguar = made.drop / "jaguar" / "jaguar.jpg"
    (row,) = rows(run, made, jaguar, "--labels", "ancient pyramids", "churches", "bridges")
    assert row["label"] is None
    assert row["known"] < 0.5
    assert (
        "unknown" in run("classify", "--config", made.config, jaguar, "--labels", "churches", "bridges").out
    )


@starter
def test_classes_in_another_language_get_a_note(run: Run, made: Site) -> None:
    """On standard error; the answer stays JSON."""
    jaguar = made.drop / "jaguar" / "jaguar.jpg"
    words = ("--labels", "Wasserfälle", "Kirchen", "--json")
    result = run("classify", "--config", made.config, jaguar, *words)
    assert "understands English only" in result.err
    assert "Wasserfälle" in result.err
    assert len(json.loads(result.out)) == 1


@starter
def test_images_on_record_need_no_file(run: Run, made: Site) -> None:
    """By media id: the vectors on record are what is classified, and say what the file does."""
    everything = rows(run, made, "--all", *CLASSES)
    by_name = {Path(row["file"]).stem: row for row in everything}
    (one,) = rows(run, made, by_name["jaguar"]["media_id"], *CLASSES)
    assert one["file"] == "jaguar/jaguar.jpg"
    assert (one["label"], one["deployment"]) == ("jaguar", "jaguar")
    (file,) = rows(run, made, made.drop / "jaguar" / "jaguar.jpg", *CLASSES)
    assert one["score"] == pytest.approx(file["score"], abs=0.01)
    unknown = run("classify", "--config", made.config, "sha256:" + "0" * 64, *CLASSES)
    assert (unknown.code, unknown.out) == (1, "")


@starter
def test_all_on_record_are_classified_and_counted(run: Run, made: Site) -> None:
    """For people counts, the unknown among them; in JSON each image, the surest first; filters apply."""
    everything = rows(run, made, "--all", *CLASSES)
    assert len(everything) == 4
    assert [row["score"] for row in everything] == sorted((row["score"] for row in everything), reverse=True)
    found = {Path(row["file"]).stem: row["label"] for row in everything}
    assert (found["jaguar"], found["bison"], found["boar"]) == ("jaguar", "bison", "wild boar")
    table = run("classify", "--config", made.config, "--all", *CLASSES).out.split()
    assert table[:3] == ["label", "pictures", "share"]
    assert table[-2:] == ["all", "4"]
    assert [row["file"] for row in rows(run, made, "--all", "--deployment", "boar", *CLASSES)] == [
        "boar/boar.jpg"
    ]


@starter
def test_csv_has_a_row_for_each_picture(run: Run, made: Site) -> None:
    """With the same columns as JSON, and the likeliest class also where it isn't stated."""
    result = run("classify", "--config", made.config, "--all", "--csv", *CLASSES)
    found = list(csv.DictReader(io.StringIO(result.out)))
    assert len(found) == 4
    assert found[0].keys() >= {"file", "score", "media_id", "deployment", "taken", "label", "likeliest"}
    assert all(row["likeliest"] for row in found)


@starter
@pytest.mark.parametrize("what", [["--all"], ["{drop}/jaguar/jaguar.jpg"]], ids=["all", "file"])
def test_a_sheet_shows_the_pictures(run: Run, made: Site, tmp_path: Path, what: list[str]) -> None:
    """A JPEG that opens, of images on record and of files."""
    path = tmp_path / "sheet.jpg"
    words = [word.format(drop=made.drop) for word in what]
    assert run("classify", "--config", made.config, *words, "--sheet", path, *CLASSES).code == 0
    with Image.open(path) as sheet:
        assert sheet.format == "JPEG"
        assert sheet.height > 240


@starter
def test_a_site_isn_t_needed(run: Run, made: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture is classified where no daemon ever ran; what is computed once is kept elsewhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    jaguar = made.drop / "jaguar" / "jaguar.jpg"
    result = run("classify", jaguar, "--state", tmp_path / "none" / "state", "--json")
    assert json.loads(result.out)[0]["label"] == "Jaguar"
    assert not (tmp_path / "none").exists()
    assert list((tmp_path / "cache" / "edge").glob("prompts-*.npz"))


@starter
def test_a_picture_that_can_t_be_used_is_named(run: Run, made: Site, tmp_path: Path) -> None:
    """Cut off, or no picture at all."""
    for data in (torn(jpeg_bytes()), b"%PDF-1.4 and so on", b""):
        path = tmp_path / "bad.jpg"
        path.write_bytes(data)
        result = run("classify", "--config", made.config, path, *CLASSES)
        assert (result.code, result.out) == (1, "")
        assert "bad.jpg" in result.err


@starter
def test_a_name_that_is_no_text_is_told_in_bytes(tmp_path: Path) -> None:
    """As on record: such a name once ended JSON, CSV and tables with a traceback where output is strict."""
    picture = tmp_path / os.fsdecode(b"bad\xff.png")
    Image.new("RGB", (64, 48), "green").save(tmp_path / "good.png")
    (tmp_path / "good.png").rename(picture)
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict", "XDG_CACHE_HOME": str(tmp_path)}
    call = [sys.executable, "-m", "edge", "classify", str(picture), "--state", str(tmp_path)]
    for form in ([], ["--json"], ["--csv"]):
        done = subprocess.run([*call, *form], capture_output=True, check=False, env=strict)
        assert done.returncode == 0, done.stderr
        assert r"bad\xff.png" in done.stdout.decode().replace(r"\\", "\\")
