from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, strategies as st

from export.quantise import Material, quantised, scheme_for
from export.quantise.gated import gated, lower_end, picked, rounded
from tests.export.quantise.toys import constants, convolutional, images, material


@given(low=st.floats(-50, -0.01), high=st.floats(0.01, 50), seed=st.integers(0, 99))
def test_what_lies_between_the_ends_is_half_a_step_away_at_most(low: float, high: float, seed: int) -> None:
    """And zero stays zero, which padding relies on."""
    values = np.random.default_rng(seed).uniform(low, high, 100)
    step = (high - low) / 255
    assert np.abs(rounded(values, low, high) - values).max() <= step * 1.001
    assert rounded(np.zeros(1), low, high)[0] == 0


@given(st.integers(0, 99), st.floats(0.5, 60))
def test_the_end_found_never_loses_more_than_the_calibrated_one(seed: int, high: float) -> None:
    """Whatever the values; and it lies between the calibrated end and zero."""
    values = np.clip(np.random.default_rng(seed).standard_t(2, 3000) * 5, -100, high)
    low = float(values.min())
    found = lower_end(values, low, high)

    def loss(end: float) -> float:
        kept = rounded(values, end, high)
        return float(np.square(kept / (1 + np.exp(-kept)) - values / (1 + np.exp(-values))).mean())

    assert low <= found <= 0
    assert loss(found) <= loss(low) * (1 + 1e-9)


def test_values_that_come_to_nothing_are_not_kept() -> None:
    """Of -100 to 10, what x * sigmoid(x) makes zero of is cut off; of -2 to 10, nothing."""
    values = np.random.default_rng(0).uniform(-100, 10, 10_000)
    assert -20 <= lower_end(values, -100.0, 10.0) <= -3
    assert lower_end(values[values > -2], -2.0, 10.0) == -2.0


def test_only_what_nothing_else_reads_is_gated() -> None:
    """A value that leaves the graph, or that something else needs as well, keeps its range."""
    fused = material().ranges(fused=True).model
    assert gated(fused) == ["stem", "middle", "depthwise"]
    other = fused.graph.node.add(op_type="Relu", input=["stem"], output=["other"], name="other")
    assert gated(fused) == ["middle", "depthwise"]
    assert other.name == "other"
    assert gated(convolutional()) == []


def test_what_is_picked_is_the_same_each_time() -> None:
    """It follows from the samples alone."""
    first, second = (picked(convolutional(), ["stem"], images(4))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_range_before_the_activation_is_narrower_when_fused() -> None:
    """A bias of -30 moves a convolution's outputs to where nothing comes of them; its range begins above."""
    plain = convolutional()
    tensor = next(t for t in plain.graph.initializer if t.name == "middle/bias")
    tensor.raw_data = np.where(np.arange(8) % 2, 0, -30).astype(np.float32).tobytes()
    shared, scheme = Material(plain, images(6)), replace(scheme_for("x86"), correct_bias=False)
    wide, narrow = (
        float(constants(quantised(shared.ranges(fused=fused), scheme))["middle_scale"])
        for fused in (False, True)
    )
    assert narrow < wide / 2
