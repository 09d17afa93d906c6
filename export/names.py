"""What ImageNet's classes are called, and where those names lie in the text space.

A class is placed by its everyday name and, with less weight, by the kinds of thing that it is: the text model
has no idea that an impala is close to a deer, or a sorrel a horse, and users ask for deer and horses. The
names and kinds are facts known to everybody, written down in ``imagenet.tsv``; the synsets are WordNet's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]
PROMPT = "a photo of a {}"
KIND_WEIGHT = 0.3
_TABLE = Path(__file__).with_name("imagenet.tsv")


@dataclass(frozen=True)
class ClassName:
    """A class of ImageNet-1k: WordNet's synset, an everyday name, and broader words for it (may be none)."""

    synset: str
    name: str
    kinds: tuple[str, ...]


def read_names(table: Path = _TABLE) -> tuple[ClassName, ...]:
    """The classes in the order of a classifier's outputs."""
    lines = [line for line in table.read_text("utf-8").splitlines() if not line.startswith("#")]
    return tuple(_class_name(*line.split("\t")) for line in lines)


def _class_name(synset: str, name: str, kinds: str) -> ClassName:
    return ClassName(synset, name, tuple(kind for kind in kinds.split("; ") if kind))


def embed_names(names: Sequence[ClassName], embed: Embed, kind_weight: float = KIND_WEIGHT) -> Vectors:
    """One L2-normalised vector per class.

    Args:
        names: the classes.
        embed: texts to L2-normalised vectors, n x dimension.
        kind_weight: share of the kinds, 0 to 1; the name has the rest. From about 0.5 on the kind drowns
            the name, and a jaguar becomes any big cat.

    Returns:
        float32, classes x dimension.
    """
    kinds = sorted({kind for name in names for kind in name.kinds})
    by_name = embed([PROMPT.format(name.name) for name in names])
    by_kind = dict(zip(kinds, embed([PROMPT.format(kind) for kind in kinds]), strict=True))
    rows = [_place(own, name, by_kind, kind_weight) for own, name in zip(by_name, names, strict=True)]
    return np.stack(rows).astype(np.float32)


def _place(own: Vectors, name: ClassName, by_kind: dict[str, Vectors], weight: float) -> NDArray[Any]:
    if not name.kinds:
        return own
    kind = unit(np.mean([by_kind[word] for word in name.kinds], axis=0))
    return unit((1 - weight) * own + weight * kind)


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    """Scale the last axis to length 1."""
    scaled: NDArray[Any] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled


def convex_combination(logits: NDArray[Any], rows: NDArray[Any], top: int = 20) -> NDArray[Any]:
    """ConSE in numpy: logits (n x classes) and the classes' vectors to embeddings (n x dimension)."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    chosen = np.argsort(-weights, axis=1, kind="stable")[:, :top]
    picked = np.take_along_axis(weights, chosen, axis=1)
    return unit(np.einsum("nk,nkd->nd", picked, rows[chosen]))
