"""Names from elsewhere on a terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, strategies as st
from rich.console import Console

from edge.cli.escaping import escape


def _shown(text: str) -> str:
    stream = io.StringIO()
    Console(file=stream, width=10_000, force_terminal=True).print(escape(text), highlight=False, end="")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("рысь 🦌.jpg", "рысь 🦌.jpg"),
        ("[red]bold.jpg", "[red]bold.jpg"),
        ("\x1b]0;title\x07\x1b[31m.jpg", r"\x1b]0;title\x07\x1b[31m.jpg"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb", r"a\x0db"),
        ("bad\udcff.jpg", r"bad\xff.jpg"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_shown_as_it_is(text: str, shown: str) -> None:
    """No markup and no command to the terminal; letters of all languages and lines stay."""
    assert _shown(text) == shown


@given(st.text(st.characters(codec=None)))
def test_never_a_control_character(text: str) -> None:
    """Whatever a card's files are called, a terminal gets text."""
    shown = _shown(text)
    shown.encode()
    assert not any(ord(letter) < 0x20 and letter not in "\t\n" for letter in shown)
    assert not any(0x7F <= ord(letter) < 0xA0 for letter in shown)
