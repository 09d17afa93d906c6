"""What the starter bundle's manifest says of its parts, and what the quantiser has to know of them."""

from __future__ import annotations

from pathlib import Path

from edge.vision.manifest import Detector, ImageInput, Text, Thresholds, Visual
from export import centernet, conse, efficientnet, minilm
from export.graph import OPSET
from export.manifest import source_of
from export.network import UNKNOWN_SHA256, Origin, PartName, Traits
from export.sources import STARTER

VERSION = "1.0.0"
LICENSE = "Apache-2.0 AND MIT"
MAX_TOKENS = 128  # what the text model was trained with, and far more than a prompt needs
LOGIT_SCALE = 20.0
"""With it the likeliest label's probability is about as often right as it says, measured on real crops."""

THRESHOLDS = Thresholds(animal=0.28, person=0.35, vehicle=0.35, iou=0.5)
MIN_COSINE: dict[PartName, float] = {"detector": 0.99, "visual": 0.95, "text": 0.99}
NOTES = (
    "Runs everywhere, knows the 1000 things of ImageNet by their names. There is no deer, moose, raccoon or "
    "opossum among them: a deer is placed near antelopes. Queries that describe instead of naming fail."
)
TRAITS: dict[PartName, Traits] = {
    "detector": Traits(
        family="convolutional",
        head=(
            "CenternetHead/centernet_cls_output/BiasAdd",
            "CenternetHead/centernet_wh_output/BiasAdd",
            "groups/sum",
        ),
    ),
    "visual": Traits(
        family="convolutional",
        left_out=("_conv_stem", "_blocks.0._depthwise_conv"),
        why="the first two layers lose most of what int8 loses, and a first convolution is no faster",
    ),
    "text": Traits(family="transformer"),
}
_LICENSES = Path(__file__).with_name("licenses")


def origin() -> Origin:
    """Name, licences, sources."""
    return Origin(
        name="starter",
        version=VERSION,
        license=LICENSE,
        notes=NOTES,
        sources=tuple(source_of(pinned) for pinned in STARTER),
        texts=tuple(sorted(_LICENSES.iterdir())),
    )


def detector() -> Detector:
    """The detector's section, of the fp32 graph."""
    return Detector(
        file="detector.onnx",
        sha256=UNKNOWN_SHA256,
        opset=OPSET,
        precision="fp32",
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
        classes=tuple(centernet.GROUPS),
        class_map={"animal": "animal", "person": "person", "vehicle": "vehicle"},
        thresholds=THRESHOLDS,
    )


def visual() -> Visual:
    """The visual tower's section, of the fp32 graph."""
    side = efficientnet.LITE0.size
    return Visual(
        file="visual.onnx",
        sha256=UNKNOWN_SHA256,
        opset=OPSET,
        precision="fp32",
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


def text() -> Text:
    """The text tower's section, of the fp32 graph."""
    return Text(
        file="text.onnx",
        sha256=UNKNOWN_SHA256,
        opset=OPSET,
        precision="fp32",
        ids=minilm.IDS,
        mask=minilm.MASK,
        output=minilm.OUTPUT,
        tokenizer_sha256=UNKNOWN_SHA256,
        max_tokens=MAX_TOKENS,
    )
