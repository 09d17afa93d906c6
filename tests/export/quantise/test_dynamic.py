from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from export.quantise import dynamic_int8, int8_tables, int8_weights
from export.quantise.dynamic import activation_products, pretended, products, rounded_weight
from tests.export.quantise.toys import constants, error, nodes, texts, transformer


@pytest.mark.parametrize("bits", [7, 8])
def test_the_outputs_are_kept(bits: int) -> None:
    """Dynamic int8 stays within a few hundredths of the outputs' norm."""
    assert error(dynamic_int8(transformer(), bits=7 if bits == 7 else 8), transformer(), texts(8)) < 0.05


def test_products_with_constants_run_in_int8_and_attention_does_not() -> None:
    """Two products a layer have constant weights; attention's own two have none."""
    model = dynamic_int8(transformer(layers=3))
    assert len(nodes(model, "MatMulInteger")) == 6
    assert len(nodes(model, "MatMul")) == 6


def test_weights_are_signed_with_a_scale_for_each_output() -> None:
    """Unsigned ones are slow, a single scale loses small channels."""
    values = constants(dynamic_int8(transformer()))
    weights = {name: value for name, value in values.items() if name.endswith("weight_quantized")}
    assert len(weights) == 4
    assert {value.dtype for value in weights.values()} == {np.dtype(np.int8)}
    assert values["0/mlp/weight_scale"].size == 64


def test_a_product_left_out_stays_float() -> None:
    """And the others don't."""
    model = dynamic_int8(transformer(), ["1/mlp/product"])
    assert "1/mlp/weight" in constants(model)
    assert "0/mlp/weight" not in constants(model)


def test_word_tables_become_int8_rows() -> None:
    """A large table is stored in a quarter, each row off by half a step at most."""
    table = constants(transformer())["words"]
    values = constants(dynamic_int8(transformer()))
    assert "words" not in values
    widened = values["words/int8"].astype(np.float32) * values["words/scale"]
    assert (np.abs(widened - table) <= values["words/scale"] * 0.5001).all()


def test_a_table_that_two_look_up_is_stored_once() -> None:
    """Both get their rows from the same numbers."""
    plain = transformer()
    second = plain.graph.node.add()
    second.CopyFrom(plain.graph.node[0])
    second.output[0] = second.name = "looked up too"
    model = int8_tables(plain)
    assert [name for name in constants(model) if name.startswith("words")] == ["words/int8", "words/scale"]
    assert len(nodes(model, "Cast")) == 2


def test_the_original_is_not_touched() -> None:
    """Every form is a copy."""
    plain = transformer()
    before = plain.SerializeToString(deterministic=True)
    dynamic_int8(plain)
    int8_weights(plain)
    pretended(plain, products(plain))
    assert plain.SerializeToString(deterministic=True) == before


def test_pretending_loses_what_dynamic_int8_loses() -> None:
    """The form that sensitivities are measured with errs as the real one does."""
    plain = transformer()
    real = error(dynamic_int8(plain, bits=8), int8_tables(plain), texts(8))
    assert error(pretended(plain, products(plain)), plain, texts(8)) == pytest.approx(real, rel=0.2)


def test_products_are_told_apart_by_what_they_multiply() -> None:
    """Constants make the ones, activations the others."""
    assert products(transformer(layers=1)) == ["0/attention/product", "0/mlp/product"]
    assert activation_products(transformer(layers=1)) == ["0/attention/scores", "0/attention/mix"]


@settings(deadline=None)
@given(st.integers(0, 1000), st.sampled_from([64, 127]), st.sampled_from([0, 1]))
def test_rounded_matrices_are_half_a_step_away_at_most(seed: int, largest: int, axis: int) -> None:
    """For every output channel."""
    weight = np.random.default_rng(seed).normal(0, 1, (5, 7)).astype(np.float32)
    step = np.abs(weight).max(axis=axis, keepdims=True) / largest
    assert (np.abs(rounded_weight(weight, axis, largest) - weight) <= step * 0.5001).all()
