"""The mappings to ONNX against the frameworks, on small made-up networks; needs the export extra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import ExportError
from export import centernet, check, minilm, quantise, reference
from export.graph import GraphBuilder
from export.tfjs import GraphModel, read_graph_model
from tests.export.helpers import needs_extra, node, random_weights, write_graph_model

pytestmark = [
    pytest.mark.export,
    needs_extra,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of onnxscript and torch at import
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
SIDE = 64
_SAME = {"padding": "SAME", "data_format": "NHWC"}


def _run(model: Any, feed: dict[str, Any]) -> list[Any]:
    import onnxruntime as ort  # noqa: PLC0415

    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, feed))


def _hard_swish(name: str, value: str) -> list[dict[str, Any]]:
    return [
        node("Mul", f"{name}/sixth", [value, "sixth"]),
        node("Add", f"{name}/shifted", [value, "three"]),
        node("Relu6", f"{name}/gate", [f"{name}/shifted"]),
        node("Mul", name, [f"{name}/sixth", f"{name}/gate"]),
    ]


def _small_detector(folder: Path) -> Path:
    """A network with every operation of the real one in it; its six channels have to be aligned."""
    weights = random_weights(
        3,
        w1=(3, 3, 3, 8), b1=(8,), w2=(5, 5, 8, 1), b2=(8,), w3=(1, 1, 8, 6), b3=(6,), w4=(3, 3, 6, 1),
        sew=(1, 1, 6, 6), seb=(6,), w5=(1, 1, 6, 8), w6=(3, 3, 8, 1), b6=(8,),
        heat=(1, 1, 16, 80), heatb=(80,), box=(1, 1, 16, 4), boxb=(4,),
    )  # fmt: skip
    weights["w1"] /= 256  # pixels are 0 to 255
    weights |= {name: np.array(value) for name, value in (("sixth", 1 / 6), ("three", 3.0), ("four", 4.0))}
    step, hold, bias = {"strides": [1, 2, 2, 1]}, {"strides": [1, 1, 1, 1]}, {"fused_ops": ["BiasAdd"]}
    relu, valid = {"fused_ops": ["BiasAdd", "Relu"]}, {"padding": "VALID"}
    conv, depthwise, head = "_FusedConv2D", "FusedDepthwiseConv2dNative", "tower_0/CenternetHead"
    scores = f"{head}/centernet_cls_output/BiasAdd"
    nodes = [
        node("Placeholder", "tower_0/images"),
        node(conv, "c1", ["tower_0/images", "w1", "b1"], **_SAME, **step, **bias),
        *_hard_swish("h1", "c1"),
        node(depthwise, "c2", ["h1", "w2", "b2"], **_SAME, **step, **bias),
        node(conv, "c3", ["c2", "w3", "b3"], **_SAME, **hold, **relu),
        node("DepthwiseConv2dNative", "c4", ["c3", "w4"], **_SAME, **hold),
        node("Mean", "mean", ["c4", "axes"]),
        node(conv, "se", ["mean", "sew", "seb"], **valid, **hold, **bias),
        node("Add", "se/shifted", ["se", "three"]),
        node("Relu6", "se/gate", ["se/shifted"]),
        node("Mul", "se/open", ["sixth", "se/gate"]),
        node("Mul", "gated", ["se/open", "c4"]),
        node("Conv2D", "c5", ["gated", "w5"], **_SAME, **hold),
        node("Add", "sum", ["c5", "c2"]),
        node(depthwise, "c6", ["sum", "w6", "b6"], **_SAME, **step, **bias),
        node("ResizeBilinear", "up", ["c6", "size"]),
        node("ConcatV2", "joined", ["c2", "up", "axis"]),
        node("Relu", "active", ["joined"]),
        node(conv, scores, ["active", "heat", "heatb"], **_SAME, **hold, **bias),
        node(conv, f"{head}/box", ["active", "box", "boxb"], **_SAME, **hold, **bias),
        node("Sigmoid", "tower_0/Sigmoid", [scores]),
        node("Mul", "tower_0/mul", [f"{head}/box", "four"]),
        node("Identity", centernet.KEYPOINTS, ["tower_0/Sigmoid"]),
        node("Identity", centernet.DISTANCES, ["tower_0/mul"]),
    ]
    constants = [node("Const", name) for name in ("axes", "size", "axis")]
    return write_graph_model(folder, [*constants, *nodes], weights)


@pytest.fixture(name="detector")
def _detector(tmp_path: Path) -> GraphModel:
    return read_graph_model(_small_detector(tmp_path))


@pytest.fixture(name="image")
def _image() -> Any:
    return np.random.default_rng(5).integers(0, 256, (1, SIDE, 2 * SIDE, 3), np.uint8)


def test_the_detectors_mapping_computes_what_the_graph_model_says(detector: GraphModel, image: Any) -> None:
    """Every operation, padding and channel order: ONNX and an independent interpreter agree."""
    model = centernet.build(detector, SIDE, 2 * SIDE)
    heatmap, size = _run(model, {centernet.INPUT: image})
    scores, sizes = reference.run_graph_model(
        reference.restored_sixths(detector), image, (centernet.KEYPOINTS, centernet.DISTANCES)
    )
    assert heatmap.shape == (1, 3, SIDE // 4, SIDE // 2)
    np.testing.assert_allclose(heatmap[0].transpose(1, 2, 0), centernet.joined(scores)[0], atol=1e-5)
    np.testing.assert_allclose(size[0].transpose(1, 2, 0), sizes[0], atol=1e-4)


def test_an_operation_without_a_mapping_is_named(tmp_path: Path) -> None:
    """A graph model that isn't this network's doesn't become a wrong graph."""
    nodes = [
        node("Placeholder", "tower_0/images"),
        node("Erf", centernet.KEYPOINTS, ["tower_0/images"]),
        node("Identity", centernet.DISTANCES, ["tower_0/images"]),
    ]
    model = read_graph_model(write_graph_model(tmp_path, nodes, {}))
    with pytest.raises(ExportError, match="Erf"):
        centernet.build(model, SIDE, SIDE)


