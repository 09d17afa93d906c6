"""What the command line says of itself, and of mistakes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from edge import __version__
from edge.cli.app import app
from tests.cli.conftest import Run


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    for name, command in getattr(group, "commands", {}).items():
        yield from _commands(command, (*path, name))
        if not getattr(command, "commands", None) or command.invoke_without_command:
            yield (*path, name), command


COMMANDS = dict(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=" ".join)
def test_every_command_has_examples(run: Run, words: tuple[str, ...]) -> None:
    """Help begins with how to call it, and ends with examples that call this very command."""
    result = run(*words, "--help")
    assert result.code == 0
    text = " ".join(result.out.split())
    assert "Examples:" in text
    assert f"edge {' '.join(words)}" in text.split("Examples:")[1]


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=" ".join)
def test_every_option_is_explained(words: tuple[str, ...]) -> None:
    """No option or argument without a word about it."""
    silent = [p.name for p in COMMANDS[words].params if not getattr(p, "help", None) and p.name != "help"]
    assert silent == []


def test_version(run: Run) -> None:
    """One line, the package's own."""
    assert run("--version").out == f"edge {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["run", "--dorp", "x"],
        ["media", "--outcome", "nonsense"],
        ["registrations", "--json", "--csv"],
        ["run", "--broker", "http://x"],
        ["run", "--broker", "mqtt://x:port"],
        ["subscribe", "--json", "--events"],
    ],
    ids=" ".join,
)
def test_usage_errors_exit_with_2(run: Run, arguments: list[str]) -> None:
    """A command that can't work as it was called says why on standard error, and prints nothing."""
    result = run(*arguments)
    assert result.code == 2
    assert result.err
    assert result.out == ""


def test_entry_point_of_the_package(process: Run) -> None:
    """``python -m edge`` is the same program."""
    result = process("--version")
    assert (result.code, result.out, result.err) == (0, f"edge {__version__}\n", "")


def test_looking_doesn_t_load_models() -> None:
    """Configuration is checked without ONNX Runtime: quickly, and also where that is broken."""
    command = [sys.executable, "-X", "importtime", "-m", "edge", "config", "check"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "edge.configuration" in loaded
    assert not {"onnxruntime", "torch", "transformers", "faiss"} & loaded
