"""What a bundle sees in real trap images: animals found, named rightly, boxes hit, and false alarms.

``python -m benchmarks.trap_images`` takes about half a minute. The images are shared test data
(``EDGE_SHARED``, by default ``../shared``); nothing of them is in the repository. False alarms are counted on
composed scenes by day and night, and on the largest animal-free part of each image whose animal's box is
known.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.scenes import Pixels, empty_scene, jpeg
from edge.settings import VisionSettings
from edge.vision.boxes import overlaps
from edge.vision.bundles import find_bundle
from edge.vision.decode import decode, read_header
from edge.vision.labels import load_label_set
from edge.vision.pipeline import Vision
from edge.vision.sight import Box, Sight

MAX_PIXELS = 120_000_000
SCENES = 40
SWEEP = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
Boxes = dict[str, Box]


@dataclass(frozen=True)
class Case:
    """One image, the label that it should get, and what was seen in it."""

    group: str
    name: str
    label: str
    sight: Sight

    def animals(self, threshold: float = 0.0) -> list[float]:
        """Scores of the animals at or above a threshold."""
        return [d.score for d in self.sight.detections if d.kind == "animal" and d.score >= threshold]


def known_boxes(root: Path) -> Boxes:
    """Boxes of the jaguars, by file name."""
    with (root / "Jaguar" / "boxes.csv").open(encoding="utf-8") as stream:
        return {
            row["file"]: Box(*(float(row[f"bbox_{side}"]) for side in "xywh"))
            for row in csv.DictReader(stream)
        }


def true_labels(root: Path) -> dict[str, str]:
    """Labels of the ena24 images, by file name, in the product's spelling."""
    with (root / "ena24" / "labels.csv").open(encoding="utf-8") as stream:
        return {row["filepath"]: row["label"].strip().replace(" ", "_") for row in csv.DictReader(stream)}


def cases(root: Path, vision: Vision) -> Iterator[Case]:
    """See every image of the three sets."""
    labels = true_labels(root)
    for path in sorted(p for p in root.glob("*/*") if p.suffix.lower() == ".jpg"):
        group = path.parent.name
        label = {"Jaguar": "Jaguar", "BUOW": "Burrowing_Owl"}.get(group) or labels[path.name]
        yield Case(group, path.name, label, vision.see(path.read_bytes(), MAX_PIXELS))


def backgrounds(root: Path, boxes: Boxes) -> Iterator[Pixels]:
    """The largest part of each image beside or above its animal, the camera's strip left out."""
    for name, box in boxes.items():
        if not (root / "Jaguar" / name).is_file():
            continue
        data = (root / "Jaguar" / name).read_bytes()
        image = decode(data, read_header(data, max_pixels=MAX_PIXELS))
        height, width = image.shape[0] * 0.93, image.shape[1]
        left, right = int((box.x - 0.03) * width), int((box.x + box.width + 0.03) * width)
        parts = [image[: int(height), : max(left, 0)], image[: int(height), right:]]
        parts.append(image[: max(0, int((box.y - 0.03) * image.shape[0]))])
        largest = max(parts, key=lambda part: part.shape[0] * part.shape[1])
        if min(largest.shape[:2]) >= 300:
            yield np.ascontiguousarray(largest)


def hit(case: Case, boxes: Boxes) -> bool:
    """Whether an animal's box overlaps the known one by half."""
    found = [d.box for d in case.sight.detections if d.kind == "animal"]
    corners = [
        np.array([(x, y, x + w, y + h) for x, y, w, h in b], np.float32) for b in (found, [boxes[case.name]])
    ]
    return bool(found) and bool(overlaps(*corners).max() >= 0.5)


