from __future__ import annotations

import numpy as np
import pytest

from edge.search import direction, phrases


@pytest.mark.parametrize(
    ("query", "caption"),
    [
        ("jaguar", "a photo of a jaguar"),
        ("owl", "a photo of an owl"),
        ("a red fox", "a photo of a red fox"),
        ("The red fox", "a photo of The red fox"),
        ("two wild boar", "a photo of two wild boar"),
        ("3 hares", "a photo of 3 hares"),
        ("an old grey wolf limping", "a photo of an old grey wolf limping"),
        ("theropod", "a photo of a theropod"),
    ],
)
def test_a_short_query_is_put_into_a_caption_too(query: str, caption: str) -> None:
    """Up to four words besides an article are searched as they are and as a caption that reads well."""
    assert phrases(query) == (query, caption)


def test_a_description_stays_as_it_is() -> None:
    """More than four words are a caption already."""
    query = "a spotted cat at the river by night"
    assert phrases(query) == (query,)


def test_white_space_does_not_matter() -> None:
    """Blanks and line ends are no part of a query."""
    assert phrases("  red \n fox ") == phrases("red fox")


def test_the_direction_of_several_vectors_is_their_mean_of_length_one() -> None:
    """Two directions at right angles give the one between them."""
    mean = direction(np.array([[1, 0, 0], [0, 1, 0]], np.float32))
    assert mean.dtype == np.float32
    assert mean == pytest.approx([2**-0.5, 2**-0.5, 0])


def test_vectors_that_cancel_out_have_no_direction() -> None:
    """There is nothing to search for between opposites."""
    with pytest.raises(ValueError, match="no mean direction"):
        direction(np.array([[1, 0], [-1, 0]], np.float32))
