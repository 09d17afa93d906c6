from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from edge.errors import ExportError
from edge.vision.manifest import Target
from export.graph import GraphBuilder
from export.quantise import Material, Method, quantised, scheme_for, static_int8
from export.quantise.graphs import by_layer
from export.quantise.static import with_islands
from tests.export.quantise.toys import constants, convolutional, error, images, material, nodes, outputs

STATIC: tuple[Target, ...] = ("x86", "arm", "tensorrt")


@pytest.mark.parametrize("target", STATIC)
@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_every_target_and_method_keeps_the_outputs(target: Target, method: Method) -> None:
    """On samples that weren't calibrated with, static int8 stays within a tenth of the outputs' norm."""
    ranges = material().ranges(method, fused=target != "tensorrt")
    assert error(quantised(ranges, scheme_for(target)), convolutional(), images(4, seed=5)) < 0.1


@pytest.mark.parametrize(
    ("target", "dtype", "zero"), [("x86", np.uint8, None), ("arm", np.int8, None), ("tensorrt", np.int8, 0)]
)
def test_activations_have_the_type_that_the_target_takes(
    target: Target, dtype: type[np.generic], zero: int | None
) -> None:
    """uint8 on x86, int8 on ARM and, around zero, on TensorRT."""
    model = quantised(material().ranges(), scheme_for(target))
    values = constants(model)
    zeros = [values[node.input[2]] for node in nodes(model, "QuantizeLinear")]
    assert zeros
    assert {value.dtype for value in zeros} == {np.dtype(dtype)}
    assert zero is None or all(int(value) == zero for value in zeros)


def test_tensorrt_gets_only_what_its_importer_knows() -> None:
    """Standard operations, float biases, int8 weights of zero point 0, and no rounded outputs."""
    model = quantised(material().ranges(), scheme_for("tensorrt"))
    values = constants(model)
    assert {domain.domain for domain in model.opset_import} == {""}
    assert {node.domain for node in model.graph.node} == {""}
    assert not any(value.dtype == np.int32 for value in values.values())
    widened = {node.output[0]: node for node in nodes(model, "DequantizeLinear")}
    convolutions = nodes(model, "Conv")
    assert all(values[node.input[2]].dtype == np.float32 for node in convolutions)
    assert all(not values[widened[node.input[1]].input[2]].any() for node in convolutions)
    rounded = {node.input[0] for node in nodes(model, "QuantizeLinear")}
    assert rounded.isdisjoint(node.output[0] for node in convolutions)


def test_cpus_round_biases_to_int32_and_fuse_activations() -> None:
    """What ONNX Runtime needs for its integer convolutions, and x * sigmoid(x) as one operation."""
    model = quantised(material().ranges(fused=True), scheme_for("x86"))
    assert any(value.dtype == np.int32 for value in constants(model).values())
    assert len(nodes(model, "QuickGelu")) == 3
    assert not nodes(model, "Sigmoid")


def test_nodes_left_out_stay_float() -> None:
    """A left-out convolution keeps its float weights; the others have int8 ones."""
    model = quantised(material().ranges(), scheme_for("x86"), ["stem", "head"])
    values = constants(model)
    assert values["stem/weight"].dtype == np.float32
    assert values["head/weight"].dtype == np.float32
    assert "middle/weight" not in values


def test_what_lies_between_float_nodes_stays_float_too() -> None:
    """A concatenation of two values of nodes left out isn't rounded, one with an int8 branch is."""
    graph = GraphBuilder("branches")
    values = [graph.input("images", np.float32, (1, 4, 8, 8))]
    weight = graph.constant("weight", np.random.default_rng(0).normal(0, 1, (4, 4, 1, 1)).astype(np.float32))
    for name in ("a", "b", "c"):
        values.append(graph.node("Conv", [values[0], weight], name))
    graph.node("Concat", values[1:3], "both float", axis=1)
    graph.node("Concat", values[2:4], "one float", axis=1)
    graph.output("both float", np.float32, (1, 8, 8, 8))
    graph.output("one float", np.float32, (1, 8, 8, 8))
    assert with_islands(graph.model(), ["a", "b"]) == ["a", "b", "both float"]


def test_layers_of_many_nodes_are_told_by_their_number() -> None:
    """Few nodes are named; a decoder of hundreds isn't."""
    decoder = [f"model.28.decoder.{number}/MatMul" for number in range(300)]
    assert by_layer(["model.0/Conv", *decoder, "stem"]) == ("model.0/Conv", "model.28 (300 nodes)", "stem")


def test_calibration_is_made_once_for_each_method() -> None:
    """Every form of a graph shares one calibration."""
    shared = material()
    assert shared.ranges() is shared.ranges()
    assert shared.ranges("percentile") is not shared.ranges()


