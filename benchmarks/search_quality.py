"""How well words and pictures find, and how often classifying is right: over real trap images.

``python -m benchmarks.search_quality`` takes about half a minute. The images are shared test data
(``EDGE_SHARED``, by default ``../shared``); nothing of them is in the repository. They are put into a
database as the daemon does, and asked through the same searcher and the same desk as the commands do.

Four tables: words (precision among the first five), pictures (jaguars among the first twelve that each jaguar
finds), classes (likeliest and likeliest three, by label set), and how far the stated confidence is right.
For the
last, each image is asked twice with each of three kinds of label set: one that has its species, and one that
doesn't, where only "unknown" is right.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge.configuration import load
from edge.service.searching import Desk, Wanted, class_labels
from edge.settings import Settings
from edge.store.database import Database, open_database
from edge.store.media import Box, Detected, Embedded, MediaRow, MediaStore
from edge.store.names import remember_bundle
from edge.vision.bundles import find_bundle
from edge.vision.labels import LabelSet, list_label_sets, load_label_set
from edge.vision.manifest import bundle_sha256
from edge.vision.pipeline import Vision

BIRDS = frozenset({"Burrowing Owl", "American Crow", "Chicken"})
QUERIES = {
    "jaguar": {"Jaguar"},
    "bird": BIRDS,
    "owl": {"Burrowing Owl"},
    "black bear": {"American Black Bear"},
    "fox": {"Grey Fox"},
    "squirrel": {"Eastern Fox Squirrel"},
    "skunk": {"Striped Skunk"},
    "opossum": {"Virginia Opossum"},
    "crow": {"American Crow"},
    "chicken": {"Chicken"},
    "rabbit": set[str](),
    "wild boar": set[str](),
}
FAR = ("Moose", "Horse", "Cattle", "Nine Banded Armadillo", "North American Beaver")
FLOORS = (0.1, 0.2, 0.3, 0.4, 0.5)
BINS = 10
MAX_PIXELS = 120_000_000


class Case(NamedTuple):
    """One image: where it lies below the data, and what is in it."""

    file: str
    truth: str


@dataclass(frozen=True)
class Verdict:
    """How sure an answer is, whether the species is among the labels, and whether it is right."""

    kind: str
    confidence: float
    known: bool
    right: bool


def cases(root: Path) -> Iterator[Case]:
    """All images whose content is known."""
    with (root / "ena24" / "labels.csv").open(encoding="utf-8") as stream:
        labels = {row["filepath"]: row["label"].strip() for row in csv.DictReader(stream)}
    for path in sorted(p for p in root.glob("*/*") if p.suffix.lower() == ".jpg"):
        group = path.parent.name
        truth = {"Jaguar": "Jaguar", "BUOW": "Burrowing Owl"}.get(group) or labels[path.name]
        yield Case(f"{group}/{path.name}", truth)


def take_in(root: Path, seen: Sequence[Case], settings: Settings, database: Database) -> dict[str, Case]:
    """Put the images on record as the daemon does; by media id."""
    bundle = find_bundle(settings.vision.bundle)
    sha256 = bundle_sha256(bundle)
    remember_bundle(database, sha256, settings.vision.bundle)
    labels = load_label_set(settings.vision.labels)
    vision = Vision.open(bundle, labels, settings.vision, settings.state / "cache")
    store, found = MediaStore(database), {}
    for minute, case in enumerate(seen):
        data = (root / case.file).read_bytes()
        row = _row(case, data, vision, sha256, minute)
        store.add(row)
        found[row.media_id] = case
    return found


def _row(case: Case, data: bytes, vision: Vision, sha256: str, minute: int) -> MediaRow:
    sight = vision.see(data, MAX_PIXELS)
    found = (Detected(d.kind, Box(*d.box), d.score, d.label, d.label_score) for d in sight.detections)
    vectors = (Embedded(e.kind, e.vector.astype("<f2").tobytes()) for e in sight.embeddings)
    return MediaRow(
        media_id=f"sha256:{hashlib.sha256(data).hexdigest()}",
        file=case.file,
        deployment=case.file.partition("/")[0],
        taken=minute * 60_000,
        offset_minutes=0,
        time_source="exif",
        clock_ok=True,
        size=len(data),
        width=sight.width,
        height=sight.height,
        bundle=sha256,
        received=0,
        detections=tuple(found),
        embeddings=tuple(vectors),
    )


def print_words(desk: Desk, database: Database, images: dict[str, Case]) -> None:
    """Precision among the first five and average precision of each query; means where there is a truth."""
    print(f"{'words':12} {'images':>6} {'first 5':>8} {'best possible':>14} {'AP':>5}  first")
    searcher, shares, precisions = desk.searcher(database), [], []
    for query, species in QUERIES.items():
        hits = searcher.by_words(query, Wanted(top=len(images), every=True)).hits
        right = np.array([images[hit.place.media_id].truth in species for hit in hits])
        first = images[hits[0].place.media_id].truth
        if not species:
            print(f"{query:12} {0:6} {'-':>8} {'-':>14} {'-':>5}  {first}")
            continue
        shares.append(right[:5].mean() / min(1, right.sum() / 5))
        precisions.append(average_precision(right))
        possible = min(5, int(right.sum()))
        print(
            f"{query:12} {right.sum():6} {right[:5].sum():6}/5 {possible:12}/5 {precisions[-1]:5.2f}  {first}"
        )
    share, precision = np.mean(shares), np.mean(precisions)
    print(f"mean of what is possible among the first five {share:.2f}, mAP {precision:.2f}\n")


def average_precision(right: npt.NDArray[np.bool_]) -> float:
    """Mean over the right answers of the precision down to each (Manning et al., 2008, 8.4)."""
    ranks = np.flatnonzero(right)
    return float(np.mean((np.arange(len(ranks)) + 1) / (ranks + 1))) if len(ranks) else 0.0


def print_pictures(desk: Desk, database: Database, images: dict[str, Case], root: Path) -> None:
    """The share of jaguars among the twelve that each finds, itself left out: by its file, and on record."""
    searcher, shares = desk.searcher(database), []
    wanted = Wanted(top=13, every=True)
    print(f"{'jaguars among the first 12 of':32} file  on record")
    jaguars = [m for m, case in images.items() if case.truth == "Jaguar"]
    for media_id in jaguars:
        data = (root / images[media_id].file).read_bytes()
        answers = (searcher.by_picture(data, wanted), searcher.by_media(media_id, wanted))
        pair = []
        for answer in answers:
            others = [h.place.media_id for h in answer.hits if h.place.media_id != media_id][:12]
            pair.append(float(np.mean([images[other].truth == "Jaguar" for other in others])))
        shares.append(pair)
        print(f"{images[media_id].file:32} {pair[0]:.2f}  {pair[1]:.2f}")
    chance = (len(jaguars) - 1) / (len(images) - 1)
    mean, median = np.mean(shares, axis=0), np.median(shares, axis=0)
    print(f"{'mean':32} {mean[0]:.2f}  {mean[1]:.2f}   by chance {chance:.2f}")
    print(f"{'median':32} {median[0]:.2f}  {median[1]:.2f}\n")


def print_classes(desk: Desk, images: dict[str, Case], root: Path) -> None:
    """Likeliest label and likeliest three right over ena24, of the images whose species the set has."""
    own = [case for case in images.values() if case.file.startswith("ena24/")]
    print("label set        labels nameable  top 1  top 3  stated  right  unknown, of the others")
    given = class_labels(sorted({case.truth for case in own}))
    sets = [load_label_set(name) for name in sorted(list_label_sets())]
    for labels in (given, *sets):
        named = {name.replace("_", " "): name for name in labels.names}
        shown = [(desk.classify((root / case.file).read_bytes(), labels), case.truth) for case in own]
        known = [(found, named[truth]) for found, truth in shown if truth in named]
        rest = [found for found, truth in shown if truth not in named]
        first = sum(found.top[0].label == truth for found, truth in known)
        three = sum(truth in [guess.label for guess in found.top] for found, truth in known)
        stated = [(found.label, truth) for found, truth in known if found.label]
        right = sum(label == truth for label, truth in stated)
        unknown = sum(found.label is None for found in rest)
        figures = f"{len(labels.names):6} {len(known):8} {first:6} {three:6} {len(stated):7} {right:6}"
        print(f"{labels.name:16} {figures}  {unknown}/{len(rest)}")
    print()


def verdicts(desk: Desk, images: dict[str, Case], root: Path) -> Iterator[Verdict]:
    """Each image with a label set that has its species and one that doesn't, of three kinds."""
    full = load_label_set("north-america")
    species = sorted({case.truth for case in images.values()})
    draw = np.random.default_rng(0)
    for case in images.values():
        data = (root / case.file).read_bytes()
        others = [name for name in species if name != case.truth]
        few = [str(name) for name in draw.choice(others, 4, replace=False)]
        for kind, without in (("full", _names(full)), ("few alike", few), ("few unlike", list(FAR))):
            rest = [name for name in without if name != case.truth]
            for known, names in ((True, [*rest, case.truth]), (False, rest)):
                shown = desk.classify(data, _only(full, names))
                right = known and shown.top[0].label == case.truth.replace(" ", "_")
                yield Verdict(kind, shown.confidence, known, right)


