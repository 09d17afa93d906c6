"""One way of running one tower, in a process of its own: told to go, it answers with milliseconds.

Started by :mod:`benchmarks.export_clip` with ``clip_worker.py KIND MODEL FEED.npz CORE``, where KIND is
``torch-visual``, ``torch-text``, ``onnx`` or ``openvino``. The last runs in an environment of its own, with
``openvino`` and ``nncf`` from PyPI, so this file must need nothing of the project there.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, Any]
REPEATS = 3


def main(kind: str, model: Path, feed: Path, core: int) -> None:
    """Load, warm up, say so; then a measurement for each line on standard input."""
    os.sched_setaffinity(0, {core})
    with np.load(feed) as content:
        inputs = {name: content[name] for name in content}
    run = _RUNNERS[kind](model, inputs)
    for _ in range(3):
        run()
    print("ready", flush=True)
    for _ in sys.stdin:
        print(*_measured(run), flush=True)


def _measured(run: Callable[[], object]) -> tuple[float, float]:
    """Median milliseconds of a run: by the clock, and of the processor."""
    wall, busy = [], []
    for _ in range(REPEATS):
        began, began_busy = time.perf_counter(), time.process_time()
        run()
        busy.append((time.process_time() - began_busy) * 1e3)
        wall.append((time.perf_counter() - began) * 1e3)
    return statistics.median(wall), statistics.median(busy)


def _torch(method: str, entry: str) -> Callable[[Path, Arrays], Callable[[], object]]:
    def load(model: Path, inputs: Arrays) -> Callable[[], object]:
        from export import frameworks  # noqa: PLC0415 - not where OpenVINO runs

        frameworks.prepare()
        torch, transformers = frameworks.imported("torch"), frameworks.imported("transformers")
        torch.set_num_threads(1)
        network = transformers.CLIPModel.from_pretrained(model, local_files_only=True).eval()
        values = torch.from_numpy(inputs[entry])

        def run() -> object:
            with torch.inference_mode():
                return getattr(network, method)(values)

        return run

    return load


def _onnx(model: Path, inputs: Arrays) -> Callable[[], object]:
    from edge.vision.session import Model  # noqa: PLC0415 - not where OpenVINO runs

    session = Model(model)
    feed = {name: inputs[name] for name in session.inputs}
    return lambda: session.run(feed, session.outputs)


def _openvino(model: Path, inputs: Arrays) -> Callable[[], object]:
    """The fp32 graph, quantised by NNCF (static, weights and activations) and compiled for one thread."""
    import nncf  # type: ignore[import-not-found]  # noqa: PLC0415 - in its own environment only
    import openvino  # type: ignore[import-not-found]  # noqa: PLC0415

    network = openvino.Core().read_model(model)
    names = [entry.any_name for entry in network.inputs]
    network.reshape({name: list(inputs[name].shape) for name in names})
    samples = nncf.Dataset(_samples({name: inputs[name] for name in names}))
    quantised = nncf.quantize(network, samples, model_type=nncf.ModelType.TRANSFORMER, subset_size=16)
    settings = {
        "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }  # fmt: skip
    request = openvino.Core().compile_model(quantised, "CPU", settings).create_infer_request()
    return lambda: request.infer({name: inputs[name] for name in names})


def _samples(inputs: Arrays) -> list[Arrays]:
    """The input itself and variations of it: enough for speed, which is all that is measured here."""
    random = np.random.default_rng(3)
    return [{name: random.permuted(array, axis=-1) for name, array in inputs.items()} for _ in range(16)]


_RUNNERS: dict[str, Callable[[Path, Arrays], Callable[[], object]]] = {
    "torch-visual": _torch("get_image_features", "planes"),
    "torch-text": _torch("get_text_features", "input_ids"),
    "onnx": _onnx,
    "openvino": _openvino,
}

if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
