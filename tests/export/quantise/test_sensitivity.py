from __future__ import annotations

from typing import Any

import pytest

from export.network import Traits
from export.quantise import Material
from export.request import Options
from export.sensitivity import joined, layers, ranking
from tests.export.quantise.toys import convolutional, error, images, texts, transformer

CONVOLUTIONAL, TRANSFORMER = Traits("convolutional"), Traits("transformer")


def _loss(plain: Any, feeds: Any) -> Any:
    return lambda model: error(model, plain, feeds)


@pytest.mark.parametrize("loud", ["middle", "head"])
@pytest.mark.parametrize("target", ["x86", "tensorrt"])
def test_the_convolution_made_bad_on_purpose_comes_first(loud: str, target: Any) -> None:
    """One whose other inputs vanish beside a loud one loses the most by far."""
    plain = convolutional(loud=loud)
    material = Material(plain, images(6))
    found = ranking(material, _loss(plain, images(2, seed=4)), traits=CONVOLUTIONAL, target=target)
    assert found[0][0] == loud
    assert found[0][1] > 2 * found[1][1]
    assert {name for name, _ in found} == {"stem", "middle", "depthwise", "head"}


def test_the_block_of_a_transformer_made_bad_on_purpose_comes_first() -> None:
    """Attention and MLP of each layer are measured apart."""
    plain = transformer(layers=3, loud="1/mlp/product")
    found = ranking(Material(plain), _loss(plain, texts(4)), traits=TRANSFORMER)
    assert found[0][0] == "1/mlp/product"
    assert len(found) == 6


def test_nodes_left_out_are_not_measured() -> None:
    """They stay float whatever they would lose."""
    plain = convolutional()
    traits = Traits("convolutional", left_out=("stem",))
    options = Options(leave_out=("head",))
    found = ranking(Material(plain, images(4)), _loss(plain, images(1)), traits=traits, options=options)
    assert {name for name, _ in found} == {"middle", "depthwise"}


def test_with_little_time_neighbours_are_measured_together() -> None:
    """Every node gets a loss all the same."""
    plain, calls = transformer(layers=6), []

    def loss(model: Any) -> float:
        calls.append(model)
        return float(len(calls))

    found = ranking(Material(plain), loss, traits=TRANSFORMER, seconds=0.0)
    assert len(found) == 12
    assert len(calls) == 3  # two to know how long one takes, and all others at once


def test_blocks_join_in_order() -> None:
    """Two and two, the rest alone."""
    assert joined([["a"], ["b", "c"], ["d"]], 2) == [["a", "b", "c"], ["d"]]


def test_layers_end_at_normalisations() -> None:
    """Attention's products in one block, the MLP's in the next."""
    assert layers(transformer(layers=1)) == [["0/attention/product"], ["0/mlp/product"]]
