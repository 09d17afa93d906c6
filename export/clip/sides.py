"""What a loader hands over: the two sides of a model, each with its framework's own module beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge.vision.manifest import Source
from export.clip.towers import Prompt, Sentence, Vision

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Pixels:
    """How images enter: as in :class:`~edge.vision.manifest.ImageInput`, mean and std on 0 to 255."""

    size: int
    resize: Literal["stretch", "crop"]
    mean: Color
    std: Color


@dataclass(frozen=True)
class VisualSide:
    """The image side.

    Attributes:
        module: torch, float32 batch x 3 x size x size, normalised, to batch x dimension, of any length.
        pixels: how images enter.
        tower: its numbers; None for an architecture that is traced.
        dimension: of the shared space.
        scale: ``logit_scale`` as a factor.
        traceable: where there is no tower: the ``torch.nn.Module`` behind ``module``.
    """

    module: Any
    pixels: Pixels
    tower: Vision | None
    dimension: int
    scale: float
    traceable: Any = None


@dataclass(frozen=True)
class TextSide:
    """The text side.

    Attributes:
        module: torch, int64 ids (and mask where ``masked``), batch x length, to batch x dimension.
        tower: its numbers.
        tokenizer: what ``tokenizer.json`` will hold.
        max_tokens: the longest text, special tokens included.
        length: the only length that the network takes; None for any up to ``max_tokens``.
        masked: the network takes an attention mask.
        clean: what is done to a text ahead of the tokenizer.
        dimension: of the shared space.
        languages: that it was trained for.
    """

    module: Any
    tower: Prompt | Sentence
    tokenizer: str
    max_tokens: int
    length: int | None
    masked: bool
    clean: Literal["none", "open_clip"]
    dimension: int
    languages: tuple[str, ...]


@dataclass(frozen=True)
class Provenance:
    """Where weights come from: a name, a version, a licence (SPDX), and the files with their SHA-256."""

    name: str
    version: str
    license: str
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Place:
    """A model's folder, and the name it was asked for by: the hub's, or the folder's."""

    folder: Path
    name: str
    revision: str = ""


Say = Callable[[str], None]
