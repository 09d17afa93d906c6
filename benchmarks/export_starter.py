"""What a bundle's precision costs: its three graphs against their fp32 twins, and what it does to visits.

Over the shared images as sequences (``benchmarks.sequences``): boxes, embeddings of crops, the label set's
prompts, time in turns, and registrations lost, added, relabelled and recounted.

    .venv-export/bin/python -m benchmarks.export_starter
    .venv-export/bin/python -m benchmarks.export_starter --bundle DIR --fp32 DIR

Without ``--fp32`` the starter is exported in fp32 first, which needs the export extra and its sources.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import sequences
from edge.vision.bundles import find_bundle
from edge.vision.decode import decode, read_header, reduction
from edge.vision.labels import LabelSet, load_label_set
from edge.vision.manifest import Manifest, load_manifest
from edge.vision.prompts import label_vectors
from edge.vision.session import Model
from edge.vision.tokens import Tokens
from export import measure, trial, visits
from export.evaluation import Frame
from export.measure import Array, Boxes, Paired, Share, Vectors
from export.pictures import MAX_PIXELS, Image, Lazy
from export.texts import TextEmbedder

ROUNDS = 60
TRAPS = {"BUOW", "Jaguar", "ena24"}


@dataclass(frozen=True)
class Bundle:
    """A folder and its manifest."""

    folder: Path
    manifest: Manifest

    def file(self, part: str) -> Path:
        """A part's graph."""
        return self.folder / str(getattr(self.manifest, part).file)

    def embedder(self) -> TextEmbedder:
        """Its text tower."""
        text = self.manifest.text
        return TextEmbedder(self.file("text"), self.folder / text.tokenizer, text)


def pixels(bundle: Bundle, frame: Frame) -> Image:
    """An image as the device decodes it for a bundle."""
    inputs = (bundle.manifest.detector.input, bundle.manifest.visual.input)
    data = frame.jpeg()
    header = read_header(data, max_pixels=MAX_PIXELS)
    need = max(each.width for each in inputs), max(each.height for each in inputs)
    return decode(data, header, reduction(*header.upright_size, *need))


def compare_boxes(ours: Bundle, plain: Bundle, images: Sequence[Image]) -> tuple[Boxes, list[Array]]:
    """A bundle's boxes against fp32's, and fp32's boxes themselves."""
    section = plain.manifest.detector
    want, have = (trial.found_boxes(each.file("detector"), section, images) for each in (plain, ours))
    return measure.boxes(want, have), want


def compare_crops(
    ours: Bundle, plain: Bundle, images: Sequence[Image], boxes: Sequence[Array], labels: Array
) -> Vectors:
    """Embeddings of the images, and of the animals that fp32 finds in them."""
    section = plain.manifest.visual
    crops = trial.cut(list(images), trial.animals(boxes), section.crop_margin)
    want, have = (trial.embedded(each.file("visual"), section, crops) for each in (plain, ours))
    return measure.vectors(want, have, labels, section.logit_scale)


def compare_texts(ours: Bundle, plain: Bundle, labels: LabelSet) -> Vectors:
    """Embeddings of the label set's prompts."""
    texts = sorted({prompt for label in labels.labels for prompt in label.prompts})
    want, have = plain.embedder()(texts), ours.embedder()(texts)
    return measure.vectors(want, have, want, plain.manifest.visual.logit_scale)


def times(ours: Bundle, plain: Bundle, part: str) -> Paired:
    """One thread, one sample, in turns."""
    models = [Model(each.file(part)) for each in (ours, plain)]
    feed = _sample(plain, part)
    runs = [lambda model=model: model.run(feed, model.outputs) for model in models]
    return measure.paired(runs[0], runs[1], ROUNDS)


def _sample(bundle: Bundle, part: str) -> dict[str, Array]:
    if part == "text":
        text = bundle.manifest.text
        tokens = Tokens(bundle.folder / text.tokenizer, text)(["a photo of a badger at night"])
        return {name: np.asarray(value) for name, value in tokens.items()}
    with np.load(bundle.folder / bundle.manifest.golden.file, allow_pickle=False) as golden:
        prefix = f"{part}.input."
        return {name.removeprefix(prefix): golden[name][:1] for name in golden if name.startswith(prefix)}


