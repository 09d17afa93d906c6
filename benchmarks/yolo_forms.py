"""The forms of a YOLO that :mod:`benchmarks.export_yolo` compares: how each is made, and how each is run."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge.settings import VisionSettings
from edge.vision import detect, manifest
from edge.vision.decode import Pixels, decode, read_header
from edge.vision.preprocess import Preprocessor, allocate
from edge.vision.session import Model, runtime
from export import frameworks
from export.quantise import Material
from export.recipes import candidates
from export.request import Options
from export.yolo import build_network, options_of
from export.yolo.checkpoint import load

FORMS = ("int8", "fp32", "predict", "torch", "theirs", "dynamic")


def make_forms(
    weights: Path, size: str, pictures: tuple[Path, Sequence[Path]], folder: Path, options: Options
) -> tuple[manifest.Detector, float]:
    """Write ``int8.onnx``, ``fp32.onnx``, ``theirs.onnx``, ``dynamic.onnx`` and what runs them.

    Args:
        weights: the checkpoint.
        size: of the input.
        pictures: the folder to calibrate with, and others.
        folder: to write into.
        options: for experts.

    Returns:
        The manifest's section, and the largest difference of fp32 from ultralytics.
    """
    import onnx  # noqa: PLC0415

    images = [_pixels(path) for path in pictures[1][:4]]
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as scratch:
        draft = build_network(options_of(weights, size=size), Path(scratch), lambda _: None, images).drafts[
            "detector"
        ]
        if not isinstance(draft.section, manifest.Detector):
            raise TypeError("not a detector")
        (folder / "fp32.onnx").write_bytes(draft.graph.read_bytes())
        spec = draft.section
        samples = [{spec.input.name: batch} for batch in _batches(pictures[0], spec.input)]
        material = Material(onnx.load(draft.graph), samples, draft.traits.left_out)
        (form,) = candidates(
            draft.traits, material, part="detector", target="x86", precision="int8-static",
            options=options, ranking=list,
        )  # fmt: skip
        onnx.save(form.build(), folder / "int8.onnx")
        difference = draft.difference
    (folder / "section.json").write_text(spec.model_dump_json(), "utf-8")
    (folder / "weights.txt").write_text(str(weights.resolve()), "utf-8")
    _theirs(weights, spec.input, [sample[spec.input.name] for sample in samples], folder)
    return spec, difference


def opened(form: str, folder: Path, image: Pixels) -> Callable[[], object]:
    """What one run of a form is.

    Args:
        form: one of :data:`FORMS`.
        folder: that :func:`make_forms` wrote.
        image: HWC uint8 RGB.
    """
    spec = manifest.Detector.model_validate_json((folder / "section.json").read_text("utf-8"))
    if form in {"int8", "fp32"}:
        return _device(folder / f"{form}.onnx", spec, image)
    if form in {"theirs", "dynamic"}:
        return _session(folder / f"{form}.onnx", _planes(next(_one(image, spec.input))))
    weights = Path((folder / "weights.txt").read_text("utf-8"))
    frameworks.ultralytics()
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    if form == "torch":
        return _torch(weights, _planes(next(_one(image, spec.input))))
    return _predict(weights, spec.input, image)


def _device(graph: Path, spec: manifest.Detector, image: Pixels) -> Callable[[], object]:
    detector = detect.Detector(Model(graph), spec, detect.thresholds_of(spec, VisionSettings()))
    buffers = detector.buffers()
    return lambda: detector(image, buffers)


def _session(graph: Path, pixels: Any) -> Callable[[], object]:
    ort = runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"images": pixels})


def _torch(weights: Path, pixels: Any) -> Callable[[], object]:
    import torch  # noqa: PLC0415

    network, batch = load(weights).model, torch.from_numpy(pixels)

    def run() -> object:
        with torch.inference_mode():
            return network(batch)

    return run


def _predict(weights: Path, spec: manifest.ImageInput, image: Pixels) -> Callable[[], object]:
    from ultralytics import YOLO  # noqa: PLC0415

    model, picture = YOLO(str(weights)), np.ascontiguousarray(image[:, :, ::-1])
    size = [spec.height, spec.width]
    # rect=False: the same input as the others; by itself it crops an oblong picture's padding.
    return lambda: model.predict(picture, imgsz=size, device="cpu", verbose=False, rect=False)


def _theirs(weights: Path, spec: manifest.ImageInput, batches: Sequence[Any], folder: Path) -> None:
    """Ultralytics' own graph, by its own quantiser for ONNX and by the one that tutorials take."""
    frameworks.ultralytics()
    import torch  # noqa: PLC0415
    from onnxruntime.quantization import quantize_dynamic  # noqa: PLC0415
    from ultralytics.utils.export.onnx import onnx_int8_quantize  # noqa: PLC0415

    network, plain = load(weights).model, folder / "plain.onnx"
    network.model[-1].export, network.model[-1].format = True, "onnx"
    sample = torch.zeros((1, 3, spec.height, spec.width))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        network(sample)
        torch.onnx.export(network, (sample,), plain, dynamo=False, opset_version=17, input_names=["images"])
    onnx_int8_quantize(plain, folder / "theirs.onnx", list(batches), _planes)
    quantize_dynamic(plain, folder / "dynamic.onnx")


def _planes(batch: Any) -> Any:
    """The device's uint8 NHWC as ultralytics' float32 NCHW, 0 to 1."""
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2)).astype(np.float32) / 255


def _batches(folder: Path, spec: manifest.ImageInput) -> Iterator[Any]:
    for path in sorted(folder.iterdir()):
        yield from _one(_pixels(path), spec)


def _one(image: Pixels, spec: manifest.ImageInput) -> Iterator[Any]:
    batch = allocate(spec)
    Preprocessor(spec)(image, batch[0])
    yield batch


def _pixels(path: Path) -> Pixels:
    data = path.read_bytes()
    header = read_header(data, max_pixels=10**9)
    return decode(data, header, 2 if header.width > 1600 else 1)
