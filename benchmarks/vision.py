"""How fast an image goes through the vision room, against the plain way with the same weights.

``python -m benchmarks.vision`` takes about a minute. The plain way is what one writes first: OpenCV decodes
the whole image, sessions keep ONNX Runtime's defaults (but for one thread), crops go one by one, pixels are
resized from the full image. With ``--plain BUNDLE`` it uses that bundle's files, such as fp32 graphs. Both
decode heads and name animals with the product's own functions; only the product makes snapshots.

Each side runs in its own process, pinned to one core, and does its rounds in turns with the other; the
ratio is that of the two rounds of a turn. Times of one machine mean little, ratios more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.scenes import Pixels, empty_scene, jpeg
from edge.settings import VisionSettings
from edge.vision.boxes import suppress
from edge.vision.bundles import find_bundle
from edge.vision.classify import Classifier
from edge.vision.decode import decode, read_header
from edge.vision.detect import thresholds_of
from edge.vision.heads import decoder_of, head_of
from edge.vision.labels import load_label_set
from edge.vision.manifest import ImageInput, bundle_sha256, load_manifest
from edge.vision.pipeline import Vision
from edge.vision.prompts import cached_label_vectors
from edge.vision.queries import Texts
from edge.vision.session import runtime

MAX_PIXELS = 120_000_000
WIDTH, HEIGHT = 4000, 3000
IMAGES = 6
SETTINGS = VisionSettings(providers=("CPUExecutionProvider",))
See = Callable[[bytes], object]


def make_images(folder: Path, cutouts: Path | None) -> list[Path]:
    """JPEGs of 12 million pixels and 3 to 4 MB, each with an animal where cut-outs are at hand."""
    animals = sorted(cutouts.glob("*.png")) if cutouts else []
    paths = []
    for seed in range(IMAGES):
        scene = empty_scene(seed * 2, WIDTH, HEIGHT)
        if animals:
            _paste(scene, animals[(seed * 5 + 3) % len(animals)], seed)
        data = min((jpeg(scene, q) for q in (80, 85, 90, 93, 95)), key=lambda d: abs(len(d) - 3_500_000))
        path = folder / f"{seed}.jpg"
        path.write_bytes(data)
        paths.append(path)
    return paths


def _paste(scene: Pixels, path: Path, seed: int) -> None:
    """Put a cut-out on the ground, a third of the image high."""
    cutout = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if cutout is None:
        raise OSError(f"can't read {path}")
    scale = 0.33 * scene.shape[0] / cutout.shape[0]
    cutout = cv2.resize(cutout, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    height, width = cutout.shape[:2]
    top, left = int(scene.shape[0] * 0.55), int(scene.shape[1] * (0.15 + 0.09 * seed))
    part = scene[top : top + height, left : left + width]
    cutout = cutout[: part.shape[0], : part.shape[1]]
    alpha = cutout[..., 3:].astype(np.float32) / 255
    part[:] = part * (1 - alpha) + cutout[..., 2::-1] * alpha


def ours(bundle: Path, cache: Path) -> See:
    """The product's pipeline."""
    vision = Vision.open(bundle, load_label_set("north-america"), SETTINGS, cache)
    return lambda data: vision.see(data, MAX_PIXELS)


class _Session:
    """A session with ONNX Runtime's defaults on one thread."""

    def __init__(self, path: Path) -> None:
        ort = runtime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(self, name: str, pixels: Pixels, outputs: Sequence[str]) -> Any:
        return self._session.run(list(outputs), {name: pixels[None]})


