"""A thousand texts that tokenizers disagree over, the same every time."""

# ruff: noqa: RUF001 - ambiguous letters are the point

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

_WORDS: Final = (
    "a", "photo", "of", "the", "badger", "deer", "Wildschwein", "Fuchs", "écureuil", "лось", "βίσονας",
    "it's", "I'LL", "don't", "we've", "they're", "DON'T", "naïve", "coöperate", "Straße", "İstanbul",
    "ΟΔΟΣ", "ſhip", "ﬁnch", "½", "²³", "１２", "42", "3.14", "1,000", "#wild", "@night", "http://a.b/c?d=e&",
    "<b>bold</b>", "&amp;", "&lt;3", "&amp;amp;", "&nbsp;", "&#233;", "<start_of_text>", "<|endoftext|>",
    "<END_OF_TEXT>", "__init__", "schÃ¶n", "â€œquotedâ€\x9d", "donâ€™t", "l’humanitÃ©", "ÐœÐ¾ÑÐºÐ²Ð°",
    "cafÃ©",
)  # fmt: skip
_RANGES: Final = (
    (0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x5D0, 0x5EA), (0x621, 0x64A),
    (0x905, 0x939), (0xE01, 0xE3A), (0x1100, 0x1112), (0x2000, 0x206F), (0x20A0, 0x20BF), (0x2190, 0x21FF),
    (0x3041, 0x3096), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFF01, 0xFF5E), (0x1F300, 0x1F64F),
)  # fmt: skip
_EMOJI: Final = ("🦌", "🐗", "👨‍👩‍👧‍👦", "👍🏽", "🇩🇪", "❤️", "🏳️‍🌈", "1️⃣")
_SPACES: Final = (
    " ",
    "  ",
    "\n",
    "\t",
    "\r\n",
    "\u00a0",
    "\u3000",
    "\u2028",
    "\u200b",
    "\x1c",
    "\x0b",
    "\ufeff",
)
_MARKS: Final = tuple(chr(code) for code in (*range(0x300, 0x316), 0x327, 0x338, 0x20E3))
_SPECIAL: Final = (
    "", " ", "\n\n", "\t \r\n", ".", "'", "'s", "''''", "!" * 300, "a" * 5000, "deer " * 400, "🦌" * 200,
    "e\u0301" * 100, "\u202eright to left\u202c", "שלום עולם", "مرحبا بالعالم", "鹿在森林里", "ﷺ", "Ⅷ ⅷ ㎏",
    "\U0001d54f", "&lt;b&gt;bold&lt;/b&gt;", "&amp;lt;twice&amp;gt;", "&notanentity;", "&#128059;",
    "\x00\x01\x7f", "\ufffd", "\u0378", "A photo of a Roe Deer.", "a_b-c/d\\e", "…", "“ ”", "\x85next line",
    "ǅ ǆ", "ẞ", "Kelvin \u212a", "\u00ad",
)  # fmt: skip


def texts(count: int = 1000, seed: int = 5) -> list[str]:
    """Texts of all kinds: empty, very long, mojibake, entities, emoji, marks, many scripts; no surrogates."""
    draw = random.Random(seed)
    kinds: tuple[Callable[[random.Random], str], ...] = (_prompt, _letters, _mixed, _marked)
    made = [kinds[number % len(kinds)](draw) for number in range(count - len(_SPECIAL))]
    return [*_SPECIAL, *made]


def _prompt(draw: random.Random) -> str:
    return "".join(draw.choice(_WORDS) + draw.choice(_SPACES) for _ in range(draw.randint(1, 30)))


def _letters(draw: random.Random) -> str:
    low, high = draw.choice(_RANGES)
    return "".join(_character(draw, low, high) for _ in range(draw.randint(1, 120)))


def _mixed(draw: random.Random) -> str:
    parts = (draw.choice((_letters, _prompt))(draw)[: draw.randint(1, 20)] for _ in range(draw.randint(1, 9)))
    return "".join(part + draw.choice(_EMOJI + _SPACES) for part in parts)


def _marked(draw: random.Random) -> str:
    return "".join(letter + draw.choice(_MARKS) * draw.randint(0, 2) for letter in draw.choice(_WORDS) * 3)


def _character(draw: random.Random, low: int, high: int) -> str:
    return draw.choice(" .'") if draw.random() < 0.15 else chr(draw.randint(low, high))