def _names(labels: LabelSet) -> list[str]:
    return [name.replace("_", " ") for name in labels.names]


def _only(labels: LabelSet, names: Sequence[str]) -> LabelSet:
    wanted = {name.replace(" ", "_") for name in names}
    return LabelSet(name="some", labels=tuple(label for label in labels.labels if label.label in wanted))


def calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Expected calibration error, in bins of as many answers each (Nguyen and O'Connor, 2015)."""
    order = np.argsort(confidences)
    stated, true = np.array(confidences)[order], np.array(right, float)[order]
    bins = zip(np.array_split(stated, BINS), np.array_split(true, BINS), strict=True)
    return float(sum(len(s) * abs(s.mean() - t.mean()) for s, t in bins) / len(order))


def print_calibration(found: Sequence[Verdict]) -> None:
    """How sure, how often right; and what the floor costs and saves."""
    print(f"{'label sets':12} {'asked':>6} {'mean confidence':>16} {'right':>6} {'calibration error':>18}")
    for kind in ("full", "few alike", "few unlike", "all"):
        own = [v for v in found if kind in (v.kind, "all")]
        sure, right = [v.confidence for v in own], [v.right for v in own]
        error = calibration_error(sure, right)
        print(f"{kind:12} {len(own):6} {np.mean(sure):16.2f} {np.mean(right):6.2f} {error:18.3f}")
    strangers = sum(not v.known for v in found)
    print(f"floor  stated  rightly  called something, of {strangers} that are none of the labels")
    for floor in FLOORS:
        stated = [v for v in found if v.confidence >= floor]
        wrong = sum(not v.known for v in stated)
        print(f"{floor:5.1f} {len(stated):7} {sum(v.right for v in stated):8}  {wrong}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default="starter")
    options = parser.parse_args()
    shared = Path(os.environ.get("EDGE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    root = shared / "data" / "trap-images"
    if not root.is_dir():
        parser.exit(0, f"skipped: no trap images at {root}; set EDGE_SHARED to the folder that has data/\n")
    with tempfile.TemporaryDirectory() as folder:
        vision = {"bundle": options.bundle, "snapshots": False}
        settings = load(None, {"state": Path(folder) / "state", "vision": vision}).settings
        database = open_database(settings.state)
        images = take_in(root, list(cases(root)), settings, database)
        desk = Desk(settings)
        print_words(desk, database, images)
        print_pictures(desk, database, images, root)
        print_classes(desk, images, root)
        print_calibration(list(verdicts(desk, images, root)))
        desk.close()
        database.close()


if __name__ == "__main__":
    main()
