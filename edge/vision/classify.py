"""Zero-shot naming: similarities to the labels' vectors, a softmax, and the courage to say nothing.

The probabilities are a softmax over ``logit_scale * cosine``, as in CLIP (Radford et al., 2021). The
bundle gives the scale; with it the probabilities are comparable between bundles, and so are the floor
and the margin below which an animal stays without a label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.vision.text import Vectors

Probabilities = npt.NDArray[np.float32]
PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an animal, or all of an image's animals together, is called.

    Attributes:
        label: or None: not sure.
        probability: of the likeliest label, 0 to 1.
        scores: the likeliest labels and their probabilities, best first.
    """

    label: str | None
    probability: float
    scores: tuple[tuple[str, float], ...]

    @property
    def confidence(self) -> int:
        """Of the label, parts per million; 0 without one."""
        return round(self.probability * PPM) if self.label is not None else 0


class Classifier:
    """Names embeddings.

    Args:
        names: n labels.
        vectors: (n, d) float32, unit length.
        logit_scale: of the bundle.
        floor: probability below which there is no label.
        margin: lead over the second label below which there is none.
    """

    def __init__(
        self, names: tuple[str, ...], vectors: Vectors, *, logit_scale: float, floor: float, margin: float
    ) -> None:
        self.names = names
        self._weights = np.ascontiguousarray(vectors.T) * np.float32(logit_scale)
        self._floor = floor
        self._margin = margin

    def probabilities(self, embeddings: Vectors) -> Probabilities:
        """Softmax over the labels: (k, d) unit embeddings to (k, n) float32, rows sum to 1."""
        logits = embeddings @ self._weights
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        shares: Probabilities = weights / weights.sum(-1, keepdims=True)
        return shares

    def verdict(self, probabilities: Probabilities, top: int = 5) -> Verdict:
        """Decide: (n,) probabilities to a label, or none where floor or margin isn't reached."""
        order = np.argsort(-probabilities, kind="stable")
        first, second = float(probabilities[order[0]]), float(probabilities[order[1]])
        sure = first >= self._floor and first - second >= self._margin
        scores = tuple((self.names[i], float(probabilities[i])) for i in order[:top])
        return Verdict(self.names[order[0]] if sure else None, first, scores)


def pooled(probabilities: Probabilities, weights: npt.NDArray[np.float32]) -> Probabilities:
    """One distribution for an image with several animals: what an animal drawn from it would be.

    Each animal speaks with the detector's score: that it is an animal at all is only so likely. The linear
    pool keeps two species in one image apart (neither reaches certainty), where a product would let the
    louder one win.

    Args:
        probabilities: (k, n), rows sum to 1, k >= 1.
        weights: (k,), positive.

    Returns:
        (n,) float32, sums to 1.
    """
    share = weights / weights.sum()
    mixture: Probabilities = (share @ probabilities).astype(np.float32)
    return mixture
