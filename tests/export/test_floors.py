from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from edge.errors import ConfigError
from export.floors import Floors, load_floors

FILE = Path(__file__).parents[2] / "configs" / "export.toml"


def test_the_file_says_every_default_and_nothing_else() -> None:
    """A floor that is added without a line in configs/export.toml is found here, and one that is gone too."""
    assert tomllib.loads(FILE.read_text("utf-8")) == Floors().model_dump()
    assert load_floors(FILE) == load_floors(None) == Floors()


def test_every_value_in_the_file_is_explained() -> None:
    """Above each value, or the group that it is in, stands a comment."""
    lines = FILE.read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if "=" in line and not line.startswith("#"):
            block = lines[number::-1]
            above = block[1 : next(i for i, each in enumerate(block) if each.startswith("["))]
            assert any(each.startswith("#") for each in above), line


def test_what_a_file_doesnt_name_keeps_its_default(tmp_path: Path) -> None:
    """One line changes one floor."""
    file = tmp_path / "floors.toml"
    file.write_text("[detector]\nrecall = 0.9\n", "utf-8")
    floors = load_floors(file)
    assert floors.detector.recall == 0.9
    assert floors.model_copy(update={"detector": Floors().detector}) == Floors()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[detector]\nrecal = 0.9\n", "detector.recal"),
        ("[detectors]\n", "detectors"),
        ("[visual]\nmean = 1.5\n", "visual.mean"),
        ("[visual]\nmean = nan\n", "visual.mean"),
        ("[visits]\nlost = -1\n", "visits.lost"),
        ("[visits\n", "TOML"),
    ],
)
def test_what_there_isnt_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    """A misspelt floor would otherwise be one that nobody asks for."""
    file = tmp_path / "floors.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_floors(file)
    assert said in str(caught.value)


def test_a_file_that_isnt_there_is_said(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(ConfigError, match="nowhere"):
        load_floors(tmp_path / "nowhere.toml")
