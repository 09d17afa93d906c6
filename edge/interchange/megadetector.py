"""MegaDetector's batch output, format 1.4 to 1.6, with or without classifications.

The format is published at https://lila.science/megadetector-output-format. It puts its categories before or
after the images as it likes, so the file is read whole.

An image's animals are its detections of category ``animal`` at or above the threshold; in a video, those of
the frame that has most. Each has the label of its best classification, where that names an animal. The
image's label is the one that most of them have.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from edge.errors import InterchangeError
from edge.interchange.fields import NO_LABEL, PPM, text_in
from edge.interchange.names import deployment_of, time_in
from edge.interchange.tables import Reading, lines_of
from edge.interchange.types import BadValue, Input, Row, Sighting

DETECTION_THRESHOLD = 0.2
"""Where neither the caller nor the file says: what the detector's authors recommend for version 5."""

_CATEGORIES = {"1": "animal", "2": "person", "3": "vehicle"}
_NOT_ANIMALS = frozenset({"human", "person", "vehicle", "people"})
_NO_NAME = NO_LABEL | {"blank", "empty"}
_TAXONOMY = 7  # id; class; order; family; genus; species; common name
_TIMES = ("datetime", "date_time", "timestamp")
_EXIF_TIMES = ("DateTimeOriginal", "DateTime")


def read_megadetector(file: TextIO, name: str, reading: Reading) -> Input:
    """Detections and classifications of a batch of images.

    Raises:
        InterchangeError: it isn't JSON, or isn't of that format.
    """
    content = _content(file, name)
    names, scientific = _names(content)
    batch = _Batch(content, names, reading)
    rows = (row for place, image in enumerate(content["images"]) for row in batch.rows(place, image))
    return Input("megadetector", rows, scientific_names=scientific)


class _Batch:
    """What holds for all images of a file."""

    def __init__(self, content: Mapping[str, Any], names: Mapping[str, str | None], reading: Reading) -> None:
        self._reading = reading
        self._names = names
        self._categories = _object(content.get("detection_categories")) or _CATEGORIES
        info = _object(content.get("info"))
        self._least = _threshold(
            reading.min_confidence,
            info,
            "detector_metadata",
            "typical_detection_threshold",
            DETECTION_THRESHOLD,
        )
        self._least_label = _threshold(
            reading.min_label_confidence, info, "classifier_metadata", "typical_classification_threshold", 0.0
        )

    def rows(self, place: int, image: Any) -> Iterator[Row]:
        """One row per label of the image; one with count 0 if nothing is in it."""
        where = f"images[{place}]"
        try:
            yield from self._sightings(where, image)
        except BadValue as error:
            yield error.at(where)

    def _sightings(self, where: str, image: Any) -> list[Sighting]:
        if not isinstance(image, dict):
            raise BadValue("image", image, "an object with file and detections")
        media = text_in(image, "file")
        if not media:
            raise BadValue("file", "", "the image's path")
        if failure := text_in(image, "failure"):
            raise BadValue("failure", failure, "an image that could be read")
        deployment = self._deployment(image, media)
        t = self._reading.clock.read(_time(image, media), "datetime")
        animals = self._animals(image)
        if not animals:
            return [Sighting(where, deployment, media, t, None, 0, 0)]
        counts = Counter(label for label, _ in animals)
        best = {label: max(ppm for found, ppm in animals if found == label) for label in counts}
        return [Sighting(where, deployment, media, t, label, n, best[label]) for label, n in counts.items()]

    def _deployment(self, image: Mapping[str, Any], media: str) -> str:
        stated = text_in(image, "deployment") or text_in(image, "location")
        return self._reading.deployment or stated or deployment_of(media, self._reading.depth)

    def _animals(self, image: Mapping[str, Any]) -> list[tuple[str | None, int]]:
        """Label and its confidence (ppm) of each animal; of a video, in the frame with most of them."""
        frames: dict[object, list[tuple[str | None, int]]] = {}
        detections = image.get("detections")
        if not isinstance(detections, list):
            raise BadValue("detections", detections, "a list")
        for detection in detections:
            if (animal := self._animal(detection)) is not None:
                frames.setdefault(str(detection.get("frame_number")), []).append(animal)
        return max(frames.values(), key=len, default=[])

    def _animal(self, detection: Any) -> tuple[str | None, int] | None:
        if not isinstance(detection, dict):
            raise BadValue("detections", detection, "objects with category and conf")
        category = self._categories.get(text_in(detection, "category"))
        if _number(detection.get("conf"), "conf") < self._least or str(category).lower() != "animal":
            return None
        label, confidence = self._label(detection.get("classifications"))
        if label is not None and label.lower() in _NOT_ANIMALS:
            return None
        return (None, 0) if label is None else (label, round(confidence * PPM))

    def _label(self, classifications: Any) -> tuple[str | None, float]:
        found = (
            [_classification(entry) for entry in classifications or ()] if _is_list(classifications) else []
        )
        category, confidence = max(found, key=lambda entry: entry[1], default=("", 0.0))
        if not category or confidence < self._least_label:
            return None, 0.0
        if category not in self._names:
            raise BadValue("classifications", category, "a category of classification_categories")
        return self._names[category], confidence


