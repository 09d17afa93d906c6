"""The text tower: words to the bundle's embedding space. Opened when needed, closed after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.errors import BundleError
from edge.vision.manifest import Manifest, Text, verify_file
from edge.vision.providers import target_of
from edge.vision.session import CPU, Model, require
from edge.vision.tokens import Tokens, fixed_length

Vectors = npt.NDArray[np.float32]
_BATCH: Final = 32  # texts in one run: bounds memory, and longer batches aren't faster


class TextTower:
    """Tokenizer and text model of a bundle; safe to use from several threads.

    Args:
        bundle: the folder.
        manifest: of the bundle.
        provider: execution provider. The CPU by default: texts are few and the model is small.
        threads: inside one run.

    Raises:
        BundleError: a file is missing or not what the manifest says.
        ProviderError: the provider can't be used.
    """

    def __init__(self, bundle: Path, manifest: Manifest, *, provider: str = CPU, threads: int = 1) -> None:
        spec = manifest.text
        self._spec = spec
        self._dimension = manifest.visual.dimension
        # tokenizers raises bare Exceptions; bytes that are the manifest's leave no reason for one.
        verify_text(bundle, spec, provider)
        stored = spec.stored_for(target_of(provider))
        self.model = Model(bundle / stored.file, provider, threads)
        require(self.model, [spec.ids, *([spec.mask] if spec.mask else [])], [spec.output])
        length = fixed_length(self.model.inputs[spec.ids])
        self._tokens = Tokens(bundle / spec.tokenizer, spec, length)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts.

        Returns:
            (len(texts), dimension) float32, each of length 1.

        Raises:
            ProviderError: the model failed to run.
            BundleError: it gave vectors of another dimension than the manifest says.
        """
        # Texts of one length side by side: the shorter ones need no padding.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = np.empty((len(texts), self._dimension), np.float32)
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            vectors[part] = self._run([texts[i] for i in part])
        return vectors

    def _run(self, texts: Sequence[str]) -> Vectors:
        (output,) = self.model.run(self._tokens(texts), [self._spec.output])
        if output.shape != (len(texts), self._dimension):
            raise BundleError(
                f"text model gives {output.shape[1:]} numbers, the manifest says {self._dimension}",
                subject=str(self.model.path),
            )
        return unit(output.astype(np.float32))


def verify_text(bundle: Path, spec: Text, provider: str = CPU) -> None:
    """Compare the files of the text tower with the manifest; nothing is opened.

    Args:
        bundle: the folder.
        spec: the manifest's section.
        provider: whose file is meant.

    Raises:
        BundleError: a file is missing or its bytes differ.
    """
    verify_file(bundle / spec.tokenizer, spec.tokenizer_sha256)
    stored = spec.stored_for(target_of(provider))
    verify_file(bundle / stored.file, stored.sha256)


def unit(vectors: Vectors) -> Vectors:
    """Rows (n, d) scaled to length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
