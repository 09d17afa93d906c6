"""A bundle small enough to compute by hand: colours are kinds, words are colours.

The detector's heat map is the mean of each 4 x 4 pixels, its channels ``red`` (animal), ``green`` (person),
``blue`` (vehicle); every box reaches 8 pixels to each side. The visual tower is the mean colour, scaled to
length 1; the text tower the mean of its words' colours.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import tomli_w
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edge.vision.labels import Label, LabelSet
from edge.vision.manifest import MANIFEST

SIDE, STRIDE, REACH, CROP = 64, 4, 8, 16
WORDS = {"[UNK]": 0, "red": 1, "green": 2, "blue": 3, "white": 4}
COLOURS = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], np.float32)
LABELS = LabelSet(
    name="colours",
    labels=tuple(
        Label(label=word.title(), prompts=(word, f"{word} {word}")) for word in ("red", "green", "blue")
    ),
)


def jpeg(pixels: npt.NDArray[np.uint8], **options: Any) -> bytes:
    """HWC RGB (or HW grey) pixels as a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **{"quality": 95, "subsampling": 0, **options})
    return stream.getvalue()


def scene(*spots: tuple[int, int, tuple[int, int, int]], side: int = SIDE) -> npt.NDArray[np.uint8]:
    """A black image with spots of 8 x 8 pixels: left, top, colour."""
    image = np.zeros((side, side, 3), np.uint8)
    for left, top, colour in spots:
        image[top : top + 8, left : left + 8] = colour
    return image


def _save(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], values: dict[str, Any]
) -> None:
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _planes(source: str) -> list[Any]:
    return [
        helper.make_node("Transpose", [source], ["planar"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planar"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "white"], ["unit"]),
    ]


def save_detector(path: Path, *, constant: bool = False) -> None:
    """The toy detector; ``constant`` makes one that sees the same in every image."""
    cells = SIDE // STRIDE
    nodes = [
        *_planes("image"),
        *([helper.make_node("Mul", ["unit", "zero"], ["seen"])] if constant else []),
        helper.make_node(
            "AveragePool", ["seen" if constant else "unit"], ["heatmap"], kernel_shape=[4, 4], strides=[4, 4]
        ),
        helper.make_node("ReduceMean", ["heatmap"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["mean", "zeros"], ["flat"]),
        helper.make_node("Add", ["flat", "reach"], ["size"]),
    ]
    values = {
        "white": np.float32(255),
        "zero": np.float32(0),
        "zeros": np.zeros((1, 4, 1, 1), np.float32),
        "reach": np.full((1, 4, 1, 1), REACH, np.float32),
    }
    _save(
        path,
        nodes,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("heatmap", TensorProto.FLOAT, [1, 3, cells, cells]),
            helper.make_tensor_value_info("size", TensorProto.FLOAT, [1, 4, cells, cells]),
        ],
        values,
    )


def save_visual(path: Path) -> None:
    """The toy visual tower."""
    nodes = [
        *_planes("crop"),
        helper.make_node("ReduceMean", ["unit"], ["colour"], axes=[2, 3], keepdims=0),
        helper.make_node("Add", ["colour", "little"], ["lit"]),
        helper.make_node("LpNormalization", ["lit"], ["embedding"], axis=1, p=2),
    ]
    _save(
        path,
        nodes,
        [helper.make_tensor_value_info("crop", TensorProto.UINT8, ["n", CROP, CROP, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3])],
        {"white": np.float32(255), "little": np.float32(1e-4)},
    )


def save_text(path: Path) -> None:
    """The toy text tower."""
    nodes = [
        helper.make_node("Gather", ["colours", "ids"], ["words"]),
        helper.make_node("Cast", ["mask"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weights", "last"], ["column"]),
        helper.make_node("Mul", ["words", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["sum"], keepdims=0),
        helper.make_node("LpNormalization", ["sum"], ["embedding"], axis=1, p=2),
    ]
    ids = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("ids", "mask")]
    _save(
        path,
        nodes,
        ids,
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 3])],
        {"colours": COLOURS, "last": np.array([2]), "middle": np.array([1])},
    )


def save_tokenizer(path: Path) -> None:
    """One token for each word."""
    from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: PLC0415  only this function needs it

    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))  # noqa: S106  not a password
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(path))


