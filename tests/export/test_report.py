from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from edge.vision.manifest import Parts
from export import plots, report
from export.measure import Cost
from export.report_text import markdown, table
from tests.export.reports import MANIFEST, choices, findings

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schemas/export/report.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both reports and the pictures."""
    folder = tmp_path_factory.mktemp("bundle")
    report.write(folder, findings(folder))
    return folder


@pytest.fixture(scope="module")
def content(folder: Path) -> dict[str, Any]:
    """``report.json``."""
    return dict(json.loads((folder / "report.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    """``report.md``."""
    return (folder / "report.md").read_text("utf-8")


def test_the_report_keeps_to_its_schema(content: dict[str, Any]) -> None:
    """Nothing is missing, nothing is there that isn't documented."""
    Draft202012Validator.check_schema(SCHEMA)
    assert not [error.message for error in Draft202012Validator(SCHEMA).iter_errors(content)]


def test_the_schema_tells_wrong_from_right(content: dict[str, Any]) -> None:
    """A number too many, a part that there isn't."""
    validator = Draft202012Validator(SCHEMA)
    assert not validator.is_valid(content | {"more": 1})
    assert not validator.is_valid(content | {"parts": {"nose": content["parts"]["text"]}})


def test_a_bundle_that_stays_in_fp32_keeps_to_the_schema_too(tmp_path: Path) -> None:
    """Nothing tried, nothing compared, no picture."""
    report.write(tmp_path, findings(tmp_path, choices=(), visits=None))
    content = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert not [error.message for error in Draft202012Validator(SCHEMA).iter_errors(content)]
    assert (content["visits"], content["plots"], content["plots_missing"]) == (None, [], "")
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "Nothing was tried: fp32 was asked for." in text
    assert "Not compared: everything stays in fp32." in text
    assert not (tmp_path / "report").exists()


def test_parts_alone_have_a_report(tmp_path: Path) -> None:
    """A detector without towers; and no time where none was measured."""
    whole = findings(tmp_path)
    lone = Parts.model_validate({**MANIFEST, "visual": None, "text": None})
    detector = choices()[0]
    untimed = replace(detector.chosen, cost=Cost(9, 1.0, 0.0, 0.0))
    tried = tuple(
        replace(each, measured=replace(each.measured, cost=untimed.cost)) for each in detector.tried
    )
    choice = replace(detector, chosen=tried[1].measured, tried=tried, judged=False)
    report.write(tmp_path, replace(whole, manifest=lone, choices=(choice,)))
    content = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert list(content["parts"]) == ["detector"]
    assert content["parts"]["detector"]["cost"]["speedup"] is None
    assert not [error.message for error in Draft202012Validator(SCHEMA).iter_errors(content)]
    assert "Its speed can't be judged on this machine." in (tmp_path / "report.md").read_text("utf-8")


def test_what_was_measured_is_there_for_programs(content: dict[str, Any]) -> None:
    """By part and target: everything that was tried, what it lacked, and which was taken."""
    (target,) = content["parts"]["detector"]["targets"]
    assert [(each["precision"], each["passed"], each["chosen"]) for each in target["tried"]] == [
        ("int8 QDQ", False, False),
        ("int8 QDQ, 1 node fp32", True, True),
        ("fp16 weights", False, False),
    ]
    assert target["tried"][0]["lacking"] == ["recall 0.9500 < 0.9700"]
    assert target["sensitivity"][0] == {"node": "head.0", "loss": 0.31}
    detector = content["parts"]["detector"]
    assert detector["quality"]["recalled"]["small"]["hits"] == 10
    assert detector["cost"]["speedup"] == 3.2
    assert content["refused"][0] == "detector for x86: int8 QDQ: recall 0.9500 < 0.9700"
    assert content["visits"]["by_deployment"]["south"]["relabelled"] == 1
    assert content["material"]["calibration"]["skipped"][0]["name"] == "n/bad.jpg"


def test_people_get_the_same_in_words(text: str) -> None:
    """The outcome first, then each part with floors beside values, visits, images, machine, licences."""
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads == [
        "# toy 1.2: what the export measured",
        "## detector",
        "### detector for x86: int8 QDQ, 1 node fp32",
        "## visual",
        "### visual for x86: int8 dynamic",
        "## text",
        "## Visits",
        "## Images",
        "## Where it was measured",
        "## Weights and licences",
    ]
    assert "| 0.833 (10/12), 0.55\u20130.95 |" in text
    assert "| *floor* | \u2265 0.97 |" in text
    assert "| `head.0` | 0.3100 |" in text
    assert "Visits: 20 with fp32; lost 1, added 0, relabelled 1, recounted 0." in text
    assert "| lost | north | 2020-09-13 12:26 | fox x1 | \u2013 | `n/1.jpg`, `n/2.jpg` |" in text
    assert "- `n/bad.jpg`: image is cut off or damaged" in text
    assert "It took 0:01:23." in text
    assert "Licence of the whole: MIT AND Apache-2.0." in text


