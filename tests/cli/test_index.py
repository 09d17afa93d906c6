"""``edge index`` and ``edge collections``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from edge.service.collecting.home import LOCK, folder_of
from edge.settings import Settings
from edge.store.files import StateLock
from tests.children import minded
from tests.cli.conftest import Run
from tests.service.collecting.killing import settled
from tests.service.collecting.shelf import RED, Shelf, picture


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A folder with a picture, a copy of it, and one that is cut off."""
    shelf = Shelf.at(tmp_path)
    shelf.put("a.png", picture(1, RED, "PNG"))
    shelf.put("copy.png", picture(1, RED, "PNG"))
    shelf.put("sub/cut.jpg", picture(2)[:300])
    shelf.put("notes.txt", b"words")
    return shelf


@pytest.fixture
def call(run: Run, shelf: Shelf) -> Callable[..., Any]:
    """Run a command with the shelf's settings."""
    config = Path(f"{shelf.settings.state}.toml")
    values = shelf.settings.model_dump(mode="json", exclude_none=True, include={"vision", "store"})
    config.write_text(tomli_w.dumps({**values, "state": str(shelf.settings.state)}))
    return lambda *arguments: run(*arguments, "--config", config)


def test_index_says_what_came_in_and_what_did_not(call: Callable[..., Any], shelf: Shelf) -> None:
    """Exit code 0 although something can't be used; it is told, with the reason."""
    result = call("index", shelf.root, "--collection", "toys")
    assert result.code == 0
    assert "toys: 1 new, 1 copies, 1 set aside, 0 unchanged" in result.out
    assert f"it holds 1 pictures of {shelf.root} (2 files, 2 vectors)" in result.out
    assert "sub/cut.jpg: the file is cut" in result.out
    assert "1 x not an image: .txt" in result.out


def test_index_as_json(call: Callable[..., Any], shelf: Shelf) -> None:
    """Scripts get numbers, and every file that isn't in with its reason."""
    call("index", shelf.root, "--collection", "toys")
    found = json.loads(call("index", shelf.root, "--collection", "toys", "--json").out)
    assert (found["pictures"], found["unchanged"], found["outcomes"]) == (3, 3, {})
    assert (found["images"], found["files"], found["vectors"], found["index"]) == (1, 2, 2, "exact")
    assert [row["file"] for row in found["refused"]] == ["sub/cut.jpg"]
    assert found["stopped"] is False


def test_a_collection_is_searched_and_classified(call: Callable[..., Any], shelf: Shelf) -> None:
    """What was indexed answers by picture and by words, with its path below the folder."""
    call("index", shelf.root, "--collection", "toys")
    asked = shelf.root.parent / "asked.webp"
    asked.write_bytes(picture(5, RED, "WEBP"))
    by_picture = json.loads(call("search", "image", asked, "--collection", "toys", "--json").out)
    by_words = json.loads(call("search", "text", "red", "--collection", "toys", "--json").out)
    assert [hit["file"] for hit in by_picture] == [hit["file"] for hit in by_words] == ["a.png"]


def test_a_folder_whose_name_is_no_text(call: Callable[..., Any], shelf: Shelf) -> None:
    """Bytes that aren't UTF-8 in its path are written in a form that can be read."""
    odd = shelf.root.parent / os.fsdecode(b"caf\xe9")
    shelf.root.rename(odd)
    assert call("index", odd, "--collection", "odd").code == 0
    assert json.loads(call("index", odd, "--collection", "odd", "--json").out)["root"].endswith("caf\\xe9")
    assert json.loads(call("collections", "--json").out)[0]["root"].endswith("caf\\xe9")
    assert json.loads(call("index", odd, "--collection", "odd", "--json").out)["unchanged"] == 3


def test_no_pictures(call: Callable[..., Any], tmp_path: Path) -> None:
    """An empty folder is no failure, but it is said."""
    (tmp_path / "empty").mkdir()
    result = call("index", tmp_path / "empty", "--collection", "none")
    assert result.code == 0
    assert "is it mounted" in result.out


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "a\\b", ".hidden", "-x", "a b", "a\n", "x" * 101]
)
def test_names_that_are_no_names(call: Callable[..., Any], shelf: Shelf, name: str) -> None:
    """Nothing is made for a name that could mean a place elsewhere, or be taken for an option."""
    result = call("index", shelf.root, f"--collection={name}")
    assert (result.code, "not a name for a collection" in result.err) == (2, True)
    assert not (shelf.settings.state / "collections").exists()


