"""A YOLO from checkpoint to int8 against its other forms: how many boxes are found again, sizes, times.

``python -m benchmarks.export_yolo`` needs the ``export`` extra and real pictures (``EDGE_SHARED``); it takes
some ten minutes. For each checkpoint and size the product's own export makes int8, calibrated on some of the
pictures, and everything is judged on the others.

=================  =====================================================================================
``int8``           the export's static form for x86; device's preprocessing and decode included
``fp32``           the same graph before quantising, same code around it
``predict``        ``ultralytics.predict`` on the decoded picture, at its defaults, one thread
``torch``          ultralytics' module, batch normalisation folded, on a tensor that is made already
``theirs``         ultralytics' own int8 for ONNX: its quantiser (``onnx_int8_quantize``) on its own graph,
                   calibrated on the same pictures; session run alone, one thread
``dynamic``        the same graph by ``quantize_dynamic``, as tutorials and most int8 files on the web
=================  =====================================================================================

Every form runs in a process of its own, pinned to one core, and takes its turns with the others; a ratio is
that of the two in one turn. Times of one machine mean little, ratios more.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.yolo_forms import FORMS, make_forms, opened
from edge.settings import VisionSettings
from edge.vision import detect, manifest
from edge.vision.decode import Pixels, decode, read_header
from edge.vision.session import Model
from export import measure
from export.request import Options

SHARED = Path(os.environ.get("EDGE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
THRESHOLDS = (0.1, 0.2, 0.3)
BARS = {"torch": "2.7 pass, 3.6 aim", "fp32": "1.5 pass, 2.0 aim", "theirs": "2 pass, 3 aim"}
FLIP = 0.05
"""A box whose score is this near to the threshold may fall on either side of it."""


def pictures(folder: Path) -> list[Path]:
    """JPEGs, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})


def pixels(path: Path) -> Pixels:
    """A picture at half its size, as the device decodes those of 8 million pixels and more."""
    data = path.read_bytes()
    header = read_header(data, max_pixels=10**9)
    return decode(data, header, 2 if header.width > 1600 else 1)


def found(graph: Path, spec: manifest.Detector, images: Sequence[Pixels], threshold: float) -> list[Any]:
    """Per image n x 6: left, top, right, bottom (relative), kind, score."""
    limits = dict.fromkeys(detect.thresholds_of(spec, VisionSettings()), threshold)
    detector = detect.Detector(Model(graph), spec, limits)
    buffers = detector.buffers()
    seen = [detector(image, buffers)[0] for image in images]
    return [np.column_stack([each.boxes, each.kinds, each.scores]) for each in seen]


def quality(fp32: Path, int8: Path, spec: manifest.Detector, images: Sequence[Pixels]) -> None:
    """Print recall and precision against fp32, by size; strict, and without boxes close to the threshold."""
    for threshold in THRESHOLDS:
        want, have = (found(graph, spec, images, threshold) for graph in (fp32, int8))
        low_want, low_have = (found(graph, spec, images, threshold - FLIP) for graph in (fp32, int8))
        strict = measure.boxes(_placed(want), _placed(have))
        recall = measure.boxes(_placed(want), _placed(low_have)).recall
        precision = measure.boxes(_placed(low_want), _placed(have)).precision
        print(f"  threshold {threshold}: recall {_line(strict.recall)}")
        print(f"                 precision {_line(strict.precision)}")
        print(f"     within {FLIP} of the threshold either way: {recall['all']:.3f}, {precision['all']:.3f}")


def _placed(rows: Sequence[Any]) -> list[Any]:
    return [each[:, :5] for each in rows]


def _line(shares: Any) -> str:
    return ", ".join(f"{name} {share:.3f}" for name, share in shares.items())


