"""An indexing that is killed again and again while it is at work, in a process of its own."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import tomli_w

from edge.service.collecting.home import folder_of
from edge.store.database import DATABASE
from tests.children import minded
from tests.service.collecting.shelf import BLUE, GREEN, NAME, RED, Shelf, picture

KINDS = ("JPEG", "PNG", "WEBP", "BMP")


def fill(shelf: Shelf, pictures: int) -> None:
    """Pictures of several kinds in folders, every seventh a copy, every eleventh cut off."""
    for number in range(pictures):
        kind = KINDS[number % len(KINDS)]
        same = number - 5 if number % 7 == 6 else number
        data = picture(same, (RED, GREEN, BLUE)[same % 3], KINDS[same % len(KINDS)])
        if number % 11 == 10:
            data = data[: len(data) // 2]
        path = shelf.put(f"{number % 3}/{number:05}.{kind.lower()}", data)
        os.utime(path, (1_750_000_000 + number, 1_750_000_000 + number))


def kill_again_and_again(shelf: Shelf, kills: int, pictures: int, seed: int) -> list[int]:
    """Start and kill the command while it works; returns how many files were settled after each kill.

    Each time it is let come a little further, and killed at a moment of its own within a group.
    """
    moments = random.Random(seed)
    settled = []
    for kill in range(kills):
        child = _start(shelf)
        target = (kill + 1) * pictures // (kills + 2)
        deadline = time.monotonic() + 60
        while _settled(shelf) < target and child.poll() is None:
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.03))
        assert child.poll() is None, "it was done before it was killed"
        child.kill()
        child.wait()
        settled.append(_settled(shelf))
    return settled


def finish(shelf: Shelf) -> None:
    """Run the command to its end; must succeed."""
    assert _start(shelf).wait(90) == 0


def is_sound(shelf: Shelf) -> bool:
    """Whether SQLite finds no fault in the collection's database."""
    with closing(sqlite3.connect(folder_of(shelf.settings, NAME) / DATABASE)) as database:
        return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def _start(shelf: Shelf) -> subprocess.Popen[bytes]:
    config = Path(f"{shelf.settings.state}.toml")
    values = shelf.settings.model_dump(mode="json", exclude_none=True, include={"vision", "store"})
    config.write_text(tomli_w.dumps(values))
    arguments = ["--collection", NAME, "--config", str(config), "--state", str(shelf.settings.state)]
    command = [sys.executable, "-m", "edge", "index", str(shelf.root), *arguments, "--json"]
    return minded(subprocess.Popen(command, stdout=subprocess.DEVNULL))


def _settled(shelf: Shelf) -> int:
    path = folder_of(shelf.settings, NAME) / DATABASE
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            sql = "SELECT COUNT(*) FROM files WHERE state != 'attempted'"
            return int(database.execute(sql).fetchone()[0])
    except sqlite3.OperationalError:  # not made yet
        return 0
