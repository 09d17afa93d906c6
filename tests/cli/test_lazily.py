"""Commands that are imported when they are called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from edge.cli.lazily import Commands, command, group, lazy

HEAVY = {"cv2", "numpy", "faiss", "onnxruntime", "tokenizers", "PIL", "torch", "matplotlib", "fastapi"}


def _imported(*words: str) -> set[str]:
    call = [sys.executable, "-X", "importtime", "-m", "edge", *words]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}


def test_version_needs_no_settings() -> None:
    """Telling the version imports no command, no settings and no table."""
    loaded = _imported("--version")
    assert "edge.cli.app" in loaded
    assert not {"edge.cli.common", "pydantic", "rich.console", *HEAVY} & loaded
    assert {name for name in loaded if name.startswith("edge.")} <= {
        "edge.cli",
        "edge.cli.app",
        "edge.cli.lazily",
        "edge.errors",
    }


def test_status_opens_no_models_libraries(tmp_path: Path) -> None:
    """What shells and monitoring call every minute imports nothing that looks at pictures."""
    loaded = _imported("status", "--state", str(tmp_path))
    assert "edge.service.report" in loaded
    assert not HEAVY & loaded


def test_words_that_are_no_command_import_none() -> None:
    """A mistyped command is found out by names alone."""
    loaded = _imported("serach")
    assert "edge.cli.app" in loaded
    assert not {"edge.cli.common", *HEAVY} & loaded


def test_mistyped_command_is_guessed() -> None:
    """The nearest name is offered, though no command was made yet."""
    done = subprocess.run(
        [sys.executable, "-m", "edge", "serach"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "'search'" in done.stderr


def test_one_is_made_once_and_when_it_is_looked_up() -> None:
    """Listing names makes none; looking one up makes that one, once."""
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name.upper()

    commands = Commands({"b": make, "a": make}, {"c": "C"})
    assert (list(commands), len(commands), "a" in commands, made) == (["b", "a", "c"], 3, True, [])
    assert (commands["a"], commands.get("a"), made) == ("A", "A", ["a"])
    assert (commands.get("x"), "x" in commands) == (None, False)
    commands["b"] = "B"
    commands["d"] = "D"
    del commands["c"]
    assert (dict(commands), made) == ({"b": "B", "a": "A", "d": "D"}, ["a"])


def test_commands_and_groups_work_as_if_they_were_added() -> None:
    """Names, groups of one command, commands added as usual, and help."""
    app = typer.Typer(
        cls=lazy({"say": command(f"{__name__}:_say"), "group": group(f"{__name__}:one")}),
        no_args_is_help=True,
    )

    @app.callback()
    def _root() -> None:
        """Nothing."""

    @app.command("usual")
    def _usual() -> None:
        typer.echo("usual")

    runner = CliRunner()
    for words, out in ((["say"], "hello\n"), (["group", "deep"], "deep\n"), (["usual"], "usual\n")):
        assert runner.invoke(app, words).stdout == out
    help_ = runner.invoke(app, ["--help"]).stdout
    assert help_.index("say") < help_.index("group") < help_.index("usual")
    assert runner.invoke(app, ["group", "nothing"]).exit_code == 2


def test_broken_module_is_no_missing_command() -> None:
    """A command whose module can't be imported fails with that module's error."""
    app = typer.Typer(cls=lazy({"broken": command("edge.cli.nothing:here")}))
    app.callback()(lambda: None)
    with pytest.raises(ModuleNotFoundError):
        CliRunner().invoke(app, ["broken"], catch_exceptions=False)


def _say() -> None:
    """Say hello."""
    typer.echo("hello")


one = typer.Typer()


@one.command("deep")
def _deep() -> None:
    typer.echo("deep")
