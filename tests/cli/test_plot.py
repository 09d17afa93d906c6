"""``edge registrations plot``: a deployment as a picture."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.registration import Observation, Options, register
from edge.service.plotting import OTHERS, Sighted, by_hour, draw, rows_of
from tests.cli.conftest import Run
from tests.service.outcomes import MINUTE, START

HOUR = 60 * MINUTE


def _sighted(*seen: tuple[float, str | None], offset: int = 0) -> Sighted:
    """Images by hours after midnight UTC."""
    observations = [
        Observation("cam", f"sha256:{n}", START + round(hour * HOUR), label, 1 + n % 2, 800_000)
        for n, (hour, label) in enumerate(seen)
    ]
    offsets = {o.media_id: offset for o in observations}
    return Sighted("cam", observations, register(observations, Options()), offsets, "UTC")


def _texts(svg: Path) -> str:
    """What a picture says: matplotlib notes each text beside its outlines."""
    return " | ".join(re.findall(r"<!-- (.*?) -->", svg.read_text()))


@pytest.mark.parametrize("name", ["cam.png", "cam.PNG"])
def test_picture_is_drawn(run: Run, state: Path, tmp_path: Path, name: str) -> None:
    """A PNG that isn't empty: many colours, mostly white."""
    target = tmp_path / name
    result = run("registrations", "plot", "-d", "cam", "--out", target, "--state", state)
    assert (result.code, result.out) == (0, f"drawn: {target}\n"), result.err
    pixels = np.asarray(Image.open(target).convert("RGB"))
    assert pixels.shape[1] > 1000
    assert (pixels == 255).all(axis=2).mean() > 0.5
    blue = (abs(pixels.astype(int) - (0x00, 0x72, 0xB2)) < 3).all(axis=2)
    assert blue.sum() > 500


def test_picture_says_what_it_shows(run: Run, state: Path, tmp_path: Path) -> None:
    """Title, labels, units of the axes, a legend; local time by the cameras' own offset."""
    target = tmp_path / "cam.svg"
    assert run("registrations", "plot", "-d", "cam", "-o", target, "--state", state).code == 0
    ET.parse(target)  # noqa: S314 - our own file
    texts = _texts(target)
    for words in ("cam: 1 registration from 2 images with animals", "Red Fox", "local time (UTC+01:00)",
                  "hour of the day", "daily activity", "images"):  # fmt: skip
        assert words in texts
    again = tmp_path / "again.svg"
    run("registrations", "plot", "-d", "cam", "-o", again, "--state", state)
    assert again.read_bytes() == target.read_bytes()


def test_span_is_drawn(run: Run, state: Path, tmp_path: Path) -> None:
    """--from and --to leave out what is outside."""
    target = tmp_path / "cam.svg"
    run("registrations", "plot", "-d", "cam", "--from", "2026-01-01T00:05", "-o", target, "--state", state)
    assert "from 1 image with animals" in _texts(target)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-d", "cam", "-o", "cam.pdf"], "end it in .png or .svg"),
        (["-d", "nowhere", "-o", "x.png"], "no images of this camera then"),
        (["-d", "cam", "--from", "2026-01-01T00:15", "-o", "x.png"], "no animals then and there"),
    ],
)
def test_what_cannot_be_drawn(run: Run, state: Path, arguments: list[str], words: str) -> None:
    """Exit code 2 and no file."""
    result = run("registrations", "plot", *arguments, "--state", state)
    assert (result.code, words in result.err) == (2, True), result.err
    assert not Path(arguments[-1]).exists()


def test_folder_that_is_not_there(run: Run, state: Path, tmp_path: Path) -> None:
    """What the system says is passed on."""
    result = run("registrations", "plot", "-d", "cam", "-o", tmp_path / "no" / "x.png", "--state", state)
    assert (result.code, "picture can't be written" in result.err) == (1, True)


def test_missing_extra_is_named(
    run: Run, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without matplotlib everything else works, and this says what to install."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("registrations", "plot", "-d", "cam", "-o", tmp_path / "x.png", "--state", state)
    assert (result.code, "edge-camera-trap[plot]" in result.err) == (1, True)
    assert run("registrations", "--state", state).code == 0


def test_rows_by_number_of_images() -> None:
    """The most frequent first, unidentified last."""
    sighted = _sighted((1, "Hare"), (5, "Fox"), (5.1, "Fox"), (9, None), (13, None), (17, None))
    assert rows_of(sighted) == ["Fox", "Hare", "unidentified"]


def test_many_labels_become_others() -> None:
    """No more rows than colours that can be told apart."""
    sighted = _sighted(*[(n * 2, f"Label_{n}") for n in range(9)], (30, None))
    rows = rows_of(sighted)
    assert rows == [*(f"Label_{n}" for n in range(5)), OTHERS, "unidentified"]
    assert sum(by_hour(sighted)[OTHERS]) == 4


def test_hours_are_local() -> None:
    """23:30 UTC is half past five in the morning six hours east."""
    sighted = _sighted((23.5, "Fox"), (23.6, "Fox"), (12, "Fox"), offset=360)
    hours = by_hour(sighted)["Fox"]
    assert {hour: number for hour, number in enumerate(hours) if number} == {5: 2, 18: 1}


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    """A dollar in a name is no formula, and one image alone is drawn as well."""
    sighted = _sighted((1, "$Fox$_a"))
    target = tmp_path / "x.svg"
    draw(Sighted("$cam", sighted.observations, sighted.registrations, {}, "UTC"), target)
    assert "$Fox$ a" in _texts(target).replace("\\", "")
