from __future__ import annotations

import io
import json
from typing import Any

import pytest

from edge.errors import InterchangeError
from edge.interchange import Reading
from edge.interchange.megadetector import read_megadetector
from tests.interchange.build import batch_of, megadetector_rows, ms, only, refused

T = ms("2026-05-04T18:00:00")
NAMES = {"0": "deer", "1": "red fox", "2": "blank", "3": "animal", "4": "human"}


def image(*detections: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An image of camera ``ridge``."""
    return {"file": "ridge/a.jpg", "datetime": "2026:05:04 18:00:00", "detections": list(detections), **more}


def animal(conf: float = 0.9, *classes: tuple[str, float], category: str = "1") -> dict[str, Any]:
    """A detection with its classifications."""
    found: dict[str, Any] = {"category": category, "conf": conf, "bbox": [0, 0, 1, 1]}
    return {**found, "classifications": [list(entry) for entry in classes]} if classes else found


def test_animals_without_classifications() -> None:
    """Animals at or above the threshold count; people, vehicles and weak boxes don't."""
    row = only(
        megadetector_rows(batch_of(image(animal(0.9), animal(0.2), animal(0.19), animal(0.9, category="2"))))
    )
    assert row[1:] == ("ridge", "ridge/a.jpg", T, None, 2, 0)


def test_best_classification_names_an_animal() -> None:
    """Each label of an image has its own row, with its largest confidence."""
    content = batch_of(
        image(animal(0.9, ("0", 0.3), ("1", 0.6)), animal(0.9, ("1", 0.8)), animal(0.9, ("0", 0.7))),
        classification_categories=NAMES,
    )
    assert [row[4:] for row in megadetector_rows(content)] == [("red fox", 2, 800_000), ("deer", 1, 700_000)]


@pytest.mark.parametrize(("category", "animals"), [("2", 1), ("3", 1), ("4", 0)])
def test_classifications_that_name_no_animal(category: str, animals: int) -> None:
    """A box that the classifier calls blank is still the detector's animal; one that it calls human isn't."""
    content = batch_of(image(animal(0.9, (category, 0.9))), classification_categories=NAMES)
    row = only(megadetector_rows(content))
    assert (row.label, row.animals) == (None, animals)


def test_thresholds_of_the_file_and_of_the_caller() -> None:
    """The file's recommendations hold unless the caller says otherwise."""
    content = batch_of(
        image(animal(0.5, ("0", 0.6))),
        info={
            "detector_metadata": {"typical_detection_threshold": 0.6},
            "classifier_metadata": {"typical_classification_threshold": 0.7},
        },
        classification_categories=NAMES,
    )
    assert only(megadetector_rows(content)).animals == 0
    low = only(megadetector_rows(content, Reading(min_confidence=0.1)))
    assert (low.label, low.animals) == (None, 1)
    lower = only(megadetector_rows(content, Reading(min_confidence=0.1, min_label_confidence=0.1)))
    assert lower.label == "deer"


def test_speciesnet_names() -> None:
    """Taxonomies give a common name to show and a scientific name to write."""
    taxonomy = "u;mammalia;carnivora;canidae;vulpes;vulpes;red fox"
    family = "u;mammalia;cetartiodactyla;cervidae;;;cervidae family"
    content = batch_of(
        image(animal(0.9, ("0", 0.9))),
        classification_categories={"0": taxonomy, "1": "deer"},
        classification_category_descriptions={"1": family},
    )
    found = read_megadetector(io.StringIO(json.dumps(content)), "x", Reading())
    assert only(list(found.rows)).label == "red fox"
    assert found.scientific_names == {"red fox": "Vulpes vulpes", "deer": "Cervidae"}


@pytest.mark.parametrize(
    "more",
    [
        {"datetime": "2026-05-04T18:00:00Z"},
        {"datetime": None, "exif_metadata": {"DateTimeOriginal": "2026:05:04 18:00:00"}},
        {"datetime": None, "file": "ridge/20260504_180000.jpg"},
        {"datetime": "", "file": "ridge/CAM1_2026-05-04_18-00.jpg"},
    ],
)
def test_where_the_time_comes_from(more: dict[str, Any]) -> None:
    """The field, else EXIF as the file tells it, else the image's name."""
    assert only(megadetector_rows(batch_of(image(animal(), **more)))).t == T


def test_no_time_is_said() -> None:
    """An image without any time is refused, and told how to help it."""
    reject = refused(megadetector_rows(batch_of(image(animal(), datetime=None))))
    assert (reject.where, reject.column) == ("images[0]", "datetime")
    assert "ridge/a.jpg" in reject.expected


def test_video_counts_its_best_frame() -> None:
    """Boxes of one animal in many frames are one animal."""
    found = [{**animal(), "frame_number": n} for n in (0, 10, 10, 20)]
    assert only(megadetector_rows(batch_of(image(*found)))).animals == 2


def test_location_names_the_deployment() -> None:
    """A stated location wins over the folder."""
    assert only(megadetector_rows(batch_of(image(location="west")))).deployment == "west"


@pytest.mark.parametrize(
    ("broken", "column"),
    [
        ({"failure": "image access", "detections": None}, "failure"),
        ({"file": ""}, "file"),
        ({"file": ["a"]}, "file"),
        ({"file": "a.jpg"}, "deployment"),
        ({"detections": None}, "detections"),
        ({"detections": [7]}, "detections"),
        ({"detections": [{"category": "1", "conf": "high"}]}, "conf"),
        ({"detections": [{"category": "1", "conf": 2}]}, "conf"),
        ({"detections": [animal(0.9, ("99", 0.9))]}, "classifications"),
        ({"detections": [{"category": "1", "conf": 1, "classifications": [[1]]}]}, "classifications"),
        ({"detections": [{"category": "1", "conf": 1, "classifications": {}}]}, "classifications"),
        ({"datetime": "noon"}, "datetime"),
    ],
)
def test_bad_images(broken: dict[str, Any], column: str) -> None:
    """One image that can't be used names its field; the file goes on."""
    rows = megadetector_rows(batch_of(image(**broken), image(animal())))
    assert refused(rows[:1]).column == column
    assert only(rows[1:]).animals == 1


@pytest.mark.parametrize("content", [[], {}, {"images": {}}, 7, None])
def test_other_json(content: object) -> None:
    """JSON that isn't MegaDetector's is said to be so."""
    with pytest.raises(InterchangeError, match="MegaDetector"):
        megadetector_rows(content)