def print_table(seen: Sequence[Case], boxes: Boxes) -> None:
    """Animals found, named rightly, named wrongly, without a label; counts; boxes hit."""
    print(f"{'set':8} {'images':>6} {'found':>6} {'right':>6} {'wrong':>6} {'none':>5}  animals per image")
    for group in ("Jaguar", "BUOW", "ena24"):
        own = [case for case in seen if case.group == group]
        found = [case for case in own if case.sight.count]
        right = sum(case.sight.label == case.label for case in found)
        none = sum(case.sight.label is None for case in found)
        counts = Counter(case.sight.count for case in own)
        spread = " ".join(f"{n}x{counts[n]}" for n in sorted(counts))
        row = f"{len(own):6} {len(found):6} {right:6} {len(found) - right - none:6} {none:5}"
        print(f"{group:8} {row}  {spread}")
    jaguars = [case for case in seen if case.name in boxes]
    print(f"jaguars' boxes hit at IoU 0.5: {sum(hit(case, boxes) for case in jaguars)} of {len(jaguars)}")


def print_calibration(seen: Sequence[Case], groups: Sequence[str]) -> None:
    """How sure the likeliest label is, how often it is right, and what the floor costs and saves."""
    own = [case for case in seen if case.group in groups and case.sight.scores]
    top = [(case.sight.scores[0][1], case.sight.scores[0][0] == case.label) for case in own]
    mean, share = np.mean([p for p, _ in top]), np.mean([r for _, r in top])
    print(f"likeliest label in {'+'.join(groups)}: mean probability {mean:.2f}, right {share:.2f}")
    for floor in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5):
        stated = [right for p, right in top if p >= floor]
        print(f"  floor {floor:.1f}: {len(stated):3} named, {sum(stated):3} rightly")


def print_sweep(seen: Sequence[Case], empty: Sequence[Case]) -> None:
    """Images with one or more animals, by threshold; on empty scenes these are false alarms."""
    print(f"{'threshold':9} {'Jaguar':>7} {'BUOW':>7} {'ena24':>7} {'composed':>9} {'real':>5}")
    for threshold in SWEEP:
        columns = []
        for group in ("Jaguar", "BUOW", "ena24", "composed", "background"):
            own = [case for case in (*seen, *empty) if case.group == group]
            columns.append(f"{sum(bool(case.animals(threshold)) for case in own)}/{len(own)}")
        print("{:9.2f} {:>7} {:>7} {:>7} {:>9} {:>5}".format(threshold, *columns))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default="starter")
    parser.add_argument("--labels", default="north-america")
    parser.add_argument("--details", action="store_true", help="one line for each image")
    options = parser.parse_args()
    shared = Path(os.environ.get("EDGE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    root = shared / "data" / "trap-images"
    if not root.is_dir():
        parser.exit(1, f"no trap images at {root}; set EDGE_SHARED\n")
    bundle, labels = find_bundle(options.bundle), load_label_set(options.labels)
    settings = VisionSettings(providers=("CPUExecutionProvider",), snapshots=False)
    sensitive = settings.model_copy(update={"animal": min(SWEEP)})
    with tempfile.TemporaryDirectory() as folder:
        vision = Vision.open(bundle, labels, settings, Path(folder))
        low = Vision.open(bundle, labels, sensitive, Path(folder))
        boxes = known_boxes(root)
        seen = list(cases(root, vision))
        print_table(seen, boxes)
        print_calibration(seen, ("Jaguar", "ena24"))
        print_calibration(seen, ("Jaguar", "ena24", "BUOW"))
        composed = [
            Case("composed", str(i), "", low.see(jpeg(empty_scene(i)), MAX_PIXELS)) for i in range(SCENES)
        ]
        real = [
            Case("background", str(i), "", low.see(jpeg(part, 95), MAX_PIXELS))
            for i, part in enumerate(backgrounds(root, boxes))
        ]
        print_sweep(list(cases(root, low)), [*composed, *real])
    if options.details:
        for case in seen:
            top = " ".join(f"{name} {p:.2f}" for name, p in case.sight.scores[:3])
            named = f"{case.sight.count} {case.sight.label or '-':22}"
            print(f"{case.group:7} {case.name:28} {case.label:22} {named} {top}")


if __name__ == "__main__":
    main()
