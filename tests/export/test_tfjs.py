from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ExportError
from export.tfjs import read_graph_model
from tests.export.helpers import node, random_weights, write_graph_model


def test_half_precision_weights_are_widened_without_loss(tmp_path: Path) -> None:
    """Weights stored as float16 come back as the same numbers in float32."""
    weights = random_weights(1, a=(2, 3), b=(4,))
    model = read_graph_model(write_graph_model(tmp_path, [], weights))
    assert model.weights["a"].dtype == np.float32
    np.testing.assert_array_equal(model.weights["a"], weights["a"])
    np.testing.assert_array_equal(model.weights["b"], weights["b"])


def test_attributes_lose_their_encoding(tmp_path: Path) -> None:
    """Bytes, numbers, flags and lists come out as plain values."""
    raw = node("_FusedConv2D", "c", ["x", "w"], padding="SAME", strides=[1, 2, 2, 1], fused_ops=["BiasAdd"])
    (only,) = read_graph_model(write_graph_model(tmp_path, [raw], {})).nodes
    assert only.attributes == {"padding": "SAME", "strides": [1, 2, 2, 1], "fused_ops": ["BiasAdd"]}


def test_up_to_keeps_what_an_output_needs_in_order(tmp_path: Path) -> None:
    """Nodes that no wanted output reads are left out, and so are constants."""
    nodes = [
        node("Placeholder", "x"),
        node("Relu", "a", ["x"]),
        node("Relu", "b", ["x"]),
        node("Add", "c", ["a", "w"]),
    ]
    model = read_graph_model(write_graph_model(tmp_path, nodes, random_weights(1, w=(1,))))
    assert [each.name for each in model.up_to(("c",))] == ["x", "a", "c"]


def test_an_unknown_output_is_named(tmp_path: Path) -> None:
    """Asking for a node that isn't there says which one."""
    model = read_graph_model(write_graph_model(tmp_path, [], {}))
    with pytest.raises(ExportError, match="nowhere"):
        model.up_to(("nowhere",))


def test_affine_storage_is_undone(tmp_path: Path) -> None:
    """Weights stored as uint8 are value * scale + min."""
    path = write_graph_model(tmp_path, [], random_weights(1, w=(1,)))
    document = json.loads(path.read_text("utf-8"))
    spec = document["weightsManifest"][0]["weights"][0]
    spec["shape"], spec["quantization"] = [3], {"dtype": "uint8", "scale": 0.5, "min": -1.0}
    path.write_text(json.dumps(document), "utf-8")
    (tmp_path / "weights.bin").write_bytes(bytes([0, 2, 4]))
    np.testing.assert_allclose(read_graph_model(path).weights["w"], [-1.0, 0.0, 1.0])


@pytest.mark.parametrize("extra", [b"\0\0", b""])
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, extra: bytes) -> None:
    """A binary that is too long or too short isn't this model's."""
    path = write_graph_model(tmp_path, [], random_weights(1, w=(4,)))
    data = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").write_bytes(data + extra if extra else data[:-2])
    with pytest.raises(ExportError, match="not a readable"):
        read_graph_model(path)


def test_something_else_is_refused(tmp_path: Path) -> None:
    """JSON without a topology isn't a graph model."""
    path = tmp_path / "model.json"
    path.write_text("{}", "utf-8")
    with pytest.raises(ExportError, match="not a readable"):
        read_graph_model(path)
