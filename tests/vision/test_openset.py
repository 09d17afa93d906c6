"""Naming with the option that it is none of the names."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings, strategies as st

from edge.vision.anything import anything
from edge.vision.openset import OpenSet

Float32 = npt.NDArray[np.float32]
SCALE = 20.0


def directions(count: int, seed: int, dimension: int = 64) -> Float32:
    """Unit vectors that have little to do with each other."""
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    scaled: Float32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


LABELS, OTHERS = directions(5, 1), directions(200, 2)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), labels=st.integers(1, 40), others=st.integers(2, 80))
def test_shares_are_probabilities(seed: int, labels: int, others: int) -> None:
    """Whatever the vectors: nothing is negative, and the labels and the rest make one."""
    named = OpenSet(directions(labels, seed), directions(others, seed + 1), logit_scale=SCALE)
    shares = named.shares(directions(7, seed + 2))
    assert shares.shape == (7, labels + 1)
    assert (shares >= 0).all()
    assert shares.sum(-1) == pytest.approx(1, abs=1e-5)


def test_a_picture_of_a_label_is_that_label() -> None:
    """What lies where a label lies gets its name, nearly for certain."""
    shares = OpenSet(LABELS, OTHERS, logit_scale=SCALE).shares(LABELS)
    assert (shares.argmax(-1) == np.arange(5)).all()
    assert (shares.max(-1) > 0.9).all()


def test_a_picture_of_something_else_is_none_of_the_labels() -> None:
    """What lies at another word is the rest, but for the tenth of the words that is left out."""
    shares = OpenSet(LABELS, OTHERS, logit_scale=SCALE).shares(OTHERS)
    assert (shares[:, -1] > 0.8).mean() == pytest.approx(0.9, abs=0.03)


def test_a_picture_of_nothing_in_particular_is_as_likely_either() -> None:
    """Beforehand the labels together are as likely as the rest, however few or many words either has."""
    blank = np.zeros((1, 64), np.float32)
    for labels in (1, 5, 150):
        named = OpenSet(directions(labels, 3), OTHERS, logit_scale=SCALE)
        assert named.shares(blank)[0, -1] == pytest.approx(0.5, abs=1e-5)


def test_words_that_mean_what_a_label_means_don_t_compete() -> None:
    """A synonym in the vocabulary is left out: the label keeps the picture."""
    synonyms = LABELS + 0.02 * directions(5, 4)
    synonyms /= np.linalg.norm(synonyms, axis=1, keepdims=True)
    named = OpenSet(LABELS, np.concatenate([OTHERS, synonyms]), logit_scale=SCALE)
    assert (named.shares(LABELS).max(-1) > 0.9).all()


def test_the_vocabulary_is_a_label_set_like_any_other() -> None:
    """Wide, without doubles, in captions; the same object every time, so that it is embedded once."""
    assert anything() is anything()
    assert len(anything().labels) > 200
    assert {"owl", "waterfall", "musical instrument"} <= set(anything().names)
    assert all(len(label.prompts) == 2 for label in anything().labels)