def save_golden(bundle: Path) -> None:
    """References, computed by hand rather than by the graphs."""
    images = np.stack([scene((8, 8, (255, 0, 0))), scene((40, 40, (0, 255, 0)))])
    cells = SIDE // STRIDE
    heat = images.reshape(2, cells, STRIDE, cells, STRIDE, 3).mean((2, 4)).transpose(0, 3, 1, 2) / 255
    crops = np.zeros((2, CROP, CROP, 3), np.uint8)
    crops[0, ..., 0], crops[1, ..., 1] = 200, 200
    ids = np.array([[1, 1], [2, 3]])
    texts = COLOURS[ids].sum(1)
    np.savez(
        bundle / "golden.npz",
        **{
            "detector.input.image": images,
            "detector.output.heatmap": heat.astype(np.float32),
            "visual.input.crop": crops,
            "visual.output.embedding": np.eye(3, dtype=np.float32)[:2],
            "text.input.ids": ids,
            "text.input.mask": np.ones_like(ids),
            "text.output.embedding": texts / np.linalg.norm(texts, axis=1, keepdims=True),
        },
    )


def save_manifest(bundle: Path, **changes: dict[str, Any]) -> None:
    """The manifest with the files' digests as they are now; ``changes`` go into its tables."""

    def digest(name: str) -> str:
        return hashlib.sha256((bundle / name).read_bytes()).hexdigest()

    def graph(part: str) -> dict[str, Any]:
        return {"file": f"{part}.onnx", "sha256": digest(f"{part}.onnx"), "opset": 17, "precision": "fp32"}

    def pixels(name: str, side: int) -> dict[str, Any]:
        return {"name": name, "width": side, "height": side, "layout": "NHWC", "dtype": "uint8"}

    content: dict[str, Any] = {
        "format": 1,
        "name": "toy",
        "version": "1",
        "license": "CC0-1.0",
        "sources": [],
        "detector": {
            **graph("detector"),
            "input": pixels("image", SIDE),
            "decoder": "centernet",
            "outputs": {"heatmap": "heatmap", "size": "size"},
            "stride": STRIDE,
            "classes": ["red", "green", "blue"],
            "class_map": {"red": "animal", "green": "person", "blue": "vehicle"},
            "thresholds": {"animal": 0.3, "person": 0.3, "vehicle": 0.3, "iou": 0.3},
        },
        "visual": {
            **graph("visual"),
            "input": pixels("crop", CROP),
            "output": "embedding",
            "dimension": 3,
            "logit_scale": 20.0,
        },
        "text": {
            **graph("text"),
            "ids": "ids",
            "mask": "mask",
            "output": "embedding",
            "tokenizer_sha256": digest("tokenizer.json"),
            "max_tokens": 16,
        },
        "golden": {
            "sha256": digest("golden.npz"),
            "min_cosine": {"detector": 0.99, "visual": 0.99, "text": 0.99},
        },
    }
    for table, values in changes.items():
        content[table] = {**content[table], **values}
    (bundle / MANIFEST).write_text(tomli_w.dumps(content), "utf-8")


def save_bundle(bundle: Path) -> Path:
    """The whole toy bundle."""
    bundle.mkdir(parents=True, exist_ok=True)
    save_detector(bundle / "detector.onnx")
    save_visual(bundle / "visual.onnx")
    save_text(bundle / "text.onnx")
    save_tokenizer(bundle / "tokenizer.json")
    save_golden(bundle)
    save_manifest(bundle)
    return bundle
