"""Guessing whether a query is English."""

from __future__ import annotations

import pytest

from edge.service.searching.language import note_on, seems_foreign


@pytest.mark.parametrize(
    "query",
    [
        "fox",
        "a red fox at night",
        "two deer in the snow",
        "Die Hard",
        "jaguar",
        "les",
        "owl on a post, 2 m high",
        "something like a snare",
        "an animal with a collar (GPS)",
        "a man with a gun",
        "",
    ],
)
def test_english_passes(query: str) -> None:
    """Descriptions, names, figures and single words that other languages have as well."""
    assert not seems_foreign(query)


@pytest.mark.parametrize(
    "query",
    [
        "лиса ночью",
        "狐狸",
        "ein Fuchs bei Nacht",
        "renard dans la nuit",
        "zorro con cola",
        "un renard",
        "rävhona",
        "lišta",
        "volpe di notte",
    ],
)
def test_other_languages_are_noticed(query: str) -> None:
    """By their letters, or by their small words."""
    assert seems_foreign(query)


def test_the_note_is_for_text_models_that_know_english_only() -> None:
    """It names the bundle; nothing is said where the model knows more, or the query is English."""
    assert "starter" in note_on("ein Fuchs", ("en",), "starter")
    assert note_on("ein Fuchs", ("en", "de"), "starter") == ""
    assert note_on("a fox", ("en",), "starter") == ""
