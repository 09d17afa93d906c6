"""What the starter bundle's manifest says of its parts."""

from __future__ import annotations

from dataclasses import dataclass

from edge.vision.manifest import Detector, Golden, ImageInput, Manifest, Text, Thresholds, Visual
from export import centernet, conse, efficientnet, minilm
from export.graph import OPSET
from export.manifest import source_of
from export.sources import STARTER

VERSION = "1.0.0"
LICENSE = "Apache-2.0 AND MIT"
MAX_TOKENS = 128  # what the text model was trained with, and far more than a prompt needs
LOGIT_SCALE = 20.0
"""With it the likeliest label's probability is about as often right as it says, measured on real crops."""

THRESHOLDS = Thresholds(animal=0.28, person=0.35, vehicle=0.35, iou=0.5)
MIN_COSINE = {"detector": 0.99, "visual": 0.95, "text": 0.99}
NOTES = (
    "Runs everywhere, knows the 1000 things of ImageNet by their names. There is no deer, moose, raccoon or "
    "opossum among them: a deer is placed near antelopes. Queries that describe instead of naming fail."
)
DETECTOR, VISUAL, TEXT, TOKENIZER, GOLDEN = (
    "detector.onnx", "visual.onnx", "text.onnx", "tokenizer.json", "golden.npz",
)  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """How one file of the bundle is stored."""

    sha256: str
    precision: str
    unquantised: tuple[str, ...] = ()
    why: str = ""


def detector(stored: Stored) -> Detector:
    """The detector's section."""
    kinds = tuple(centernet.GROUPS)
    return Detector(
        file=DETECTOR,
        sha256=stored.sha256,
        opset=OPSET,
        precision=stored.precision,
        unquantised=stored.unquantised,
        unquantised_why=stored.why,
        input=ImageInput(
            name=centernet.INPUT,
            width=centernet.WIDTH,
            height=centernet.HEIGHT,
            layout="NHWC",
            dtype="uint8",
        ),
        decoder="centernet",
        outputs={"heatmap": centernet.HEATMAP, "size": centernet.BOX},
        stride=centernet.STRIDE,
        classes=kinds,
        class_map={"animal": "animal", "person": "person", "vehicle": "vehicle"},
        thresholds=THRESHOLDS,
    )


def visual(stored: Stored) -> Visual:
    """The visual tower's section."""
    side = efficientnet.LITE0.size
    return Visual(
        file=VISUAL,
        sha256=stored.sha256,
        opset=OPSET,
        precision=stored.precision,
        unquantised=stored.unquantised,
        unquantised_why=stored.why,
        input=ImageInput(
            name=efficientnet.INPUT,
            width=side,
            height=side,
            layout="NHWC",
            dtype="uint8",
            interpolation="area",
        ),
        output=conse.OUTPUT,
        dimension=minilm.HIDDEN,
        logit_scale=LOGIT_SCALE,
        crop_margin=0.05,
    )


def text(stored: Stored, tokenizer_sha256: str) -> Text:
    """The text tower's section."""
    return Text(
        file=TEXT,
        sha256=stored.sha256,
        opset=OPSET,
        precision=stored.precision,
        unquantised=stored.unquantised,
        unquantised_why=stored.why,
        ids=minilm.IDS,
        mask=minilm.MASK,
        output=minilm.OUTPUT,
        tokenizer=TOKENIZER,
        tokenizer_sha256=tokenizer_sha256,
        max_tokens=MAX_TOKENS,
    )


def manifest(parts: tuple[Detector, Visual, Text], golden_sha256: str) -> Manifest:
    """The whole manifest."""
    return Manifest(
        name="starter",
        version=VERSION,
        license=LICENSE,
        notes=NOTES,
        sources=tuple(source_of(pinned) for pinned in STARTER),
        detector=parts[0],
        visual=parts[1],
        text=parts[2],
        golden=Golden(file=GOLDEN, sha256=golden_sha256, min_cosine=dict(MIN_COSINE)),
    )