class Runner:
    """One form in a process of its own, which runs once for each line that it is given."""

    def __init__(self, form: str, folder: Path, core: int) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.export_yolo", "--run", form, str(folder)]
        self._process = subprocess.Popen(
            [*command, "--core", str(core)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self()

    def __call__(self) -> float:
        """Milliseconds of one run."""
        if self._process.stdin is None or self._process.stdout is None:
            raise OSError("no pipe")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """Let the process end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def serve(form: str, folder: Path, core: int) -> None:
    """The other end of :class:`Runner`."""
    os.sched_setaffinity(0, {core})
    cv2.setNumThreads(1)
    image = np.load(folder / "image.npy")
    run: Callable[[], object] = opened(form, folder, image)
    run()
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        print((time.perf_counter() - start) * 1e3, flush=True)


def turns(forms: Sequence[str], folder: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every form, in turns."""
    core = max(os.sched_getaffinity(0))
    with ExitStack() as stack:
        runners = {form: Runner(form, folder, core) for form in forms}
        for runner in runners.values():
            stack.callback(runner.close)
        return _rounds(runners, rounds)


def _rounds(runners: dict[str, Runner], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {form: [] for form in runners}
    for number in range(rounds + 2):
        for form, runner in runners.items():
            spent = runner()
            if number >= 2:
                times[form].append(spent)
    return times


def print_times(times: dict[str, list[float]]) -> None:
    """Medians, and how many times as long as int8 in the same turn, with the quartiles."""
    for form, spent in times.items():
        ratios = [other / own for other, own in zip(spent, times["int8"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        bar = f"   ({BARS[form]})" if form in BARS else ""
        print(
            f"  {form:8} {statistics.median(spent):7.1f} ms   {middle:5.2f}x ({low:.2f} to {high:.2f}){bar}"
        )


def splits(paths: Sequence[Path], folder: Path) -> tuple[Path, list[Path]]:
    """Every third picture as links in a folder, for calibration; the others."""
    own = folder / "calibration"
    own.mkdir()
    for number, path in enumerate(paths[::3]):
        (own / f"{number:04}{path.suffix}").symlink_to(path.resolve())
    return own, [path for number, path in enumerate(paths) if number % 3]


def bench(weights: Path, size: str, paths: Sequence[Path], rounds: int, options: Options) -> None:
    """One checkpoint at one size."""
    print(f"\n{weights.name}, {size}", flush=True)
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as name:
        folder = Path(name)
        calibration, others = splits(paths, folder)
        images = [pixels(path) for path in others]
        spec, difference = make_forms(weights, size, (calibration, others), folder, options)
        np.save(folder / "image.npy", images[0])
        print(f"  fp32 ONNX against torch and ultralytics: {difference:.1e} at most (1e-3 allowed)")
        print(f"  pictures: {len(paths) - len(others)} for calibration, {len(others)} others")
        quality(folder / "fp32.onnx", folder / "int8.onnx", spec, images)
        sizes = {
            form: (folder / f"{form}.onnx").stat().st_size for form in ("int8", "fp32", "theirs", "dynamic")
        }
        ratio = sizes["fp32"] / sizes["int8"]
        listed = ", ".join(f"{form} {count / 1e6:.2f} MB" for form, count in sizes.items())
        print(f"  sizes: {listed}; {ratio:.2f} times smaller (3.5 wanted)", flush=True)
        print_times(turns(list(FORMS), folder, rounds))


def _asked() -> Iterator[argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    models = SHARED / "models"
    default = [models / "yolo11n_dequant.pt", models / "yolov8n_dequant.pt"]
    parser.add_argument("--weights", type=Path, nargs="+", default=default)
    parser.add_argument("--sizes", nargs="+", default=["640", "640x480"])
    parser.add_argument("--pictures", type=Path, default=SHARED / "data" / "trap-images")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--weight-bits", type=int, choices=(7, 8))
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, default=0, help=argparse.SUPPRESS)
    yield parser.parse_args()


def main() -> int:
    """Everything, printed."""
    asked = next(_asked())
    if asked.run:
        serve(asked.run[0], Path(asked.run[1]), asked.core)
        return 0
    paths = pictures(asked.pictures)
    if len(paths) < 6:
        print(f"skipped: too few pictures in {asked.pictures}; set EDGE_SHARED or give --pictures")
        return 0
    print(json.dumps({"cores": os.cpu_count(), "pictures": len(paths)}))
    for weights in asked.weights:
        for size in asked.sizes:
            bench(weights, size, paths, asked.rounds, Options(weight_bits=asked.weight_bits))
    return 0


if __name__ == "__main__":
    sys.exit(main())