def test_the_same_samples_make_the_same_bytes() -> None:
    """Calibration and quantisation are deterministic."""
    first, second = (static_int8(convolutional(), images(8)) for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_methods_find_different_ranges() -> None:
    """Of values with a rare large one, the largest counts for minmax and doesn't for the percentile."""
    feeds = images(8)
    outlier = dict(feeds[0])
    outlier["images"] = outlier["images"].copy()
    outlier["images"][0, 0, 0, 0] = 500
    shared = Material(convolutional(), [outlier, *feeds[1:] * 60])

    def top(method: Method) -> float:
        model = quantised(shared.ranges(method), replace(scheme_for("x86"), correct_bias=False))
        return float(constants(model)["images_scale"]) * 255

    assert top("minmax") == pytest.approx(500, rel=1e-3)
    assert top("percentile") < 50


def test_entropy_gives_up_the_rarest_values() -> None:
    """Of a bell's tails it keeps less than the largest value."""
    random = np.random.default_rng(3)
    bells = [{"images": random.normal(0, 1, (1, 3, 16, 16)).astype(np.float32)} for _ in range(16)]
    shared = Material(convolutional(), bells)
    scales = [
        float(constants(quantised(shared.ranges(method), scheme_for("arm")))["images_scale"])
        for method in ("minmax", "entropy")
    ]
    assert scales[1] < scales[0]


def test_symmetric_activations_have_their_zero_in_the_middle() -> None:
    """uint8 around zero has 128 as its zero point."""
    model = quantised(material().ranges(), replace(scheme_for("x86"), symmetric=True))
    zeros = {int(constants(model)[node.input[2]]) for node in nodes(model, "QuantizeLinear")}
    assert zeros <= {127, 128}


@pytest.mark.parametrize(("bits", "largest"), [(7, 64), (8, 127)])
def test_weights_keep_to_their_bits(bits: int, largest: int) -> None:
    """Seven bits reach 64, eight 127: two products of uint8 by 64 fit into 16 bits, of 127 they don't."""
    scheme = replace(scheme_for("x86"), bits=7 if bits == 7 else 8)
    model = quantised(material().ranges(), scheme)
    weights = [value for name, value in constants(model).items() if name.endswith("weight_quantized")]
    assert weights
    assert max(int(np.abs(value.astype(int)).max()) for value in weights) == largest


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), bits=st.sampled_from([7, 8]))
def test_rounded_weights_are_half_a_step_away_at_most(seed: int, bits: int) -> None:
    """For every output channel, whatever the weights."""
    plain = convolutional(seed)
    scheme = replace(scheme_for("x86"), bits=7 if bits == 7 else 8)
    values = constants(quantised(Material(plain, images(2)).ranges(), scheme))
    for name in ("stem", "middle", "depthwise", "head"):
        weight = constants(plain)[f"{name}/weight"]
        scale = values[f"{name}/weight_scale"].reshape(-1, 1, 1, 1)
        rounded = values[f"{name}/weight_quantized"].astype(np.float32) * scale
        assert (np.abs(rounded - weight) <= scale * 0.5001).all()


def test_per_channel_scales_lose_less() -> None:
    """One scale for all channels is what a small channel's weights vanish in."""
    plain = convolutional(silu=False)
    weights = next(t for t in plain.graph.initializer if t.name == "middle/weight")
    array = constants(plain)["middle/weight"].copy()
    array[0] *= 300
    weights.raw_data = array.tobytes()
    ranges = Material(plain, images(8)).ranges()
    each, one = (quantised(ranges, replace(scheme_for("arm"), per_channel=kept)) for kept in (True, False))
    assert constants(each)["middle/weight_scale"].size == 8
    assert constants(one)["middle/weight_scale"].size == 1


def test_corrected_biases_keep_the_means() -> None:
    """With few bits, the mean of the outputs strays less when the biases take back what rounding did."""
    ranges, feeds = material(silu=False).ranges(), images(8)
    want = outputs(convolutional(silu=False), feeds).mean(axis=(0, 2, 3))
    strays = []
    for corrects in (True, False):
        model = quantised(ranges, replace(scheme_for("x86"), correct_bias=corrects))
        strays.append(float(np.abs(outputs(model, feeds).mean(axis=(0, 2, 3)) - want).mean()))
    assert strays[0] < strays[1]


def test_without_samples_there_is_nothing_to_calibrate_with() -> None:
    """An error, rather than ranges of nothing."""
    with pytest.raises(ExportError, match="nothing to calibrate with"):
        Material(convolutional()).ranges()


def test_calibrated_on_black_images_nothing_is_right_on_others() -> None:
    """The ranges of images without content hold nothing that real ones make: measured, it is a wreck."""
    black = [{"images": np.zeros_like(feed["images"])} for feed in images(8)]
    wreck = quantised(Material(convolutional(), black).ranges(fused=True), scheme_for("x86"))
    assert error(wreck, convolutional(), images(4, seed=5)) > 0.5


def test_shuffled_weights_are_a_wreck_too() -> None:
    """Channels in another order are as far from the original as another network."""
    plain = convolutional()
    tensor = next(t for t in plain.graph.initializer if t.name == "middle/weight")
    tensor.raw_data = constants(plain)["middle/weight"][::-1].tobytes()
    form = quantised(Material(plain, images(8)).ranges(fused=True), scheme_for("x86"))
    assert error(form, convolutional(), images(4, seed=5)) > 0.3
