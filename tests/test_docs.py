"""The pages tell the truth where a test can see it: commands exist, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from edge.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("systemd/*.md"))
    if path.is_file()
)
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
TARGET = re.compile(r"\bmake ([a-z-]+)")


def _commands(text: str) -> Iterator[list[str]]:
    """Calls of ``edge`` in a page's shell blocks, as words after the program's name."""
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"\||&&|;", line):
                words = _words(part)
                if words and Path(words[0]).name == "edge":
                    yield words[1:]


def _words(part: str) -> list[str]:
    words = shlex.split(part, comments=True)
    while words and (words[0] == "sudo" or re.match(r"^[A-Z_]+=", words[0])):
        words = words[1:]
        if words[:1] == ["-u"]:  # sudo's
            words = words[2:]
        while words and words[0] == "-u":
            words = words[2:]
    return words


def _resolve(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words call, and what is left of them."""
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]  # type: ignore[attr-defined] # a group
    return command, words


CALLS = sorted(
    {(path.relative_to(ROOT).as_posix(), *c) for path in PAGES for c in _commands(path.read_text())}
)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join(call)[:80])
def test_commands_in_the_pages_exist(call: tuple[str, ...]) -> None:
    """Every ``edge ...`` in a shell block is a command, with options that it has."""
    words = list(call[1:])
    if words[:1] == ["export"]:
        pytest.skip("edge export is the workstation side's")
    command, rest = _resolve(words)
    if rest != ["--version"]:
        group = getattr(command, "commands", None) and not command.invoke_without_command
        assert not group, f"no such command: edge {' '.join(words)}"
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    given = {word.partition("=")[0] for word in rest if re.match(r"^--?[a-z]", word)}
    assert given <= known


def test_the_pages_are_read() -> None:
    """The check above has something to check."""
    pages = {call[0] for call in CALLS}
    assert {"README.md", "docs/operating.md"} <= pages
    assert len(CALLS) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file or folder of the project."""
    broken = [link for link in LINK.findall(page.read_text("utf-8")) if not (page.parent / link).exists()]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_make_targets_exist(page: Path) -> None:
    """Every ``make ...`` in a shell block or in code is a target."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = page.read_text("utf-8")
    code = " ".join([*BLOCK.findall(text), *re.findall(r"`(make [^`]+)`", text)])
    assert set(TARGET.findall(code)) <= targets


def test_modules_named_in_the_pages_exist() -> None:
    """A file of the package that a page names is there."""
    named = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(
            r"`((?:edge|export|configs|systemd|tests)/[\w/.-]+\.\w+)`", page.read_text("utf-8")
        )
    }
    assert named
    assert {entry for entry in named if not (ROOT / entry[1]).exists()} == set()


def test_glossary_has_each_word_once() -> None:
    """In order, so that a word is found."""
    words = re.findall(r"^\| \*\*(.+?)\*\*", (ROOT / "docs" / "glossary.md").read_text("utf-8"), re.MULTILINE)
    assert len(words) > 30
    assert words == sorted(set(words), key=str.lower)


def test_health_codes_are_explained() -> None:
    """Every problem that health can name has its line in docs/operating.md."""
    page = (ROOT / "docs" / "operating.md").read_text("utf-8")
    sources = " ".join(path.read_text("utf-8") for path in (ROOT / "edge" / "service").glob("*.py"))
    codes = set(re.findall(r'code="([a-z_]+)"', sources))
    assert codes
    assert {code for code in codes if f"`{code}`" not in page} == set()
