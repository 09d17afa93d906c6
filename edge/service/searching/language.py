"""Whether a query is likely to be in a language that the bundle's text model doesn't know."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

ENGLISH: Final = ("en",)
_WORD: Final = re.compile(r"[^\W\d_]+")
# Articles, prepositions and the like, which no English query has: German, French, Spanish, Portuguese,
# Italian, Dutch, Polish, Swedish, Indonesian. Words that English has as well ("die", "on", "are", "am",
# "in", "an") are left out.
_SMALL: Final = """
der das und ein eine einen einem einer mit bei nacht le la les un une des du avec dans et sur nuit
el los las una del con por noche uma com em noite lo gli di nella della notte het een van met bij nachts
nocą noc w na z och ett med nattetid yang dan malam dengan
"""
_FOREIGN: Final = frozenset(_SMALL.split())


def seems_foreign(query: str) -> bool:
    """Whether words don't look English: letters that English doesn't have, or another language's small words.

    A guess, made without a dictionary, for a note and never for a refusal: names such as "Rothirsch" pass.
    """
    words = [word.lower() for word in _WORD.findall(unicodedata.normalize("NFC", query))]
    return any(not word.isascii() or (word in _FOREIGN and len(words) > 1) for word in words)


def note_on(query: str, languages: tuple[str, ...], bundle: str) -> str:
    """A sentence for whoever asked in a language that the text model doesn't know; empty otherwise.

    Args:
        query: the words.
        languages: that it knows.
        bundle: its name.
    """
    if languages != ENGLISH or not seems_foreign(query):
        return ""
    return f"bundle {bundle} understands English only; this doesn't look English: {query}"
