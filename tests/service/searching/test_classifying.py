"""Names for what was seen, or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigError, UsageError
from edge.service.searching import Judge, Looked, class_labels, labels_of
from edge.vision.openset import OpenSet
from tests.search.build import unit

NAMES = ("Fox", "Badger", "Deer")
LABELS = np.eye(5, dtype=np.float32)[:3]
OTHERS = np.eye(5, dtype=np.float32)[3:]
FOX, BADGER, WATERFALL = (np.eye(5, dtype=np.float32)[n] for n in (0, 1, 3))


def judge(*, floor: float = 0.3, margin: float = 0.02, whole: bool = False) -> Judge:
    """A judge of three labels, in a space where everything has its own axis."""
    return Judge(NAMES, OpenSet(LABELS, OTHERS, logit_scale=10), floor, margin, whole)


def looked(whole: object, *animals: object, scores: tuple[float, ...] | None = None) -> Looked:
    """A picture and the animals in it."""
    vectors = np.stack([np.asarray(v, np.float32) for v in (whole, *animals)])
    return Looked(vectors, np.array(scores or [0.9] * len(animals), np.float32))


def test_the_likeliest_label_is_stated_with_its_probability() -> None:
    """Three guesses, best first; what is left of one is everything else."""
    shown = judge().judge(looked(FOX))
    assert shown.label == "Fox"
    assert [guess.label for guess in shown.top] == ["Fox", "Badger", "Deer"]
    assert shown.confidence == shown.top[0].confidence > 0.9
    assert shown.known == pytest.approx(sum(guess.confidence for guess in shown.top))


def test_something_else_is_unknown() -> None:
    """A picture that no label fits has none; what would come first is said all the same."""
    shown = judge().judge(looked(WATERFALL))
    assert shown.label is None
    assert len(shown.top) == 3
    assert shown.known < 0.1


def test_two_labels_alike_are_unknown() -> None:
    """Where two are as likely, neither is stated, whatever the floor."""
    between = unit(1, 1, 0, 0, 0)
    assert judge(floor=0.1).judge(looked(between)).label is None
    assert judge(floor=0.1, margin=0).judge(looked(between)).label is not None


def test_the_floor_is_the_least_confidence_that_is_stated() -> None:
    """Just below it a picture is unknown, at it named."""
    seen = looked(unit(1, 0.3, 0.2, 0.8, 0))
    confidence = judge().judge(seen).confidence
    assert judge(floor=confidence + 1e-4).judge(seen).label is None
    assert judge(floor=confidence).judge(seen).label == "Fox"


def test_animals_are_named_by_their_own_pixels() -> None:
    """With an animal found the surroundings say nothing; without, the whole picture is all there is."""
    assert judge().judge(looked(WATERFALL, FOX)).label == "Fox"
    assert judge().judge(looked(FOX)).label == "Fox"
    assert judge().judge(looked(WATERFALL, FOX)).animals == 1


def test_the_detector_s_score_is_how_loud_an_animal_speaks() -> None:
    """Of two animals the one that is surely there decides."""
    shown = judge().judge(looked(WATERFALL, FOX, BADGER, scores=(0.9, 0.1)))
    assert shown.label == "Fox"
    assert shown.confidence == pytest.approx(0.9, abs=0.05)


def test_what_may_be_an_animal_speaks_beside_the_whole_picture() -> None:
    """Where the detector is sure of none, neither has the word alone, and no animal is counted."""
    seen = looked(BADGER, FOX, scores=(0.1,))._replace(unsure=True)
    shown = judge().judge(seen)
    assert [guess.label for guess in shown.top[:2]] == ["Badger", "Fox"]
    assert shown.top[1].confidence == pytest.approx(0.25, abs=0.03)
    assert shown.animals == 0


def test_classes_that_aren_t_animals_are_read_from_the_whole_picture() -> None:
    """An animal that is none of the classes doesn't hide what surrounds it, and one that is counts."""
    assert judge(whole=True).judge(looked(FOX, WATERFALL)).label == "Fox"
    assert judge(whole=True).judge(looked(WATERFALL, FOX)).label == "Fox"
    assert judge(whole=True).judge(looked(WATERFALL, WATERFALL)).label is None


def test_more_or_fewer_guesses_on_demand() -> None:
    """As many as were asked for, and no more than there are labels."""
    assert len(judge().judge(looked(FOX), top=1).top) == 1
    assert len(judge().judge(looked(FOX), top=9).top) == 3


def test_classes_named_by_hand_are_put_into_captions() -> None:
    """The name as it was given is the label; the caption has it as it stands in a sentence."""
    labels = class_labels(["Waterfalls and lakes", "USA"])
    assert labels.names == ("Waterfalls and lakes", "USA")
    assert labels.labels[0].prompts == ("Waterfalls and lakes", "a photo of waterfalls and lakes")
    assert labels.labels[1].prompts == ("USA", "a photo of USA")


@pytest.mark.parametrize(
    "names", [["one"], ["fox", "fox"], ["fox", " "], ["fox", "unidentified"], ["x" * 401, "fox"]]
)
def test_classes_that_can_t_be_told_apart_are_refused(names: list[str]) -> None:
    """One alone, doubles, blanks, reserved words and whole essays; the hint shows how it is done."""
    with pytest.raises(UsageError, match="classes can't be used") as caught:
        class_labels(names)
    assert "--labels" in caught.value.hint


def test_too_many_classes_are_refused() -> None:
    """A page could be asked for any number."""
    with pytest.raises(UsageError, match="too many"):
        class_labels([f"class {n}" for n in range(1001)])


def test_one_word_is_a_label_set_and_several_are_classes(tmp_path: Path) -> None:
    """Nothing: the configured set; one word: a set or a file; more: the classes themselves."""
    file = tmp_path / "mine.json"
    file.write_text('{"labels": ["A", "B"], "queries": [["a"], ["b"]]}')
    assert labels_of([], "europe").name == "europe"
    assert labels_of(["africa"], "europe").name == "africa"
    assert labels_of([str(file)], "europe").names == ("A", "B")
    assert labels_of(["fox", "badger"], "europe").names == ("fox", "badger")
    with pytest.raises(ConfigError, match="no such label set"):
        labels_of(["atlantis"], "europe")