def _content(file: TextIO, name: str) -> dict[str, Any]:
    try:
        content = json.loads("".join(lines_of(file, name)).lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        hint = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise InterchangeError("not JSON", subject=name, hint=hint) from error
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise InterchangeError(
            "not MegaDetector's batch output", subject=name, hint='it has no list of "images"'
        )
    return content


def _names(content: Mapping[str, Any]) -> tuple[dict[str, str | None], dict[str, str]]:
    """Category -> label (None: no animal's name), and label -> scientific name."""
    descriptions = _object(content.get("classification_category_descriptions"))
    names: dict[str, str | None] = {}
    scientific: dict[str, str] = {}
    for category, stated in _object(content.get("classification_categories")).items():
        name = str(stated).encode(errors="replace").decode().strip()
        described = str(descriptions.get(category, name)).encode(errors="replace").decode()
        label = next((part for part in reversed(name.split(";")) if part.strip()), "").strip()
        names[category] = None if label.lower() in _NO_NAME else label
        if latin := _latin(described.split(";")):
            scientific[label] = latin
    return names, scientific


def _latin(taxonomy: list[str]) -> str:
    """The most exact name in a taxonomy: genus and species, else the lowest rank that it has."""
    if len(taxonomy) != _TAXONOMY:
        return ""
    *_, family, genus, species, _ = [part.strip().lower() for part in taxonomy]
    if genus and species:
        return f"{genus.capitalize()} {species}"
    ranks = [part.strip().lower() for part in taxonomy[1:5]]
    return (genus or family or next((rank for rank in reversed(ranks) if rank), "")).capitalize()


def _time(image: Mapping[str, Any], media: str) -> str:
    exif = _object(image.get("exif_metadata"))
    stated = [text_in(image, key) for key in _TIMES] + [text_in(exif, key) for key in _EXIF_TIMES]
    found = next(filter(None, stated), "") or time_in(media)
    if not found:
        raise BadValue("datetime", "", f"a datetime for {media}, in the file or in the image's name")
    return found


def _threshold(
    given: float | None, info: Mapping[str, Any], section: str, key: str, otherwise: float
) -> float:
    if given is not None:
        return given
    stated = _object(info.get(section)).get(key)
    return float(stated) if isinstance(stated, int | float) and 0 <= stated <= 1 else otherwise


def _classification(entry: Any) -> tuple[str, float]:
    if not isinstance(entry, list) or len(entry) != 2:  # noqa: PLR2004 - a pair
        raise BadValue("classifications", entry, "pairs of category and confidence")
    return str(entry[0]), _number(entry[1], "classifications")


def _number(value: Any, column: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadValue(column, value, "a number from 0 to 1")
    return float(value)


def _is_list(value: Any) -> bool:
    if value is not None and not isinstance(value, list):
        raise BadValue("classifications", value, "a list")
    return value is not None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
