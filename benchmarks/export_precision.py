"""What int8 would bring each part of the starter bundle, on this machine: paired times and agreement.

    python -m benchmarks.export_precision [--source DIR] [--images DIR]

Needs the export extra. The detector's int8 is the best of the recipes that were tried (everything but the
heads, activations and sums included); it is here to be measured again where processors differ.
"""

from __future__ import annotations

import argparse
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from export import calibration, centernet, quantise, starter, starter_gate, starter_spec, trial
from export.gate import Candidate, Measured
from export.starter_gate import Plain, Request

HEADS = (
    "CenternetHead/centernet_cls_output/BiasAdd",
    "CenternetHead/centernet_wh_output/BiasAdd",
    "groups/sum",
)


def main() -> int:
    """Measure and print; 0 unless the extra is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, help="packages as downloaded")
    parser.add_argument("--images", type=Path, help="pictures to compare on; made-up ones by default")
    arguments = parser.parse_args()
    if find_spec("torch") is None:
        print("skipped: needs the export extra")
        return 0
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as name:
        scratch, request = Path(name), Request(arguments.source, evaluation=arguments.images)
        plain = starter.assemble(scratch, request, print)
        chosen, _ = starter_gate.choose_precisions(plain, request, scratch, print)
        for part, measured in {**chosen, "detector in int8": detector_int8(plain, request, scratch)}.items():
            show(part, measured)
    return 0


def detector_int8(plain: Plain, request: Request, scratch: Path) -> Measured:
    """The detector in static int8 against its fp32 graph."""
    import onnx  # noqa: PLC0415 - only where the extra is

    size = (centernet.WIDTH, centernet.HEIGHT)
    scenes = calibration.scenes(16, *size, calibration.CALIBRATION_SEED)
    samples = [{centernet.INPUT: np.asarray(scene[None])} for scene in scenes]
    images = (
        calibration.own_pictures(request.evaluation)
        if request.evaluation
        else calibration.scenes(48, *size, calibration.HELD_OUT_SEED)
    )
    model = quantise.static_int8(onnx.load(plain.detector), samples, HEADS)
    spec = starter_spec.detector(starter_spec.Stored("0" * 64, "on trial"))
    bench = trial.Bench(scratch, images)
    return trial.detector_trial(bench, plain.detector, spec, Candidate("int8", lambda: model), model)


def show(part: str, measured: Measured) -> None:
    """One part's line, and what it lost."""
    cost = measured.cost
    times = f"{cost.run_ms:.2f} ms, fp32 {cost.reference_ms:.2f}: {cost.speedup:.2f} times as fast"
    size = f"{cost.bytes / 1e6:.2f} MB, opens in {cost.load_ms:.1f} ms"
    print(f"{part:18} {measured.candidate.precision}: {size}, {times}")
    print(f"{'':18} {measured.quality}")


if __name__ == "__main__":
    raise SystemExit(main())
