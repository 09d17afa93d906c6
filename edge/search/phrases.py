"""What becomes of words before they are embedded.

A name alone is rarely what a text model was taught to place among pictures, so a short query is also put
into a caption, and the mean of the two directions is searched (the prompt ensemble of Radford et al.,
"Learning Transferable Visual Models From Natural Language Supervision", 2021). Figures in
docs/decisions/0151-what-a-query-becomes.md.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

_SHORT: Final = 4
_CAPTION: Final = "a photo of {}"
_DETERMINED: Final = re.compile(r"(?:an?|the|some|two|three|several|many|\d+)\s", re.IGNORECASE)
_ARTICLE: Final = re.compile(r"(?:an?|the)\s+", re.IGNORECASE)


def phrases(query: str) -> tuple[str, ...]:
    """The texts, English, to embed for a query: itself, and in a caption if it has four words or fewer.

    An article doesn't count as a word, and is supplied where the caption needs one.
    """
    plain = " ".join(query.split())
    if len(_ARTICLE.sub("", plain, count=1).split()) > _SHORT:
        return (plain,)
    return (plain, _CAPTION.format(_with_article(plain)))


def direction(vectors: Float32) -> Float32:
    """The mean direction of (n, d) unit vectors: (d,) float32 of length 1.

    Raises:
        ValueError: they cancel out.
    """
    mean = vectors.mean(0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    if not length > 0:
        raise ValueError("vectors have no mean direction")
    unit: Float32 = (mean / length).astype(np.float32)
    return unit


def _with_article(noun: str) -> str:
    if _DETERMINED.match(noun):
        return noun
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
