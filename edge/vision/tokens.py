"""Texts to a text graph's inputs, the same on the device and where bundles are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from edge.errors import BundleError
from edge.vision import clean
from edge.vision.manifest import Text

Ids = npt.NDArray[np.int64]
_PADDING: Final = ("pad_id", "pad_type_id", "pad_token", "direction")
_CLEAN: Final[dict[str, Callable[[str], str]]] = {"none": str, "open_clip": clean.open_clip}


class Tokens:
    """A bundle's tokenizer: cleaning, cutting and padding included.

    Args:
        path: ``tokenizer.json``, known to be whole.
        spec: of the text graph. Longer texts are cut to ``max_tokens``, the end token kept.
        length: the only length that the graph takes; by default texts are padded to the longest.
    """

    def __init__(self, path: Path, spec: Text, length: int | None = None) -> None:
        self._spec = spec
        self._clean = _CLEAN[spec.clean]
        self._path = path
        with _mapped(path):
            self._tokenizer = Tokenizer.from_file(str(path))
        padding = self._tokenizer.padding or {}
        keep = {key: padding[key] for key in _PADDING if key in padding}
        self._tokenizer.enable_truncation(max_length=length or spec.max_tokens)
        self._tokenizer.enable_padding(length=length, **keep)

    def __call__(self, texts: Sequence[str]) -> dict[str, Ids]:
        """Texts to the graph's inputs by name: int64, texts x length.

        Raises:
            BundleError: a library that the bundle's texts need isn't installed, or the tokenizer's file is
                at odds with itself.
        """
        cleaned = [self._clean(text) for text in texts]
        with _mapped(self._path):
            encoded = self._tokenizer.encode_batch(cleaned)
        inputs = {self._spec.ids: np.array([each.ids for each in encoded], np.int64)}
        if self._spec.mask is not None:
            inputs[self._spec.mask] = np.array([each.attention_mask for each in encoded], np.int64)
        return inputs


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # tokenizers raises this very class, whatever is wrong
        raise BundleError("tokenizer can't be used", subject=str(path), hint=str(error)) from error


def fixed_length(shape: Sequence[object]) -> int | None:
    """The length that a graph's ids must have, from the input's shape; None for any."""
    return shape[1] if len(shape) > 1 and isinstance(shape[1], int) else None
