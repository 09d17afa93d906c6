from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from export.quantise import half_compute, half_weights
from tests.export.quantise.toys import constants, convolutional, error, images, nodes, texts, transformer


def test_a_half_graph_computes_what_float_does() -> None:
    """To a few thousandths of the outputs' norm, convolutional or not."""
    assert error(half_compute(convolutional()), convolutional(), images(4)) < 5e-3
    assert error(half_compute(transformer()), transformer(), texts(4)) < 5e-3


@pytest.mark.parametrize("plain", [convolutional(), transformer()])
def test_inputs_and_outputs_keep_their_types(plain: object) -> None:
    """The device feeds and reads the same arrays whatever is inside."""
    model = half_compute(plain)
    for ours, theirs in ((model.graph.input, plain.graph.input), (model.graph.output, plain.graph.output)):  # type: ignore[attr-defined]  # onnx has no types here
        assert [v.type.tensor_type.elem_type for v in ours] == [v.type.tensor_type.elem_type for v in theirs]


def test_weights_are_half_and_sums_are_not() -> None:
    """Products have float16 weights; normalisations stay between casts to float32 and back."""
    model = half_compute(transformer())
    assert constants(model)["0/mlp/weight"].dtype == np.float16
    casts = {node.output[0]: node for node in nodes(model, "Cast")}
    for operation in ("Softmax", "LayerNormalization", "ReduceL2"):
        for node in nodes(model, operation):
            assert casts[node.input[0]].attribute[0].i == TensorProto.FLOAT


def test_a_node_left_out_computes_in_float() -> None:
    """Its weights stay float32."""
    assert constants(half_compute(convolutional(), ["middle"]))["middle/weight"].dtype == np.float32


def test_half_weights_halve_the_file_and_nothing_else() -> None:
    """Stored in float16, widened on loading."""
    plain = transformer()
    model = half_weights(plain)
    assert model.ByteSize() < 0.6 * plain.ByteSize()
    assert error(model, plain, texts(4)) < 1e-3
