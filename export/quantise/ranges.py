"""Calibration: which values each activation takes. Measured once for a graph, used by every form of it."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import ExportError
from export import bias
from export.fuse import fuse_silu
from export.quantise.gated import gated, lower_ends
from export.quantise.graphs import Array, Feed, copied, same_nodes, save
from export.quantise.scheme import Method

PERCENTILE = 99.999
"""Share of values, in percent, that the method of that name keeps."""

_CORRECTED_FOR = 64  # 7 bits, as x86 takes them; other forms differ too little for a calibration of their own


@dataclass(frozen=True)
class Ranges:
    """A graph and what its values were on the calibration's samples.

    Attributes:
        original: the graph as it came.
        model: the same, shapes inferred, constants folded.
        tensors: ONNX Runtime's ``TensorsData``: smallest and largest of each value.
        means: of each channel of every convolution's input.
    """

    original: Any
    model: Any
    tensors: Any
    means: Mapping[str, Array]


class Material:
    """A float32 graph with samples of its inputs; what is costly to know of them is found out once.

    Args:
        model: an ``onnx.ModelProto`` in float32, nodes named.
        samples: inputs to calibrate with, one feed each.
        left_out: nodes that stay in float32 in every form.
    """

    def __init__(self, model: Any, samples: Sequence[Feed] = (), left_out: Sequence[str] = ()) -> None:
        self.model = model
        self.samples = samples
        self.left_out = tuple(left_out)
        self._ranges: dict[tuple[Method, bool], Ranges] = {}

    def ranges(self, method: Method = "minmax", *, fused: bool = False) -> Ranges:
        """The calibration, made on the first call.

        Args:
            method: how a value's range follows from what was seen of it.
            fused: activations x * sigmoid(x) as one operation of ONNX Runtime's own; for CPUs.

        Raises:
            ExportError: there are no samples.
        """
        key = (method, fused)
        if key not in self._ranges:
            self._ranges[key] = calibrated(self, method, fused=fused)
        return self._ranges[key]


def calibrated(material: Material, method: Method, *, fused: bool) -> Ranges:
    """Run samples through a graph and keep what its values were; arguments as in :meth:`Material.ranges`.

    Biases are corrected before, since rounding the weights moves values to where they then are in float.

    Raises:
        ExportError: there are no samples.
    """
    model, samples = material.model, material.samples
    if not samples:
        raise ExportError("nothing to calibrate with", subject="static int8", hint="it takes some pictures")
    with tempfile.TemporaryDirectory(prefix="edge-calibrate-") as folder:
        prepared = _prepared(model, Path(folder), fused=fused)
        inputs = [node.input[0] for node in prepared.graph.node if node.op_type == "Conv"]
        means = bias.channel_means(prepared, inputs, samples) if inputs else {}
        kept = same_nodes(model, prepared, material.left_out)
        corrected = bias.shifted(copied(prepared), means, kept, _CORRECTED_FOR)
        tensors = _limits(save(corrected, Path(folder) / "corrected.onnx"), samples, method)
    return Ranges(model, prepared, _narrowed(corrected, tensors, samples), means)


def _prepared(model: Any, folder: Path, *, fused: bool) -> Any:
    """Shapes inferred, constants folded: what calibration and quantisation both start from.

    Activations are fused last, since nothing infers shapes through what they become.
    """
    import onnx  # noqa: PLC0415
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    plain, prepared = save(model, folder / "plain.onnx"), folder / "prepared.onnx"
    quant_pre_process(plain, prepared, skip_symbolic_shape=True)
    if fused:
        save(fuse_silu(onnx.load(prepared)), prepared)
    return onnx.load(prepared)


def _limits(graph: Path, samples: Sequence[Feed], method: Method) -> Any:
    """ONNX Runtime's calibration of every value, whatever nodes a form of the graph leaves out later.

    One sample at a time: its collectors otherwise keep all activations of all samples in memory.
    """
    from onnxruntime.quantization import CalibrationMethod, create_calibrator  # noqa: PLC0415

    methods = {
        "minmax": CalibrationMethod.MinMax,
        "entropy": CalibrationMethod.Entropy,
        "percentile": CalibrationMethod.Percentile,
    }
    extra = {"percentile": PERCENTILE, "symmetric": False} if method == "percentile" else {}
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
        calibrator = create_calibrator(
            graph,
            None,
            augmented_model_path=str(graph.with_name("augmented.onnx")),
            calibrate_method=methods[method],
            extra_options=extra,
        )
        for sample in samples:
            calibrator.collect_data(_One(sample))
        return calibrator.compute_data()


def _narrowed(model: Any, tensors: Any, samples: Sequence[Feed]) -> Any:
    """The same ranges, without what an activation makes nothing of."""
    from onnxruntime.quantization import TensorData  # noqa: PLC0415

    names = [name for name in gated(model) if name in tensors]
    if not names:
        return tensors
    ends = [tensors[name].range_value for name in names]
    pairs = [(float(np.min(low)), float(np.max(high))) for low, high in ends]
    lows = lower_ends(model, names, samples, pairs)
    for name, low, (_, high) in zip(names, lows, pairs, strict=True):
        tensors.data[name] = TensorData(lowest=np.float32(low), highest=np.float32(high))
    return tensors


class _One:
    """One sample, as a calibrator reads it."""

    def __init__(self, sample: Feed) -> None:
        self._left: Iterator[Feed] = iter((dict(sample),))

    def get_next(self) -> Feed | None:
        return next(self._left, None)
