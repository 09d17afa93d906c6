"""An indexing that is killed again and again while it is at work, in a process of its own."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import tomli_w

from edge.service.collecting.home import folder_of
from edge.store.database import DATABASE
from tests.children import minded
from tests.service.collecting.shelf import BLUE, GREEN, NAME, RED, Shelf, picture

KINDS = ("JPEG", "PNG", "WEBP", "BMP")
ATTEMPTS = 5


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

    Each time it is let come a little further, and killed at a moment of its own within a group. Where it was
    done before the signal came, since the machine was busy with others, it is put back to where it had begun
    and let go again, for a shorter time.
    """
    moments = random.Random(seed)
    return [
        _killed_on_the_way(shelf, pictures, (kill + 1) * pictures // (kills + 2), moments.uniform(0, 0.03))
        for kill in range(kills)
    ]


def _killed_on_the_way(shelf: Shelf, pictures: int, target: int, longer: float) -> int:
    """Kill it some time after so many files were settled, and before all are; returns how many then were."""
    folder = folder_of(shelf.settings, NAME)
    before = folder.with_name(f"{NAME}-before")
    if folder.exists():
        shutil.copytree(folder, before)
    for attempt in range(ATTEMPTS):
        _kill(_start(shelf), lambda: settled(shelf) >= target, longer / 4**attempt)
        if (reached := settled(shelf)) < pictures:
            shutil.rmtree(before, ignore_errors=True)
            return reached
        shutil.rmtree(folder)
        if before.exists():
            shutil.copytree(before, folder)
    raise AssertionError(f"it was done before it was killed, {ATTEMPTS} times")


def _kill(child: subprocess.Popen[bytes], is_time: Callable[[], bool], longer: float) -> None:
    """Kill it so many seconds after it is time; it may be done before, but mustn't fail."""
    deadline = time.monotonic() + 60
    while not is_time() and child.poll() is None:
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.002)
    time.sleep(longer)
    child.kill()
    assert child.wait() in (0, -signal.SIGKILL)


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


def settled(shelf: Shelf, name: str = NAME) -> int:
    """Files that have their outcome, seen from outside; 0 while there is no database."""
    path = folder_of(shelf.settings, name) / DATABASE
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            sql = "SELECT COUNT(*) FROM files WHERE state != 'attempted'"
            return int(database.execute(sql).fetchone()[0])
    except sqlite3.OperationalError:  # not made yet
        return 0
