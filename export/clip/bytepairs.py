"""open_clip's byte-pair tokenizer as ``tokenizer.json``, from the vocabulary that comes with its package.

Texts come cleaned (:func:`edge.vision.clean.open_clip`), so nothing is normalised here. One habit is kept on
purpose: a text that spells out an end token gets one, but only where open_clip's own pattern finds it, which
isn't right behind punctuation. So these two aren't "added tokens", which would be found anywhere; merges of
the lowest rank put them together instead, and no other text can have their halves side by side.
"""

from __future__ import annotations

import gzip
from typing import Any, Final

from export import frameworks

ENDS: Final = ("<start_of_text>", "<end_of_text>")
_MERGES: Final = 49152 - 256 - 2  # that count; the vocabulary file has more
_PATTERN: Final = "|".join(ENDS) + r"|(?i:'s|'t|'re|'ve|'m|'ll|'d)|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_WORD: Final = "</w>"  # ends every word

Vocabulary = dict[str, int]
Merges = list[tuple[str, str]]


def tokenizer_json(length: int) -> str:
    """The tokenizer: texts cut to ``length`` tokens, ends included, padded with zeros."""
    vocabulary, merges = _vocabulary()
    first = max(vocabulary.values()) + 1
    ids = {end: first + number for number, end in enumerate(ENDS)}
    tokenizer = _tokenizer(*_with_ends(vocabulary, merges, ids))
    tokenizer.post_processor = _processors().TemplateProcessing(
        single=f"{ENDS[0]} $A {ENDS[1]}", special_tokens=list(ids.items())
    )
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(pad_id=0, pad_token="!")  # noqa: S106 - a token of text
    text: str = tokenizer.to_str()
    return text


def _with_ends(vocabulary: Vocabulary, merges: Merges, ids: Vocabulary) -> tuple[Vocabulary, Merges]:
    """Merges that make one token of each end: from what the others leave of it, left to right.

    What lies halfway gets ids behind all others; it never stays, since a piece that begins so is an end.
    """
    plain = _tokenizer(vocabulary, merges)
    words = vocabulary | {f"{end}{_WORD}": number for end, number in ids.items()}
    more: Merges = []
    for end in ENDS:
        left, *rest = plain.encode(end).tokens
        for right in rest:
            more.append((left, right))
            left += right
            words.setdefault(left, max(words.values()) + 1)
    return words, [*merges, *more]


def _tokenizer(vocabulary: Vocabulary, merges: Merges) -> Any:
    tokenizers = frameworks.imported("tokenizers")
    frameworks.imported("tokenizers.models")
    pre = frameworks.imported("tokenizers.pre_tokenizers")
    model = tokenizers.models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix=_WORD, fuse_unk=False)
    tokenizer = tokenizers.Tokenizer(model)
    split = pre.Split(tokenizers.Regex(_PATTERN), "removed", invert=True)
    tokenizer.pre_tokenizer = pre.Sequence([split, pre.ByteLevel(add_prefix_space=False, use_regex=False)])
    return tokenizer


def _processors() -> Any:
    return frameworks.imported("tokenizers.processors")


def _vocabulary() -> tuple[Vocabulary, Merges]:
    """Token ids and merges, from the file in open_clip's package."""
    package = frameworks.imported("open_clip.tokenizer")
    with gzip.open(package.default_bpe(), "rt", encoding="utf-8") as stream:
        lines = stream.read().split("\n")[1 : _MERGES + 1]
    merges = [(first, second) for first, second in (line.split() for line in lines)]
    letters = list(package.bytes_to_unicode().values())
    words = [*letters, *(f"{letter}{_WORD}" for letter in letters), *(a + b for a, b in merges)]
    return {word: number for number, word in enumerate(words)}, merges
