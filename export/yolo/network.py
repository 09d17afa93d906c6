"""A checkpoint to a :class:`~export.network.Network`: the detector of a bundle, in fp32."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.vision import manifest
from edge.vision.heads import decoder_of
from edge.vision.manifest import Kind, Source
from export.calibration import HELD_OUT_SEED, scenes
from export.network import UNKNOWN_SHA256, Draft, Network, Origin, Traits
from export.yolo.checkpoint import AGPL, Checkpoint, load
from export.yolo.classes import class_map, is_coco
from export.yolo.compare import difference, feeds, refuse
from export.yolo.graph import INPUT, OPSET, Exported, export
from export.yolo.options import YoloOptions, check_grid

Image = NDArray[np.uint8]

COCO_THRESHOLDS: Final[Mapping[Kind, float]] = {"animal": 0.2, "person": 0.4, "vehicle": 0.4}
OTHER_THRESHOLDS: Final[Mapping[Kind, float]] = {"animal": 0.2, "person": 0.2, "vehicle": 0.2}
OVERLAP: Final = 0.5
"""Boxes of a kind that overlap by more are one; their own 0.7 leaves doubles where classes are pooled."""

MIN_COSINE: Final = 0.98
_SAMPLES: Final = 4
_PLAIN: Final = (
    "the first convolution and those with groups are faster in float32 on processors; values of the first "
    "layers reach far, and so do int8's steps; attention takes its errors to the power of e; the head's last "
    "convolutions decide by small differences"
)
_QUERIES: Final = _PLAIN + "; RT-DETR's decoder loses its queries in int8"
_AGPL_NOTE: Final = (
    "Weights under AGPL-3.0: this file is a form of them. Whoever passes it on, or lets others use it over a "
    "network, owes them the corresponding source under the same licence."
)


def build_network(
    options: YoloOptions, scratch: Path, say: Callable[[str], None], images: Sequence[Image] = ()
) -> Network:
    """Open a checkpoint, write its graph in fp32, and compare it with torch and ultralytics.

    Args:
        options: what is asked for.
        scratch: folder for the ONNX file; the caller's.
        say: told of each step in a few words.
        images: to compare on, HWC uint8 RGB of any size; made-up scenes where there are none.

    Raises:
        ExportError: the checkpoint or its classes can't be used, or ONNX computes something else.
        UsageError: the size isn't a multiple of the network's coarsest stride.
    """
    say("opening the checkpoint")
    checkpoint = load(options.weights, unsafe=options.unsafe)
    check_grid(options.width, options.height, checkpoint.grid)
    kinds = class_map(checkpoint.names, options.given)
    say("writing ONNX")
    exported = export(checkpoint, options.width, options.height, scratch / "detector.onnx")
    section = section_of(options, checkpoint, exported, kinds)
    say("comparing with ultralytics")
    seen = images or scenes(_SAMPLES, options.width, options.height, HELD_OUT_SEED)
    batches = list(feeds(seen[:_SAMPLES], section.input))
    found = difference(checkpoint, exported, batches, decoder_of(section))
    refuse(found, checkpoint)
    golden = {INPUT: np.concatenate(batches[:2])}
    traits = traits_of(checkpoint, exported)
    draft = Draft(section, exported.path, found.largest, golden, MIN_COSINE, traits)
    return Network(_origin(options, checkpoint), {"detector": draft})


def section_of(
    options: YoloOptions, checkpoint: Checkpoint, exported: Exported, kinds: Mapping[str, Kind]
) -> manifest.Detector:
    """The manifest's section of a detector whose file isn't chosen yet."""
    thresholds = {
        **(COCO_THRESHOLDS if is_coco(checkpoint.names) else OTHER_THRESHOLDS),
        **options.thresholds,
    }
    return manifest.Detector(
        file="detector.onnx",
        sha256=UNKNOWN_SHA256,
        opset=OPSET,
        precision="fp32",
        input=manifest.ImageInput(
            name=INPUT,
            width=options.width,
            height=options.height,
            layout="NHWC",
            dtype="uint8",
            resize="stretch" if checkpoint.queries else "letterbox",
        ),
        decoder="boxes" if checkpoint.queries else "yolo-dfl",
        outputs={name: name for name in exported.outputs},
        classes=checkpoint.names,
        class_map=dict(kinds),
        thresholds=manifest.Thresholds(**thresholds, iou=OVERLAP),
    )


def traits_of(checkpoint: Checkpoint, exported: Exported) -> Traits:
    """What the quantiser has to know."""
    left_out = dict.fromkeys(
        (
            *exported.first,
            *exported.fine,
            *exported.grouped,
            *exported.attention,
            *exported.head,
            *exported.decoding,
        )
    )
    return Traits(
        family="convolutional",
        left_out=tuple(left_out),
        why=_QUERIES if checkpoint.queries else _PLAIN,
        head=exported.head,
    )


def _origin(options: YoloOptions, checkpoint: Checkpoint) -> Origin:
    license_ = options.license or checkpoint.license
    version = options.version or checkpoint.sha256[:12]
    source = Source(
        name=options.name,
        version=version,
        file=checkpoint.path.name,
        sha256=checkpoint.sha256,
        license=license_,
        origin="given as a local file",
    )
    agpl = license_ == AGPL
    return Origin(
        options.name, version, license_, _AGPL_NOTE if agpl else "", (source,), _texts() if agpl else ()
    )


def _texts() -> tuple[Path, ...]:
    """The licence's text, which ultralytics brings along."""
    files: list[Any] = list(metadata.files("ultralytics") or ())
    found = [Path(str(file.locate())) for file in files if file.name == "LICENSE"]
    return tuple(path for path in found[:1] if path.is_file())