def test_half_weights_change_nothing_that_half_precision_holds(detector: GraphModel, image: Any) -> None:
    """Weights that came as float16 are stored as float16 and give the same outputs, bit for bit."""
    model = centernet.build(detector, SIDE, 2 * SIDE)
    tensors = {tensor.name: tensor.data_type for tensor in quantise.half_weights(model).graph.initializer}
    assert set(tensors.values()) <= {1, 10}
    for exact, stored in zip(
        _run(model, {centernet.INPUT: image}),
        _run(quantise.half_weights(model), {centernet.INPUT: image}),
        strict=True,
    ):
        np.testing.assert_array_equal(exact, stored)


def _tensors(vocabulary: int = 40) -> dict[str, Any]:
    """Random weights of a BERT of the right shape with a small vocabulary."""
    from transformers import BertConfig, BertModel  # noqa: PLC0415

    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
    )
    state = BertModel(config, add_pooling_layer=False).state_dict()
    return {name: value.numpy() for name, value in state.items() if "position_ids" not in name}


def test_the_text_mapping_is_berts_and_ignores_padding() -> None:
    """Sentence embeddings equal transformers'; padding under the mask has no influence."""
    tensors = _tensors(30522)
    model = minilm.build(tensors)
    ids = np.array([[5, 9, 7, 0], [3, 4, 5, 6]], np.int64)
    mask = np.array([[1, 1, 1, 0], [1, 1, 1, 1]], np.int64)
    (got,) = _run(model, {minilm.IDS: ids, minilm.MASK: mask})
    np.testing.assert_allclose(got, reference.minilm_embeddings(tensors, ids, mask), atol=1e-5)
    (short,) = _run(model, {minilm.IDS: ids[:1, :3], minilm.MASK: mask[:1, :3]})
    np.testing.assert_allclose(got[:1], short, atol=1e-5)


def test_int8_weights_are_close_and_small() -> None:
    """Table and matrices shrink to about a quarter; embeddings stay within rounding."""
    model = minilm.build(_tensors(2000))
    stored = quantise.int8_weights(model)
    assert len(stored.SerializeToString()) < 0.27 * len(model.SerializeToString())
    feed = {minilm.IDS: np.array([[5, 9, 7, 11]], np.int64), minilm.MASK: np.ones((1, 4), np.int64)}
    assert float((_run(model, feed)[0] * _run(stored, feed)[0]).sum()) > 0.999


def _two_layers() -> Any:
    graph = GraphBuilder("two")
    weights = random_weights(9, a=(8, 3, 3, 3), b=(8, 8, 1, 1))
    value = graph.input("x", np.float32, (1, 3, 16, 16))
    for name in ("a", "b"):
        bias = graph.constant(f"{name}/bias", np.zeros(8, np.float32))
        value = graph.node("Conv", [value, graph.constant(f"{name}/weight", weights[name]), bias], name)
        value = graph.node("Relu", [value], f"{name}/relu")
    graph.node("GlobalAveragePool", [value], "y")
    graph.output("y", np.float32, (1, 8, 1, 1))
    return graph.model()


def test_static_int8_is_close_and_leaves_out_what_it_is_told_to() -> None:
    """The quantised graph answers nearly the same; a node that is left out keeps its float weight."""
    random = np.random.default_rng(2)
    samples = [{"x": random.normal(size=(1, 3, 16, 16)).astype(np.float32)} for _ in range(8)]
    model = _two_layers()
    quantised = quantise.static_int8(model, samples, ["a"])
    stored = {tensor.name: tensor.data_type for tensor in quantised.graph.initializer}
    assert stored["a/weight"] == 1
    assert any(name.startswith("b/weight") and kind == 3 for name, kind in stored.items())
    exact, close = _run(model, samples[0])[0].ravel(), _run(quantised, samples[0])[0].ravel()
    np.testing.assert_allclose(exact, close, atol=0.05 * float(np.abs(exact).max()))


def test_graphs_that_differ_are_told_apart(tmp_path: Path) -> None:
    """The rebuild's comparison sees another attribute, another constant's shape, and nothing else."""
    import onnx  # noqa: PLC0415

    model, other = _two_layers(), _two_layers()
    other.graph.node[0].attribute.append(onnx.helper.make_attribute("strides", [1, 1]))
    paths = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    for each, path in zip((model, other), paths, strict=True):
        onnx.save(each, path)
    assert list(check.graph_differences(paths[0], paths[0])) == []
    assert len(list(check.graph_differences(*paths))) == 1
