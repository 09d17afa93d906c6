"""The text tower on the workstation: a graph and a tokenizer, before there is any bundle around them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from edge.vision.session import Model
from export import minilm
from export.names import Vectors

_BATCH = 32


def write_tokenizer(source: Path, target: Path, max_tokens: int) -> None:
    """Copy a tokenizer, with padding to a batch's longest text instead of the fixed length it came with."""
    tokenizer = Tokenizer.from_file(str(source))
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")  # noqa: S106 - a token of text
    tokenizer.enable_truncation(max_tokens)
    tokenizer.save(str(target))


def tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids and mask of texts, padded to the longest: int64, texts x length."""
    encoded = tokenizer.encode_batch(list(texts))
    ids = np.array([each.ids for each in encoded], np.int64)
    return ids, np.array([each.attention_mask for each in encoded], np.int64)


class TextEmbedder:
    """Texts to L2-normalised vectors by a text graph."""

    def __init__(self, graph: Path, tokenizer: Path) -> None:
        self.model = Model(graph)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))

    def feed(self, texts: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """The graph's inputs for texts."""
        ids, mask = tokens(self._tokenizer, texts)
        return {minilm.IDS: ids, minilm.MASK: mask}

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: float32, texts x dimension."""
        parts = [
            self.model.run(self.feed(texts[start : start + _BATCH]), [minilm.OUTPUT])[0]
            for start in range(0, len(texts), _BATCH)
        ]
        return np.concatenate(parts)