@pytest.mark.parametrize("name", ["sights", "Füße", "2026-ridge_01.b"])
def test_names_that_are(call: Callable[..., Any], shelf: Shelf, name: str) -> None:
    """Letters of any language, digits, dots, dashes and underscores."""
    assert call("index", shelf.root, "--collection", name).code == 0
    assert [row["collection"] for row in json.loads(call("collections", "--json").out)] == [name]


def test_the_list_of_collections(call: Callable[..., Any], shelf: Shelf) -> None:
    """Each with its folder, its size and what is wrong with it."""
    assert json.loads(call("collections", "--json").out) == []
    assert "there are no collections" in call("collections").err
    call("index", shelf.root, "--collection", "toys")
    call("index", shelf.root, "--collection", "whole", "--whole")
    broken = shelf.settings.state / "collections/broken"
    broken.mkdir()
    rows = {row["collection"]: row for row in json.loads(call("collections", "--json").out)}
    assert (rows["toys"]["images"], rows["toys"]["vectors"], rows["toys"]["whole"]) == (1, 2, False)
    assert (rows["whole"]["vectors"], rows["whole"]["whole"]) == (1, True)
    assert rows["toys"]["root"] == str(shelf.root)
    assert "no database" in rows["broken"]["problem"]
    assert "(whole)" in call("collections").out


def test_a_collection_is_removed_and_the_pictures_stay(call: Callable[..., Any], shelf: Shelf) -> None:
    """Only what edge made goes; a name that isn't there says which are."""
    call("index", shelf.root, "--collection", "toys")
    assert call("collections", "remove", "toy", "--yes").err.count("there are: toys") == 1
    assert call("collections", "remove", "toys", "--yes").code == 0
    assert list((shelf.settings.state / "collections").iterdir()) == []
    assert (shelf.root / "a.png").is_file()


def test_a_collection_that_is_being_indexed_is_not_removed(call: Callable[..., Any], shelf: Shelf) -> None:
    """It is said that another run has it."""
    call("index", shelf.root, "--collection", "toys")
    with StateLock(folder_of(Settings(state=shelf.settings.state), "toys"), LOCK):
        result = call("collections", "remove", "toys", "--yes")
    assert (result.code, "another `edge index`" in result.err) == (1, True)
    assert folder_of(shelf.settings, "toys").is_dir()


def test_removing_asks_first(call: Callable[..., Any], shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a yes nothing is removed."""
    call("index", shelf.root, "--collection", "toys")
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert call("collections", "remove", "toys").code == 2
    assert folder_of(shelf.settings, "toys").is_dir()


def test_ctrl_c_ends_in_order(call: Callable[..., Any], shelf: Shelf) -> None:
    """At the first Ctrl-C what was begun is finished and kept; exit code 1, and what to do is said."""
    for number in range(600):
        shelf.put(f"many/{number}.png", picture(number + 10, RED, "PNG"))
    for attempt in range(3):  # a test that has to wait for the processor for long may come too late
        code, text = _interrupted(shelf, f"toys-{attempt}")
        if code:
            break
    assert (code, "call it again" in text) == (1, True)
    before = len(shelf.named(f"toys-{attempt}"))
    assert 0 < before < 601
    found = json.loads(call("index", shelf.root, "--collection", f"toys-{attempt}", "--json").out)
    assert (found["images"], found["outcomes"]["new"]) == (601, 601 - before)


def _interrupted(shelf: Shelf, name: str) -> tuple[int, str]:
    """Exit code and output of a run that gets Ctrl-C after its first commits."""
    config = Path(f"{shelf.settings.state}.toml")
    command = [sys.executable, "-m", "edge", "index", str(shelf.root), "--collection", name]
    with subprocess.Popen([*command, "--config", str(config)], stdout=subprocess.PIPE, text=True) as child:
        minded(child)
        while child.poll() is None and settled(shelf, name) < 32:
            time.sleep(0.005)
        child.send_signal(signal.SIGINT)
        text, _ = child.communicate(timeout=60)
    return child.returncode, text
