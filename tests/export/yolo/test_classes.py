"""Class names to what a camera trap asks for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from edge.errors import UsageError
from export.centernet import COCO
from export.yolo.classes import class_map, is_coco, read_class_map

_KIND = st.sampled_from(["animal", "person", "vehicle", "none"])


def test_cocos_names_are_known() -> None:
    """Ten of COCO's 80 classes are animals; what no camera trap asks for counts as nothing."""
    kinds = class_map(COCO, {})
    assert kinds["bear"] == "animal"
    assert kinds["person"] == "person"
    assert kinds["truck"] == "vehicle"
    assert "teddy bear" not in kinds
    assert sorted(kinds.values()).count("animal") == 10
    assert is_coco(COCO)


@pytest.mark.parametrize(
    "names", [("animal", "person", "vehicle"), ("Animal", "Human", "Vehicle"), ("animals", "people", "empty")]
)
def test_megadetectors_names_are_known(names: tuple[str, ...]) -> None:
    """MegaDetector's classes, in the spellings of its versions."""
    kinds = class_map(names, {})
    assert kinds[names[0]] == "animal"
    assert kinds[names[1]] == "person"
    assert "empty" not in kinds
    assert not is_coco(names)


def test_names_of_somebodys_own_are_not_guessed_at() -> None:
    """A detector of species is refused with its names: those that a guess misses would be lost silently."""
    with pytest.raises(UsageError, match=r"dog, chamois, ibex") as caught:
        class_map(("dog", "chamois", "ibex"), {})
    assert "--class-map" in caught.value.hint


def test_the_user_says_what_own_names_mean() -> None:
    """By name, and with a star for all the others."""
    names = ("chamois", "ibex", "hiker", "jeep")
    kinds = class_map(names, {"*": "animal", "hiker": "person", "jeep": "none"})
    assert kinds == {"chamois": "animal", "ibex": "animal", "hiker": "person"}


def test_the_user_wins_over_what_is_known() -> None:
    """A teddy bear can be an animal."""
    assert class_map(COCO, {"teddy bear": "animal", "bear": "none"}).get("teddy bear") == "animal"
    assert "bear" not in class_map(COCO, {"bear": "none"})


def test_a_name_that_the_detector_does_not_have_is_refused() -> None:
    """A slip of the pen isn't passed over."""
    with pytest.raises(UsageError, match="no class called chamoix"):
        class_map(("chamois",), {"chamoix": "animal"})


def test_a_detector_without_animals_is_refused() -> None:
    """Nothing that a camera trap is for."""
    with pytest.raises(UsageError, match=r"no class of the detector is an animal: person, car"):
        class_map(("person", "car"), {})


@given(st.dictionaries(st.sampled_from(COCO), _KIND, max_size=8))
def test_what_is_given_always_holds(chosen: dict[str, str]) -> None:
    """Whatever is said of COCO's classes, each named class is what was said."""
    entries = [f"{name}={kind}" for name, kind in chosen.items()]
    kinds = class_map(COCO, read_class_map(entries))
    for name, kind in chosen.items():
        assert kinds.get(name, "none") == kind


def test_a_class_map_can_be_a_file(tmp_path: Path) -> None:
    """TOML, and what is said on the command line after it wins."""
    path = tmp_path / "map.toml"
    path.write_text('"roe deer" = "animal"\nhunter = "person"\n', "utf-8")
    assert read_class_map([str(path), "hunter=none"]) == {"roe deer": "animal", "hunter": "none"}


@pytest.mark.parametrize("text", ["nowhere.toml", "deer=beast"])
def test_a_class_map_that_cannot_be_read_is_refused(text: str) -> None:
    """A file that isn't there, a kind that isn't one."""
    with pytest.raises(UsageError):
        read_class_map([text])


def test_a_damaged_class_map_is_refused(tmp_path: Path) -> None:
    """Not TOML."""
    path = tmp_path / "map.toml"
    path.write_text("deer: animal\n", "utf-8")
    with pytest.raises(UsageError, match="can't be understood"):
        read_class_map([str(path)])
