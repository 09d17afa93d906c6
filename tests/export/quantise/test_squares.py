from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from export.quantise.squares import Seen, collected, fitted, rounded
from tests.export.quantise.toys import convolutional, images, material

SILU = material().ranges("squares", fused=True)
"""A graph in which SiLU alone reads the first convolution's values."""


@given(low=st.floats(-50, -0.01), high=st.floats(0.01, 50), seed=st.integers(0, 99))
def test_what_lies_between_the_ends_is_half_a_step_away_at_most(low: float, high: float, seed: int) -> None:
    """And zero stays zero, which padding relies on."""
    values = np.random.default_rng(seed).uniform(low, high, 100)
    step = (high - low) / 255
    assert np.abs(rounded(values, low, high) - values).max() <= step * 1.001
    assert rounded(np.zeros(1), low, high)[0] == 0


def test_a_rare_large_value_does_not_make_the_step() -> None:
    """One value of 40 among a million below 6 is cut off."""
    values = np.append(np.random.default_rng(0).normal(0, 1, 1_000_000), 40.0)
    ends = fitted(SILU.model, {"images": Seen(float(values.min()), 40.0, values)})
    assert ends["images"][1] < 30


def test_numbers_that_silu_makes_zero_of_are_not_kept() -> None:
    """Before x * sigmoid(x), a range ends where nothing comes of what is below."""
    values = np.random.default_rng(0).uniform(-100, 10, 10_000)
    low, high = fitted(SILU.model, {"stem": Seen(-100.0, 10.0, values)})["stem"]
    assert -20 < low < 0
    assert high == pytest.approx(10, rel=0.3)


def test_what_was_seen_is_the_same_each_time() -> None:
    """The numbers that are picked follow from the samples alone."""
    model, feeds = convolutional(), images(4)
    first, second = (collected(model, ["stem"], feeds)["stem"] for _ in range(2))
    assert (first.low, first.high) == (second.low, second.high)
    np.testing.assert_array_equal(first.some, second.some)


@given(st.integers(0, 99), st.sampled_from(["images", "stem"]))
def test_fitted_ends_never_lose_more_than_the_outermost(seed: int, name: str) -> None:
    """Whatever the values: the outermost are among those tried."""
    values = np.random.default_rng(seed).standard_t(2, 3000)
    seen = Seen(float(values.min()), float(values.max()), values)
    ends = fitted(SILU.model, {name: seen})[name]

    def loss(low: float, high: float) -> float:
        kept = rounded(values, low, high)
        if name == "images":
            return float(np.square(kept - values).mean())
        return float(np.square(kept / (1 + np.exp(-kept)) - values / (1 + np.exp(-values))).mean())

    assert loss(*ends) <= loss(seen.low, seen.high) * (1 + 1e-9)


def test_without_silu_squares_are_minmax() -> None:
    """Networks that clip have nothing to cut off."""
    shared = material(silu=False)
    ours, theirs = (shared.ranges(method).tensors for method in ("squares", "minmax"))
    assert {k: v.range_value for k, v in ours.items()} == {k: v.range_value for k, v in theirs.items()}