class Plain:
    """The plain way, with a bundle's weights; pixels go in as uint8 NHWC, as the starter takes them."""

    def __init__(self, bundle: Path, cache: Path) -> None:
        self._manifest = manifest = load_manifest(bundle)
        labels = load_label_set("north-america")
        self._detector = _Session(bundle / manifest.detector.file)
        self._visual = _Session(bundle / manifest.visual.file)
        self._head = head_of(manifest.detector, thresholds_of(manifest.detector, SETTINGS))
        self._decode = decoder_of(manifest.detector)
        texts = Texts(bundle, manifest, 1)
        vectors = cached_label_vectors(labels, bundle_sha256(bundle), cache, texts.embed)
        scale = manifest.visual.logit_scale
        self._classifier = Classifier(labels.names, vectors, logit_scale=scale, floor=0.2, margin=0.02)

    def __call__(self, data: bytes) -> object:
        """See one image."""
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise OSError("image can't be decoded")
        pixels = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
        crops = [self._cut(pixels, box) for box in self._animals(pixels)]
        shares = self._classifier.probabilities(np.stack([self._embed(crop) for crop in (pixels, *crops)]))
        return [self._classifier.verdict(row) for row in shares]

    def _animals(self, pixels: Pixels) -> Any:
        spec = self._manifest.detector
        small = _scaled(pixels, spec.input)
        names = tuple(spec.outputs)
        results = self._detector.run(spec.input.name, small, tuple(spec.outputs.values()))
        found = self._decode(dict(zip(names, results, strict=True)), self._head)
        own = found.kinds == 0
        boxes, scores = found.boxes[own], found.scores[own]
        kept = boxes[suppress(boxes, scores, spec.thresholds.iou)]
        return kept / np.array([spec.input.width, spec.input.height] * 2, np.float32)

    def _cut(self, pixels: Pixels, box: Any) -> Pixels:
        height, width = pixels.shape[:2]
        left, top, right, bottom = np.clip(box, 0, 1) * (width, height, width, height)
        return pixels[int(top) : int(bottom) + 1, int(left) : int(right) + 1]

    def _embed(self, pixels: Pixels) -> Any:
        spec = self._manifest.visual
        return self._visual.run(spec.input.name, _scaled(pixels, spec.input), [spec.output])[0][0]


def _scaled(pixels: Pixels, spec: ImageInput) -> Pixels:
    methods = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "cubic": cv2.INTER_CUBIC}
    size = (spec.width, spec.height)
    return np.asarray(cv2.resize(pixels, size, interpolation=methods[spec.interpolation]), np.uint8)


def worker(kind: str, bundle: Path, folder: Path) -> None:
    """One side: for each line on standard input, see all images once and print wall and CPU seconds."""
    cv2.setNumThreads(1)
    see: See = ours(bundle, folder) if kind == "ours" else Plain(bundle, folder)
    images = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    for data in images:
        see(data)
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        for data in images:
            see(data)
        print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]), flush=True)


