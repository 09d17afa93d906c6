"""The text tower on the workstation: a graph and a tokenizer, before there is any bundle around them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from edge.vision.manifest import Text
from edge.vision.session import Model
from edge.vision.tokens import Tokens, fixed_length
from export.names import Vectors

_BATCH = 32


def write_tokenizer(source: Path, target: Path, max_tokens: int) -> None:
    """Copy a tokenizer, with padding to a batch's longest text instead of the fixed length it came with."""
    tokenizer = Tokenizer.from_file(str(source))
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")  # noqa: S106 - a token of text
    tokenizer.enable_truncation(max_tokens)
    tokenizer.save(str(target))


class TextEmbedder:
    """Texts to L2-normalised vectors by a text graph.

    Args:
        graph: the ONNX file.
        tokenizer: its ``tokenizer.json``.
        spec: what the manifest will say of it.
    """

    def __init__(self, graph: Path, tokenizer: Path, spec: Text) -> None:
        self.model = Model(graph)
        self._spec = spec
        self._tokens = Tokens(tokenizer, spec, fixed_length(self.model.inputs[spec.ids]))

    def feed(self, texts: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """The graph's inputs for texts."""
        return self._tokens(texts)

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: float32, texts x dimension."""
        parts = [
            self.model.run(self.feed(texts[start : start + _BATCH]), [self._spec.output])[0]
            for start in range(0, len(texts), _BATCH)
        ]
        return np.concatenate(parts)
