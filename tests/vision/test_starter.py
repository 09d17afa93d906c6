"""The bundle that ships with the product, on real and composed images."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.scenes import empty_scene, jpeg
from edge.errors import BundleError
from edge.settings import VisionSettings
from edge.vision.boxes import overlaps
from edge.vision.bundles import find_bundle, verify_bundle
from edge.vision.labels import load_label_set
from edge.vision.pipeline import Vision
from edge.vision.sight import Sight
from tests.shared import shared

PLENTY = 120_000_000
SETTINGS = VisionSettings(providers=("CPUExecutionProvider",))


@pytest.fixture(scope="module")
def starter() -> Path:
    """The starter bundle; it is built, and may be missing from a fresh checkout."""
    try:
        return find_bundle("starter")
    except BundleError as error:
        pytest.skip(f"no starter bundle: {error}")


@pytest.fixture(scope="module")
def vision(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Vision:
    """The starter with the labels of North America."""
    return Vision.open(starter, load_label_set("north-america"), SETTINGS, tmp_path_factory.mktemp("cache"))


def _see_all(vision: Vision, folder: Path) -> dict[str, Sight]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".jpg")
    return {path.name: vision.see(path.read_bytes(), PLENTY) for path in paths}


def test_files_are_those_of_the_manifest(starter: Path) -> None:
    """Every file has the digest that the manifest gives."""
    assert verify_bundle(starter).name == "starter"


def test_passes_its_self_test(vision: Vision) -> None:
    """The CPU gets the golden samples right, and the report says how close it came."""
    report = vision.info().providers
    assert report.in_use == "CPUExecutionProvider"
    assert all(0.9 < cosine <= 1.0001 for cosine in report.cosine.values())


def test_finds_and_names_jaguars(vision: Vision) -> None:
    """Of 19 real images of jaguars at least 12 have an animal found in them and 9 are named rightly."""
    seen = _see_all(vision, shared("data", "trap-images", "Jaguar"))
    assert len(seen) == 19
    assert sum(sight.count > 0 for sight in seen.values()) >= 12
    assert sum(sight.label == "Jaguar" for sight in seen.values()) >= 9


def test_boxes_lie_where_the_jaguars_are(vision: Vision) -> None:
    """Most found jaguars are boxed as another detector boxed them."""
    folder = shared("data", "trap-images", "Jaguar")
    with (folder / "boxes.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if (folder / row["file"]).is_file()]
    hits = found = 0
    for row in rows:
        x, y, width, height = (float(row[f"bbox_{side}"]) for side in "xywh")
        sight = vision.see((folder / row["file"]).read_bytes(), PLENTY)
        boxes = [(b.x, b.y, b.x + b.width, b.y + b.height) for b in (d.box for d in sight.detections)]
        if boxes:
            truth = np.array([[x, y, x + width, y + height]], np.float32)
            found += 1
            hits += bool(overlaps(np.array(boxes, np.float32), truth).max() >= 0.5)
    assert hits >= 0.8 * found > 0


def test_finds_owls(vision: Vision) -> None:
    """Of 20 real images of burrowing owls at least 15 have an animal found in them."""
    seen = _see_all(vision, shared("data", "trap-images", "BUOW"))
    assert sum(sight.count > 0 for sight in seen.values()) >= 15


def test_empty_places_are_empty(vision: Vision) -> None:
    """Composed places without animals, ten by day and ten by night, raise no alarm."""
    seen = [vision.see(jpeg(empty_scene(seed, 1600, 1200)), PLENTY) for seed in range(20)]
    assert sum(sight.count for sight in seen) == 0
    assert all(sight.label is None and sight.snapshot is None for sight in seen)


def test_text_finds_the_image_that_it_names(vision: Vision) -> None:
    """Among real images, those of jaguars are nearest to the word."""
    query = vision.text("a jaguar")
    folders = {name: shared("data", "trap-images", name) for name in ("Jaguar", "BUOW")}
    scores = []
    for name, folder in folders.items():
        for sight in _see_all(vision, folder).values():
            best = max(float(e.vector.astype(np.float32) @ query) for e in sight.embeddings)
            scores.append((best, name))
    scores.sort(reverse=True)
    assert [name for _, name in scores[:8]] == ["Jaguar"] * 8


def test_names_cut_out_animals_with_the_ussuris_labels(starter: Path, tmp_path: Path) -> None:
    """Clean animals on grass get their own label, most of the time, from a set of 21."""
    vision = Vision.open(starter, load_label_set("ussuri"), SETTINGS, tmp_path)
    pictures = {
        "fox": "Fox",
        "bison": "Bison",
        "tiger": "Tiger",
        "badger": "Badger",
        "bear": "Bear",
        "dog": "Dog",
    }
    right = 0
    for name, label in pictures.items():
        cutout = Image.open(shared("data", "cutouts", f"{name}.png")).convert("RGBA")
        cutout = cutout.resize((420, round(420 * cutout.height / cutout.width)))
        scene = Image.fromarray(empty_scene(2, 1200, 900))
        scene.paste(cutout, (390, 850 - cutout.height), cutout)
        sight = vision.see(jpeg(np.asarray(scene)), PLENTY)
        right += any(d.label == label for d in sight.detections)
    assert right >= 4


def test_opens_without_the_workstations_libraries(starter: Path, tmp_path: Path) -> None:
    """A whole look at an image, prompts included, imports no training framework."""
    code = (
        "import sys; from pathlib import Path; from edge.settings import VisionSettings\n"
        "from edge.vision.labels import load_label_set; from edge.vision.pipeline import Vision\n"
        "settings = VisionSettings(providers=('CPUExecutionProvider',))\n"
        "vision = Vision.open(Path(sys.argv[1]), load_label_set('ussuri'), settings, Path(sys.argv[2]))\n"
        "vision.see(Path(sys.argv[3]).read_bytes(), 10**8); vision.text('a wolf')\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    picture = tmp_path / "x.jpg"
    picture.write_bytes(jpeg(empty_scene(0, 800, 600)))
    command = [sys.executable, "-c", code, str(starter), str(tmp_path), str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = {"torch", "transformers", "ultralytics", "optimum", "onnx", "export", "tensorflow"}
    assert not set(done.stdout.split()) & heavy


def test_real_images_are_embedded_again_as_they_were(vision: Vision) -> None:
    """With the boxes on record and without the detector: the same vectors, bit for bit."""
    for path in sorted(shared("data", "trap-images", "ena24").glob("*.jpg"))[:6]:
        data = path.read_bytes()
        sight = vision.see(data, PLENTY)
        glimpse = vision.embed(data, [e.box for e in sight.embeddings if e.box], PLENTY)
        assert glimpse.night == sight.night
        for now, then in zip(glimpse.embeddings, sight.embeddings, strict=True):
            np.testing.assert_array_equal(now.vector, then.vector)