class Side:
    """A worker process, pinned to one core."""

    def __init__(self, kind: str, bundle: Path, folder: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.vision", "--worker", kind]
        command += ["--bundle", str(bundle), "--folder", str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        os.sched_setaffinity(self._process.pid, {max(os.sched_getaffinity(0))})
        self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a worker ended early; what it said stands above")
        return line

    def round(self) -> tuple[float, float]:
        """Wall and CPU seconds for all images."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        wall, cpu = json.loads(self._line())
        return wall, cpu

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def compare(bundle: Path, plain: Path, folder: Path, rounds: int) -> None:
    """Interleave both sides and print the ratio."""
    sides = (Side("ours", bundle, folder), Side("plain", plain, folder))
    turns = [(sides[0].round(), sides[1].round()) for _ in range(rounds)]
    for side in sides:
        side.close()
    for name, index in (("wall", 0), ("CPU", 1)):
        mine = statistics.median(turn[0][index] for turn in turns) / IMAGES * 1e3
        theirs = statistics.median(turn[1][index] for turn in turns) / IMAGES * 1e3
        ratio = spread([turn[1][index] / turn[0][index] for turn in turns])
        print(
            f"{name:4} per image: {mine:6.1f} ms, plain {theirs:6.1f} ms; ratio {ratio} over {rounds} turns"
        )


def shares(bundle: Path, folder: Path, rounds: int) -> None:
    """Where the time of an image goes."""
    vision = Vision.open(bundle, load_label_set("north-america"), SETTINGS, folder)
    images = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    seen = [vision.see(data, MAX_PIXELS) for _ in range(rounds) for data in images][len(images) :]
    total = statistics.mean(s.timings.total for s in seen)
    print(f"animals per image: {statistics.mean(s.count for s in seen):.1f}")
    for part in ("decode", "detect", "embed", "other"):
        values = [getattr(s.timings, part) * 1e3 for s in seen]
        mean = statistics.mean(values)
        print(f"{part:7} {statistics.median(values):6.2f} ms median, {mean / total / 10:5.1f} % of the time")


def decoding(folder: Path, rounds: int) -> None:
    """Decoding at the scale that is used, against the whole image with OpenCV."""
    images = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    ratios = []
    for _ in range(rounds):
        start = time.perf_counter()
        for data in images:
            decode(data, read_header(data, max_pixels=MAX_PIXELS), 4)
        middle = time.perf_counter()
        for data in images:
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        ratios.append((time.perf_counter() - middle) / (middle - start))
    print(f"decoding a quarter, strictly, against OpenCV in full: ratio {spread(ratios)}")


def scaling(bundle: Path, folder: Path, rounds: int) -> None:
    """Two workers on two cores against one."""
    vision = Vision.open(bundle, load_label_set("north-america"), SETTINGS, folder)
    images = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))] * 2
    ratios = []
    with ThreadPoolExecutor(2) as pool:
        for _ in range(rounds):
            start = time.perf_counter()
            for data in images:
                vision.see(data, MAX_PIXELS)
            middle = time.perf_counter()
            list(pool.map(lambda data: vision.see(data, MAX_PIXELS), images))
            ratios.append((middle - start) / (time.perf_counter() - middle))
    print(f"two workers against one: ratio {spread(ratios[1:])}")


COLD = """
import json, sys, time
from pathlib import Path
start = time.perf_counter()
from edge.settings import VisionSettings
from edge.vision.labels import load_label_set
from edge.vision.pipeline import Vision
imported = time.perf_counter()
settings = VisionSettings(providers=("CPUExecutionProvider",))
vision = Vision.open(Path(sys.argv[1]), load_label_set("north-america"), settings, Path(sys.argv[2]))
opened = time.perf_counter()
for path in sorted(Path(sys.argv[2]).glob("*.jpg")):
    vision.see(path.read_bytes(), 120_000_000)
    first = first if path.name != "0.jpg" else time.perf_counter()
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
sizes = [int(status[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM")]
print(json.dumps([imported - start, opened - imported, first - opened, *sizes]))
""".replace("    first = first if", "    first = locals().get('first') if")


def cold(bundle: Path, folder: Path, rounds: int) -> None:
    """From the process's start to the first result, and memory after all images."""
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", COLD, str(bundle), str(folder)]
    runs = []
    for _ in range(rounds):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        runs.append([*json.loads(done.stdout), time.perf_counter() - start])
    imported, opened, first, resident, peak, _ = (
        statistics.median(column) for column in zip(*runs, strict=True)
    )
    print(
        f"cold start: imports {imported:.2f} s, open and self-test {opened:.2f} s, first image {first:.2f} s"
    )
    print(f"memory: {resident:.0f} MB resident, {peak:.0f} MB at its peak")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", default="starter")
    parser.add_argument("--plain", help="bundle for the plain way; the same by default")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--worker", choices=["ours", "plain"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    bundle = find_bundle(options.bundle)
    if options.worker:
        worker(options.worker, bundle, options.folder)
        return
    shared = Path(os.environ.get("EDGE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    cutouts = shared / "data" / "cutouts"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_images(folder, cutouts if cutouts.is_dir() else None)
        sizes = ", ".join(f"{path.stat().st_size / 1e6:.1f}" for path in paths)
        print(f"{IMAGES} images of {WIDTH} x {HEIGHT}, {sizes} MB; bundle {bundle.name}")
        compare(bundle, find_bundle(options.plain or bundle), folder, options.rounds)
        decoding(folder, options.rounds)
        shares(bundle, folder, options.rounds)
        scaling(bundle, folder, options.rounds)
        cold(bundle, folder, 5)


if __name__ == "__main__":
    main()
