from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pytest

from edge.errors import ExportError
from edge.vision.manifest import Target
from export.gate import Candidate
from export.network import Traits
from export.quantise import Material, storage
from export.recipes import candidates, routes
from export.request import Options, Precision
from tests.export.quantise.toys import constants, convolutional, error, images, nodes, texts, transformer

CONVOLUTIONAL = Traits("convolutional", left_out=("stem",), why="it gains nothing", head=("head",))
TRANSFORMER = Traits("transformer")


def _never() -> list[str]:
    pytest.fail("nobody should have asked for the ranking")


def _heads(
    traits: Traits,
    material: Material,
    target: Target = "x86",
    precision: Precision = "auto",
    *,
    options: Options | None = None,
    ranking: Callable[[], Sequence[str]] = _never,
) -> list[Candidate]:
    options = options or Options()
    made = candidates(
        traits, material, part="visual", target=target, precision=precision, options=options, ranking=ranking
    )
    return list(made)


def _toy() -> Material:
    return Material(convolutional(), images(6))


@pytest.mark.parametrize(
    ("family", "target", "names"),
    [
        ("convolutional", "x86", ["int8 QDQ, 1 nodes fp32", "fp16 weights", "fp32"]),
        ("convolutional", "arm", ["int8 QDQ, 1 nodes fp32", "fp16 weights", "fp32"]),
        ("convolutional", "tensorrt", ["int8 QDQ, 1 nodes fp32", "fp16", "fp32"]),
        ("convolutional", "cuda", ["fp16", "fp32"]),
        ("transformer", "x86", ["int8 dynamic", "int8 weights", "fp16 weights", "fp32"]),
        ("transformer", "tensorrt", ["fp16", "fp32"]),
    ],
)
def test_every_machine_has_its_forms_in_order(family: str, target: Target, names: list[str]) -> None:
    """Smallest numbers first; making the list builds nothing and ranks nothing."""
    traits = CONVOLUTIONAL if family == "convolutional" else TRANSFORMER
    heads = _heads(traits, _toy(), target)
    assert [head.precision for head in heads] == names
    assert {head.target for head in heads} == {target}


@pytest.mark.parametrize("target", ["x86", "arm", "tensorrt", "cuda"])
def test_every_form_of_a_convolutional_graph_keeps_its_outputs(target: Target) -> None:
    """Built, it runs and strays by a tenth at most."""
    for head in _heads(CONVOLUTIONAL, _toy(), target):
        assert error(head.build(), convolutional(), images(3, seed=7)) < 0.1, head.precision


@pytest.mark.parametrize("target", ["x86", "arm", "tensorrt", "cuda"])
def test_every_form_of_a_transformer_keeps_its_outputs(target: Target) -> None:
    """As above."""
    for head in _heads(TRANSFORMER, Material(transformer()), target):
        assert error(head.build(), transformer(), texts(6)) < 0.05, head.precision


def test_static_int8_of_a_transformer_leaves_attention_alone() -> None:
    """Products of two activations stay float, those with constants become int8."""
    (head,) = _heads(TRANSFORMER, Material(transformer(), texts(6)), "x86", "int8-static")
    model = head.build()
    assert error(model, transformer(), texts(6, seed=2)) < 0.1
    assert sum("weight_quantized" in name for name in constants(model)) == 4


def test_remedies_leave_out_the_head_then_ever_more_nodes() -> None:
    """Each names what it left out and why; the ranking is asked for only when the head alone was no help."""
    asked: list[int] = []

    def ranking() -> list[str]:
        asked.append(1)
        return ["stem", "depthwise", "middle", "head", "else", "other"]

    head = _heads(CONVOLUTIONAL, _toy(), ranking=ranking)[0]
    remedies = head.remedies()
    first = next(remedies)
    assert first.unquantised == ("stem", "head")
    assert "gains nothing" in first.why
    assert "head" in first.why
    assert not asked
    later = [remedy.unquantised for remedy in remedies]
    assert asked
    assert ("stem", "head", "depthwise", "middle") in later


def test_on_x86_eight_bits_come_before_any_node_in_float() -> None:
    """They cost nothing where there is VNNI; every later remedy in float32 has them too."""
    ranking = ["depthwise", "middle", "else", "other"]
    head = _heads(CONVOLUTIONAL, _toy(), ranking=lambda: ranking)[0]
    largest = [np.abs(constants(form.build())["middle/weight_quantized"].astype(int)).max() for form in (
        head, *islice(head.remedies(), 2)
    )]  # fmt: skip
    assert largest == [64, 64, 127]
    nodes_too = list(head.remedies())[2]
    assert "8 bits" in nodes_too.why
    assert "sensitive" in nodes_too.why


@pytest.mark.parametrize("target", ["x86", "arm", "tensorrt"])
def test_a_form_and_its_remedies_have_names_of_their_own(target: Target) -> None:
    """A report's rows can be told apart, and a rebuild can pin each of them; what it is comes first."""
    head = _heads(CONVOLUTIONAL, _toy(), target, ranking=lambda: ["depthwise", "middle", "else", "other"])[0]
    names = [form.precision for form in (head, *head.remedies())]
    assert len(set(names)) == len(names) > 3
    assert names[0] == "int8 QDQ, 1 nodes fp32"
    assert all(name.startswith("int8 QDQ, ") for name in names)
    assert any(name.endswith(", percentile") for name in names)
    assert any(name.endswith(", 8 bits") for name in names) == (target == "x86")
    assert any(name.endswith(", unsigned") for name in names) == (target == "arm")


