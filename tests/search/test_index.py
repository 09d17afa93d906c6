"""The index: exact, in a fixed order, whatever is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings, strategies as st

from edge.search import Block, Index, Match

Float16 = npt.NDArray[np.float16]
Float32 = npt.NDArray[np.float32]


class Listed:
    """Vectors from a list, in blocks of a given size."""

    def __init__(self, media: Sequence[str], vectors: Float16, size: int = 7) -> None:
        self.dimension = vectors.shape[1]
        self._media, self._vectors, self._size = media, vectors, size

    def blocks(self) -> Iterator[Block]:
        """See ``Vectors``."""
        for start in range(0, len(self._media), self._size):
            part = slice(start, start + self._size)
            yield Block(self._media[part], self._vectors[part])


def random_units(rows: int, dimension: int, seed: int) -> Float32:
    """(rows, dimension) random directions."""
    vectors = np.random.default_rng(seed).standard_normal((rows, dimension))
    units: Float32 = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return units


def brute_force(media: Sequence[str], vectors: Float16, queries: Float32) -> dict[str, float]:
    """Each image's best cosine, computed in float64, one pair at a time."""
    best: dict[str, float] = {}
    for owner, vector in zip(media, vectors.astype(np.float64), strict=True):
        score = max(float(vector @ query) for query in queries.astype(np.float64))
        best[owner] = max(score, best.get(owner, -2.0))
    return best


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 900),
    images=st.integers(1, 400),
    queries=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_ranks_every_image_as_brute_force_does(rows: int, images: int, queries: int, seed: int) -> None:
    """All images come, each once, by falling best cosine, with the score that comparing all pairs gives."""
    owners = np.random.default_rng(seed).integers(0, images, rows)
    media = [f"image-{owner:03}" for owner in owners]
    vectors = random_units(rows, 16, seed).astype(np.float16)
    asked = random_units(queries, 16, seed + 1)

    found = list(Index.build(Listed(media, vectors)).ranked(asked))

    expected = brute_force(media, vectors, asked)
    assert sorted(m.media_id for m in found) == sorted(expected)
    assert [m.score for m in found] == pytest.approx([expected[m.media_id] for m in found], abs=1e-6)
    assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)


@settings(max_examples=25, deadline=None)
@given(images=st.integers(1, 700), kinds=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_orders_equal_scores_by_media_id(images: int, kinds: int, seed: int) -> None:
    """Images with the same vector come in the order of their ids, whatever the order they were stored in."""
    few = random_units(kinds, 24, seed).astype(np.float16)
    random = np.random.default_rng(seed)
    media = [f"image-{number:03}" for number in random.permutation(images)]
    vectors = few[random.integers(0, kinds, images)]

    found = list(Index.build(Listed(media, vectors)).ranked(random_units(1, 24, seed + 1)))

    assert found == sorted(found, key=lambda m: (-m.score, m.media_id))
    assert len({m.score for m in found}) <= kinds


def test_first_answers_are_those_of_the_whole_ranking() -> None:
    """Reading a few answers gives the same as reading all and keeping a few, also among many equals."""
    vectors = np.repeat(random_units(3, 8, 1), 200, axis=0).astype(np.float16)
    media = [f"image-{number:03}" for number in range(600)]
    index, query = Index.build(Listed(media, vectors)), random_units(1, 8, 2)
    whole = list(index.ranked(query))
    for top in (1, 12, 199, 201, 450):
        assert list(islice(index.ranked(query), top)) == whole[:top]


@settings(max_examples=25, deadline=None)
@given(allowed=st.sets(st.integers(0, 299)), seed=st.integers(0, 2**32 - 1))
def test_gives_only_what_is_allowed(allowed: set[int], seed: int) -> None:
    """A restricted ranking is the whole ranking without the others, however few are allowed."""
    media = [f"image-{number:03}" for number in range(300) for _ in range(2)]
    index = Index.build(Listed(media, random_units(600, 8, seed).astype(np.float16)))
    query = random_units(2, 8, seed + 1)
    ids = {f"image-{number:03}" for number in allowed}
    assert list(index.ranked(query, ids)) == [m for m in index.ranked(query) if m.media_id in ids]


def test_an_image_scores_by_its_best_vector() -> None:
    """One near crop brings an image before another whose vectors are all middling."""
    vectors = np.array([[0, 1], [1, 0], [0.6, 0.8], [0.6, 0.8]], np.float16)
    index = Index.build(Listed(["a", "a", "b", "b"], vectors))
    query = np.array([[1, 0]], np.float32)
    first, second = index.ranked(query)
    assert first == Match("a", 1.0)
    assert second.media_id == "b"
    assert second.score == pytest.approx(0.6, abs=1e-3)


def test_no_score_exceeds_one() -> None:
    """Rounding to float16 can lengthen a vector; a cosine is at most 1 all the same."""
    vectors = random_units(200, 384, 3).astype(np.float16)
    index = Index.build(Listed([f"{n:03}" for n in range(200)], vectors))
    scores = [next(index.ranked(row[None].astype(np.float32))).score for row in vectors]
    assert max(scores) <= 1.0
    assert min(scores) > 0.999


def test_an_empty_index_answers_with_nothing() -> None:
    """Without vectors there is nothing to find, and nothing fails."""
    index = Index.build(Listed([], np.empty((0, 8), np.float16)))
    assert (len(index), index.media_count) == (0, 0)
    assert list(index.ranked(random_units(1, 8, 0))) == []


@pytest.mark.parametrize("shape", [(8,), (0, 8), (1, 9), (1, 1, 8)])
def test_refuses_queries_of_another_shape(shape: tuple[int, ...]) -> None:
    """A query from another space, or none at all, is the caller's mistake."""
    index = Index.build(Listed(["a"], random_units(1, 8, 0).astype(np.float16)))
    with pytest.raises(ValueError, match="queries have shape"):
        index.ranked(np.zeros(shape, np.float32))


def test_refuses_a_block_whose_media_and_vectors_differ_in_number() -> None:
    """Every vector has an image: a block that says otherwise is not indexed."""

    class Wrong:
        dimension = 8

        def blocks(self) -> Iterator[Block]:
            yield Block(["a", "b"], random_units(1, 8, 0).astype(np.float16))

    with pytest.raises(ValueError, match="block of 2 media"):
        Index.build(Wrong())
