"""Naming with the option that it is none of the names: probabilities that leave room for something else.

A softmax over the labels alone shares out all of the probability, also for a picture that shows none of
them. So a wide vocabulary of other things takes part, less those that mean what a label means (negative
labels: Jiang et al., "Negative Label Guided OOD Detection with Pretrained Vision-Language Models", 2024).
Beforehand it is as likely that a picture shows one of the labels as that it shows something else, however
many words either side has: with that prior a label's share is its probability, right about as often as it
says, with the bundle's own scale and nothing fitted to pictures. Figures in docs/decisions/0185-when-a-
picture-is-none-of-the-labels.md.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from edge.vision.text import Vectors

Shares = npt.NDArray[np.float32]

KEPT: Final = 0.9
"""Of the vocabulary: the nearest tenth to the labels is left out, since it would compete with its own
synonyms.
"""


class OpenSet:
    """Names embeddings, or says that they are something else.

    Args:
        vectors: (n, d) float32 of the labels, unit length.
        others: (m, d) float32 of the vocabulary, unit length, m at least 2.
        logit_scale: of the bundle.
    """

    def __init__(self, vectors: Vectors, others: Vectors, *, logit_scale: float) -> None:
        kept = _apart(vectors, others)
        self._count = len(vectors)
        self._weights = np.concatenate([vectors, kept]).T * np.float32(logit_scale)
        self._prior = np.zeros(len(vectors) + len(kept), np.float32)
        self._prior[self._count :] = np.log(self._count / len(kept))

    def shares(self, embeddings: Vectors) -> Shares:
        """(k, d) unit embeddings to (k, n + 1) float32: the labels' probabilities, then that of the rest."""
        logits = embeddings @ self._weights + self._prior
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        rest = weights[:, self._count :].sum(-1, keepdims=True)
        shares: Shares = np.concatenate([weights[:, : self._count], rest], -1)
        return shares


def _apart(vectors: Vectors, others: Vectors) -> Vectors:
    nearest = (others @ vectors.T).max(-1)
    kept = np.sort(np.argsort(nearest, kind="stable")[: max(1, int(len(others) * KEPT))])
    apart: Vectors = others[kept]
    return apart