def test_every_table_is_whole(text: str) -> None:
    """Each row has as many cells as its header, whatever stands in them."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    widths = [line.replace("\\|", "").count("|") for line in rows]
    blocks = text.split("\n\n")
    for block in blocks:
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in lines}) <= 1
    assert len(widths) > 20
    assert table(["a"], [["x|y\nz"]])[2] == "| x\\|y z |"


def test_no_path_of_the_machine_is_told(folder: Path, text: str, content: dict[str, Any]) -> None:
    """Reports are published with bundles; they say nothing of whose computer it was."""
    assert str(folder) not in text + json.dumps(content)


def test_the_words_need_nothing_but_the_numbers(content: dict[str, Any], text: str) -> None:
    """``report.md`` can be made again from ``report.json``."""
    assert markdown(content) == text


def test_pictures_are_there_and_linked(folder: Path, content: dict[str, Any], text: str) -> None:
    """Each is a sound PNG of moderate size, linked where it belongs."""
    names = {picture["file"] for picture in content["plots"]}
    assert names == {
        "report/boxes-detector-x86.png",
        "report/sensitivity-detector-x86.png",
        "report/latency-detector-x86.png",
        "report/cosines-visual-x86.png",
        "report/latency-visual-x86.png",
    }
    for name in names:
        assert f"]({name})" in text
        with Image.open(folder / name) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert 700 < picture.width < 900
            assert len(picture.convert("L").getcolors() or []) > 10
        assert (folder / name).stat().st_size < 100_000


def test_the_same_numbers_give_the_same_picture(folder: Path, tmp_path: Path) -> None:
    """No date and no version inside."""
    report.write(tmp_path, findings(tmp_path))
    for path in sorted((folder / "report").iterdir()):
        assert path.read_bytes() == (tmp_path / "report" / path.name).read_bytes()


def test_pictures_say_what_they_show(tmp_path: Path) -> None:
    """Axes with units, legends with floors, names of nodes."""
    found = findings(tmp_path)
    detector, visual = found.choices
    (axes,) = plots.boxes(detector, found).axes
    assert axes.get_ylabel() == "share at IoU \u2265 0.5"
    assert [label.get_text().split("\n")[0] for label in axes.get_xticklabels()] == [
        "all",
        "small",
        "medium",
        "large",
    ]
    assert [bar.get_height() for bar in axes.containers[0]] == pytest.approx([95 / 98, 10 / 12, 60 / 61, 1])
    (axes,) = plots.sensitivity(detector).axes
    assert axes.get_yticklabels()[0].get_text() == "head.0"
    assert axes.get_xlabel() == "loss against fp32 when only this node is quantised"
    figure = plots.latency(detector)
    assert figure.axes[0].get_xlabel() == "milliseconds per run (median; line: middle half of runs)"
    assert figure.get_suptitle().startswith("detector for x86, int8 QDQ, 1 node fp32\n")
    (axes,) = plots.cosines(visual, found.request.floors.visual).axes
    assert "least 0.9812 (floor 0.93)" in {label.get_text() for label in axes.get_legend().get_texts()}
    assert sum(bar.get_height() for bar in axes.patches) == 300


def test_a_report_without_matplotlib_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers are all there; the pictures are named as what is missing."""
    monkeypatch.setattr(plots, "find_spec", lambda _name: None)
    report.write(tmp_path, findings(tmp_path))
    text = (tmp_path / "report.md").read_text("utf-8")
    assert plots.MISSING in text
    assert "![" not in text
    assert not (tmp_path / "report").exists()


def test_perfect_agreement_can_be_drawn(tmp_path: Path) -> None:
    """All cosines 1: the histogram's axis has no end of its own."""
    found = findings(tmp_path)
    visual = found.choices[1]
    quality = replace(visual.chosen.quality, cosines=(1.0, 1.0), mean=1.0, p1=1.0, minimum=1.0)  # type: ignore[type-var]
    choice = replace(visual, chosen=replace(visual.chosen, quality=quality))
    figure = plots.cosines(choice, found.request.floors.visual)
    figure.savefig(tmp_path / "x.png")
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 2
