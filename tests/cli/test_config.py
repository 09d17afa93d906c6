"""``edge config``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.configuration import load
from edge.resources import default_configuration
from edge.settings import Settings
from tests.cli.conftest import Run


def test_init_writes_what_check_accepts(run: Run, tmp_path: Path) -> None:
    """The written file is the shipped one; its values are the defaults."""
    file = tmp_path / "new" / "edge.toml"
    assert run("config", "init", file).code == 0
    assert file.read_text("utf-8") == default_configuration()
    result = run("config", "check", "--config", file, "--json")
    assert result.code == 0
    assert load(file).settings == Settings()


def test_init_doesn_t_overwrite(run: Run, tmp_path: Path) -> None:
    """A file that is there stays, unless --force."""
    file = tmp_path / "edge.toml"
    file.write_text("mine")
    result = run("config", "init", file)
    assert (result.code, file.read_text()) == (78, "mine")
    assert "--force" in result.err
    assert run("config", "init", file, "--force").code == 0
    assert file.read_text() == default_configuration()


def test_init_to_standard_output(run: Run) -> None:
    """``-`` prints it, and nothing else."""
    assert run("config", "init", "-").out == default_configuration()


def test_check_shows_values_with_sources(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As JSON, one entry for each setting; the password is hidden."""
    file = tmp_path / "edge.toml"
    file.write_text('device = "ridge-01"\n[mqtt]\npassword = "sesame"\n')
    monkeypatch.setenv("EDGE_MQTT__HOST", "broker.lan")
    result = run("config", "check", "--config", file, "--json")
    found = {entry["name"]: (entry["value"], entry["source"]) for entry in json.loads(result.out)}
    assert found["device"] == ("ridge-01", str(file))
    assert found["mqtt.host"] == ("broker.lan", "environment")
    assert found["mqtt.port"] == (1883, "default")
    assert "sesame" not in result.out


def test_table_shows_patterns_as_they_are(run: Run, tmp_path: Path) -> None:
    """Square brackets of a regular expression aren't taken for styles."""
    file = tmp_path / "edge.toml"
    file.write_text("[intake]\ndeployment_pattern = '^(?P<deployment>[a-z]+[0-9]+)/'\n")
    assert "^(?P<deployment>[a-z]+[0-9]+)/" in run("config", "check", "--config", file).out


def test_misspelt_setting_exits_with_78(run: Run, tmp_path: Path) -> None:
    """One line on standard error: what, where, and the nearest that there is."""
    file = tmp_path / "edge.toml"
    file.write_text('[mqtt]\nhots = "x"\n')
    result = run("config", "check", "--config", file)
    assert (result.code, result.out) == (78, "")
    assert result.err == f"edge: no setting of this name: mqtt.hots ({file}) (did you mean mqtt.host?)\n"


@pytest.mark.parametrize("command", [["run"], ["status"], ["doctor"], ["models", "list"]], ids=" ".join)
def test_every_command_refuses_a_bad_configuration(run: Run, tmp_path: Path, command: list[str]) -> None:
    """Exit code 78, wherever the configuration is read."""
    file = tmp_path / "edge.toml"
    file.write_text("nonsense = 1\n")
    assert run(*command, "--config", file).code == 78


def test_missing_file_exits_with_78(run: Run, tmp_path: Path) -> None:
    """The hint says how to make one."""
    result = run("config", "check", "--config", tmp_path / "none.toml")
    assert result.code == 78
    assert "edge config init" in result.err
