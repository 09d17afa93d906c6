"""``edge run``: what its options make of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.cli import run as command
from edge.intake.identity import deployment_of
from edge.settings import IntakeSettings
from tests.cli.conftest import Run


def _intake(run: Run, monkeypatch: pytest.MonkeyPatch, *options: str) -> IntakeSettings:
    seen: list[IntakeSettings] = []

    def instead(settings: Any, **_: object) -> str:
        seen.append(settings.intake)
        return "done"

    monkeypatch.setattr(command, "run", instead)
    monkeypatch.setattr(command, "_stop_on_signals", lambda _stop: None)
    assert run("run", "--drop", Path("drop"), "--state", Path("state"), *options).code == 0
    (found,) = seen
    return found


def test_bundle_that_is_not_there_is_a_wrong_setting(run: Run, tmp_path: Path) -> None:
    """Exit code 78, whether it is a name or a folder: starting again wouldn't help."""
    (tmp_path / "drop").mkdir()
    for bundle in ("tiger", tmp_path):
        result = run("run", "--drop", tmp_path / "drop", "--state", tmp_path / "state", "--bundle", bundle)
        assert (result.code, "model bundle" in result.err) == (78, True), result.err


def test_one_camera_s_card_is_one_deployment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cameras spread images over folders of their own (100EK113, 101EK113): --deployment makes them one."""
    settings = _intake(run, monkeypatch, "--deployment", "cam-07")
    assert {deployment_of(file, settings) for file in ("a.JPG", "100EK113/a.JPG", "101EK113/b/a.JPG")} == {
        "cam-07"
    }


def test_each_folder_is_a_camera_otherwise(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the option it is as configured: the folder's name, else the default."""
    settings = _intake(run, monkeypatch)
    assert [deployment_of(file, settings) for file in ("a.JPG", "cam-1/a.JPG")] == ["camera", "cam-1"]
