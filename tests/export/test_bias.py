from __future__ import annotations

import numpy as np
from hypothesis import given, strategies as st

from export.bias import mean_shift


def _rounded(weight: np.ndarray, largest: int) -> np.ndarray:
    scale = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / largest
    return np.asarray(np.rint(weight / scale) * scale)


@given(st.integers(0, 1000), st.sampled_from([7, 64, 127]))
def test_the_shift_is_what_rounding_takes_from_the_mean(seed: int, largest: int) -> None:
    """Mean output of the exact and the rounded 1 x 1 convolution differ by exactly the shift."""
    random = np.random.default_rng(seed)
    weight, values = random.normal(size=(3, 5, 1, 1)), random.uniform(0, 6, size=(5, 40))
    exact = (weight[:, :, 0, 0] @ values).mean(axis=1)
    rounded = (_rounded(weight, largest)[:, :, 0, 0] @ values).mean(axis=1)
    np.testing.assert_allclose(exact - rounded, mean_shift(weight, values.mean(axis=1), largest), atol=1e-9)


def test_a_depthwise_kernel_sees_its_own_channel_only() -> None:
    """The shift of a channel follows from that channel's mean alone."""
    weight = np.array([[[[0.3, 1.0]]], [[[0.4, 1.0]]]])
    shift = mean_shift(weight, np.array([2.0, 0.0]), 2)
    np.testing.assert_allclose(shift, [2 * (0.3 - 0.5), 0])


def test_a_channel_of_zeros_has_nothing_to_lose() -> None:
    """Weights that are all zero need no correction and make no division by zero."""
    assert mean_shift(np.zeros((1, 2, 1, 1)), np.ones(2), 64)[0] == 0