def report_cost(ours: Bundle, plain: Bundle) -> None:
    """Size and time of each part."""
    print(f"{'part':9} {'kept as':24} {'MB':>6} {'fp32':>6} {'ms':>6} {'fp32':>6}  faster (middle half)")
    for part in ("detector", "visual", "text"):
        size, reference = (each.file(part).stat().st_size / 1e6 for each in (ours, plain))
        took = times(ours, plain, part)
        ratio = f"{took.ratio.median:5.2f}  ({took.ratio.q1:.2f} to {took.ratio.q3:.2f})"
        kept = getattr(ours.manifest, part).precision
        print(
            f"{part:9} {kept:24} {size:6.2f} {reference:6.2f} "
            f"{took.run.median:6.2f} {took.reference.median:6.2f}  {ratio}"
        )


def report_boxes(name: str, found: Boxes) -> None:
    """One line per size."""
    for size in found.recalled | found.precise:
        recall, precision = (part.get(size, Share(0, 0)) for part in (found.recalled, found.precise))
        print(f"boxes    {name:9} {size:7} recall {recall!s:18} precision {precision!s:18}")
    print(
        f"         {name:9} images with as many boxes: {found.same_count} of {found.images}; "
        f"emptied {found.emptied}, filled {found.filled}"
    )


def report_vectors(part: str, name: str, found: Vectors) -> None:
    """One line."""
    cosines = f"cosine mean {found.mean:.4f} 1st percentile {found.p1:.4f} least {found.minimum:.4f}"
    print(f"{part:8} {name:9} {cosines}; same label {found.same}, where sure {found.sure}")


def report_visits(found: visits.Visits) -> None:
    """One line per deployment, then what differs."""
    names = ("images", "reference", "lost", "added", "relabelled", "recounted")
    print(f"{'visits':13}" + "".join(f"{name:>11}" for name in names))
    for name, part in [*found.by_deployment.items(), ("all", found)]:
        print(f"  {name:11}" + "".join(f"{getattr(part, each):11}" for each in names))
    for each in found.differences:
        said = f"{each.was or '-'} -> {each.now or '-'}"
        print(f"  {each.kind:10} {each.deployment:11} {said:40} {', '.join(each.files[:3])}")


def compare(ours: Bundle, plain: Bundle, frames: Sequence[Frame], labels: LabelSet) -> None:
    """Measure and print."""
    report_cost(ours, plain)
    vectors = np.asarray(label_vectors(labels, plain.embedder()))
    for name, wanted in (("traps", TRAPS.__contains__), ("others", lambda each: each not in TRAPS)):
        some = [frame for frame in frames if wanted(frame.deployment)]
        images: Lazy[Image] = Lazy(_reader(plain, some), range(len(some)))
        found, boxes = compare_boxes(ours, plain, images)
        report_boxes(name, found)
        report_vectors("visual", name, compare_crops(ours, plain, images, boxes, vectors))
    report_vectors("text", "prompts", compare_texts(ours, plain, labels))
    seen = [visits.observe(each.folder, frames, labels) for each in (plain, ours)]
    report_visits(visits.compare(*seen))


def _reader(bundle: Bundle, frames: Sequence[Frame]) -> Callable[[int], Image]:
    return lambda index: pixels(bundle, frames[index])


def main() -> None:
    """Read the arguments, make the fp32 twin if there is none, measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default="starter", help="name or folder")
    parser.add_argument("--fp32", type=Path, help="folder of its fp32 twin")
    parser.add_argument("--labels", default="north-america")
    options = parser.parse_args()
    shared = Path(os.environ.get("EDGE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not shared.is_dir():
        parser.exit(1, f"no shared images at {shared}; set EDGE_SHARED\n")
    frames, labels = sequences.everything(shared / "data"), load_label_set(options.labels)
    with tempfile.TemporaryDirectory(prefix="edge-fp32-") as scratch:
        twin = options.fp32 or Path(scratch) / "fp32"
        if options.fp32 is None:
            command = [
                sys.executable,
                "-m",
                "edge",
                "export",
                "starter",
                "--precision",
                "fp32",
                "--out",
                str(twin),
            ]
            subprocess.run(command, check=True)
        folders = find_bundle(options.bundle), twin
        ours, plain = (Bundle(folder, load_manifest(folder)) for folder in folders)
        compare(ours, plain, frames, labels)


if __name__ == "__main__":
    main()