@pytest.mark.parametrize(("target", "dtype"), [("x86", np.float16), ("tensorrt", np.float32)])
def test_what_stays_float_on_a_processor_is_stored_in_half(
    target: Target, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weight that is left out, were it large; TensorRT gets it as it is."""
    monkeypatch.setattr(storage, "_WORTH_IT", 1)
    traits = Traits("convolutional", left_out=("middle",))
    values = constants(_heads(traits, _toy(), target, "int8-static")[0].build())
    (weight,) = [value for name, value in values.items() if name.startswith("middle/weight")]
    assert weight.dtype == dtype


def test_arm_falls_back_to_unsigned_activations() -> None:
    """The last remedy there: what x86 takes."""
    last = list(_heads(CONVOLUTIONAL, _toy(), "arm", ranking=list)[0].remedies())[-1]
    values = constants(last.build())
    kinds = {values[node.input[2]].dtype for node in nodes(last.build(), "QuantizeLinear")}
    assert kinds == {np.dtype(np.uint8)}


def test_dynamic_remedies_leave_out_the_most_sensitive_products() -> None:
    """Two of four, which is half."""
    ranking = ["1/mlp/product", "0/mlp/product", "0/attention/product", "1/attention/product"]
    head = _heads(TRANSFORMER, Material(transformer()), ranking=lambda: ranking)[0]
    (remedy,) = head.remedies()
    assert remedy.precision == "int8 dynamic, 2 nodes fp32"
    assert remedy.unquantised == ("1/mlp/product", "0/mlp/product")
    assert len(nodes(remedy.build(), "MatMulInteger")) == 2


@pytest.mark.parametrize(
    ("precision", "target", "name"),
    [
        ("int8-static", "tensorrt", "int8 QDQ, 1 nodes fp32"),
        ("int8-dynamic", "arm", "int8 dynamic, 1 nodes fp32"),
        ("fp16", "x86", "fp16 weights"),
        ("fp16", "cuda", "fp16"),
        ("fp32", "tensorrt", "fp32"),
    ],
)
def test_a_precision_that_is_asked_for_is_the_only_one(
    precision: Precision, target: Target, name: str
) -> None:
    """No other form is tried."""
    assert [head.precision for head in _heads(CONVOLUTIONAL, _toy(), target, precision)] == [name]


@pytest.mark.parametrize(
    ("precision", "target"), [("int8-dynamic", "tensorrt"), ("int8-dynamic", "cuda"), ("int8-static", "cuda")]
)
def test_what_a_machine_has_no_kernels_for_is_an_error(precision: Precision, target: Target) -> None:
    """It says what there is instead."""
    with pytest.raises(ExportError) as caught:
        routes("transformer", target, precision)
    assert "fp16" in caught.value.hint


def test_the_whole_graph_can_be_asked_for() -> None:
    """Nothing is left out, not even what the exporter knows to be; to show why it is."""
    (head,) = _heads(CONVOLUTIONAL, _toy(), "arm", "int8-static", options=Options(whole=True))
    assert head.precision == "int8 QDQ"
    assert not head.unquantised
    names = [name for name in constants(head.build()) if name.endswith("weight_quantized")]
    assert len(names) == 4


def test_experts_options_reach_the_graph() -> None:
    """Symmetric activations, one scale for all channels, eight bits, and a node of one's own left out."""
    options = Options(
        symmetric=True, per_channel=False, weight_bits=8, leave_out=("head",), method="percentile"
    )
    (head,) = _heads(CONVOLUTIONAL, _toy(), "arm", "int8-static", options=options)
    values = constants(head.build())
    assert head.unquantised == ("stem", "head")
    assert "as asked" in head.why
    assert values["middle/weight_scale"].size == 1
    assert np.abs(values["middle/weight_quantized"].astype(int)).max() == 127
    assert {int(values[node.input[2]]) for node in nodes(head.build(), "QuantizeLinear")} == {0}


def test_a_ranking_is_used_as_far_as_it_goes() -> None:
    """Half of the nodes stay in int8 at least, or it would be float by another name."""
    names = [f"node {number}" for number in range(9)]
    head = _heads(TRANSFORMER, Material(transformer()), ranking=lambda: names)[0]
    counts = [len(remedy.unquantised) for remedy in islice(head.remedies(), 9)]
    assert counts == [2, 4]


def _collapse(model: Any) -> float:
    return error(model, convolutional(), images(4, seed=5))


def test_the_best_remedy_can_not_save_black_calibration() -> None:
    """Every form that int8-static has for it is far off, so that the gate refuses them all."""
    black = [{"images": np.zeros_like(feed["images"])} for feed in images(6)]
    (head,) = _heads(
        CONVOLUTIONAL, Material(convolutional(), black), "x86", "int8-static", ranking=lambda: ["middle"] * 4
    )
    losses = [_collapse(candidate.build()) for candidate in (head, *head.remedies())]
    assert len(losses) > 2
    assert min(losses) > 0.3
