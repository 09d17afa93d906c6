"""What a picture shows, among names that somebody gives, or that it is none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from edge.errors import UsageError
from edge.service.searching.eyes import GIVEN, Looked
from edge.vision.crops import Corners
from edge.vision.labels import Label, LabelSet, load_label_set
from edge.vision.openset import OpenSet

Float32 = npt.NDArray[np.float32]
TOP: Final = 3
MOST_CLASSES: Final = 1000
_LITTLE: Final = 1e-9
_WHOLE: Final = 0.3
"""What the whole picture weighs beside its animals' detector scores, where classes needn't be animals."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A label and its probability, 0 to 1."""

    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Classified:
    """What a picture shows.

    Attributes:
        label: the likeliest, or None: unknown, the evidence is thin.
        confidence: probability of the likeliest label, 0 to 1, whether it is stated or not.
        top: the likeliest, best first: three, if no other number was asked for and there are so many.
        known: probability that it is any of the labels.
        animals: found in it; without any, what was likeliest to be one was classified, or the whole picture.
        people: boxes of people in it, left, top, right, bottom, 0 to 1; only of pictures that are not
            on record.
    """

    label: str | None
    confidence: float
    top: tuple[Guess, ...]
    known: float
    animals: int
    people: tuple[Corners, ...] = ()


@dataclass(frozen=True, slots=True)
class Judge:
    """Classifies what was seen, by one label set in one space.

    Attributes:
        names: n labels.
        open_set: of them.
        floor: confidence below which a picture is unknown.
        margin: lead over the second label below which it is.
        whole: the whole picture has a say beside the animals in it.
    """

    names: tuple[str, ...]
    open_set: OpenSet
    floor: float
    margin: float
    whole: bool

    def judge(self, looked: Looked, top: int = TOP) -> Classified:
        """Decide: a linear pool of the regions' probabilities, each as loud as the detector is sure of it."""
        vectors, weights = self._regions(looked)
        shares = self.open_set.shares(vectors)
        if self.whole:
            # An animal that is none of the classes has nothing to say about them.
            weights = weights * (1 - shares[:, -1])
        pool: Float32 = weights @ shares / max(float(weights.sum()), _LITTLE)
        return self._classified(pool, looked, top)

    def _regions(self, looked: Looked) -> tuple[Float32, Float32]:
        if self.whole or looked.unsure:
            return looked.vectors, np.concatenate([[_WHOLE], looked.scores]).astype(np.float32)
        if len(looked.scores):
            return looked.vectors[1:], looked.scores
        return looked.vectors[:1], np.ones(1, np.float32)

    def _classified(self, pool: Float32, looked: Looked, top: int) -> Classified:
        order = np.argsort(-pool[:-1], kind="stable")
        guesses = tuple(Guess(self.names[i], float(pool[i])) for i in order[: max(top, 2)])
        first, second = guesses[0], guesses[1]
        sure = first.confidence >= self.floor and first.confidence - second.confidence >= self.margin
        return Classified(
            label=first.label if sure else None,
            confidence=first.confidence,
            top=guesses[:top],
            known=float(1 - pool[-1]),
            animals=0 if looked.unsure else len(looked.scores),
            people=looked.people,
        )


def labels_of(given: Sequence[str], default: str, folder: Path | None = None) -> LabelSet:
    """The label set that is meant by what was given.

    Args:
        given: nothing: the default; one word: the name of a label set or a file with one; several: the
            classes themselves.
        default: name of a label set, or a file.
        folder: with further label sets.

    Raises:
        ConfigError: there is no such label set, or it can't be understood.
        UsageError: the classes can't be told apart.
    """
    if len(given) > 1:
        return class_labels(given)
    return load_label_set(given[0] if given else default, (folder,) if folder else ())


def class_labels(names: Sequence[str]) -> LabelSet:
    """Classes as somebody names them; each is also put into a caption.

    Raises:
        UsageError: fewer than two, too many, empty, too long or twice the same.
    """
    if len(names) > MOST_CLASSES:
        raise UsageError(f"{len(names)} classes are too many", hint=f"{MOST_CLASSES} at most")
    try:
        labels = [Label(label=name, prompts=(name, f"a photo of {_lower(name)}")) for name in names]
        return LabelSet(name=GIVEN, labels=tuple(labels))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        hint = 'give two or more, such as: --labels "red fox" badger'
        raise UsageError(f"classes can't be used: {first['msg']}", hint=hint) from error


def _lower(name: str) -> str:
    """As it stands within a sentence: "Waterfalls and lakes", but not "USA", loses its capital."""
    plain = " ".join(name.replace("_", " ").split())
    return plain[:1].lower() + plain[1:] if plain[1:2].islower() else plain
