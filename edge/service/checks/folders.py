"""The state folder and the drop folder: there, usable, and on a disk that keeps what it is given."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from edge.intake.mounts import read_mounts
from edge.service.checks.finding import Finding
from edge.settings import Settings

SLOW_FSYNC: Final = 0.1
"""Seconds; a commit of 20 images waits for about two of these."""
_ROUNDS: Final = 8
_BLOCK: Final = 4096
_SAMPLE: Final = 50
_FORGETFUL: Final = frozenset({"tmpfs", "ramfs"})
_MIB: Final = 1024 * 1024


def check_state(settings: Settings) -> Iterator[Finding]:
    """The state folder: there and writable, space, what kind of disk, how long a durable write takes.

    Nothing is left behind: the file for the durable writes has no name.
    """
    state = settings.state
    if not state.is_dir():
        hint = "`edge run` or the service makes it at its first start; is --state right?"
        yield Finding("state folder", "warn", f"{state} is not there", hint)
        return
    if not os.access(state, os.R_OK | os.W_OK | os.X_OK):
        hint = "ask as the service's user: sudo -u edge edge doctor"
        yield Finding("state folder", "fail", f"{state} can't be written by this user", hint)
        return
    yield _disk_kind(state)
    yield _space(state, settings.store.low_water)
    yield _durability(state)


def check_drop(settings: Settings) -> Iterator[Finding]:
    """The drop folder: there, readable, local or on a network."""
    drop = settings.drop
    if not drop.is_dir():
        hint = "make it, mount it, or set drop to another; the daemon waits for it"
        yield Finding("drop folder", "fail", f"{drop} is not there", hint)
        return
    if not os.access(drop, os.R_OK | os.X_OK):
        hint = "let the service's user read and enter it: setfacl -R -m u:edge:rX,d:u:edge:rX on it"
        yield Finding("drop folder", "fail", f"{drop} can't be read by this user", hint)
        return
    yield _drop_mount(drop)
    unreadable = [path for path in islice(_files(drop), _SAMPLE) if not os.access(path, os.R_OK)]
    if unreadable:
        hint = "whoever uploads must let the service's user read: a common group, and umask 027"
        yield Finding("drop folder", "warn", f"{unreadable[0]} can't be read by this user", hint)


def _disk_kind(state: Path) -> Finding:
    mounts = read_mounts(state)
    path = os.path.realpath(state)
    kind = mounts.kind(path) or "unknown"
    if mounts.is_network(path):
        hint = "move it to a local disk: SQLite's write-ahead log doesn't work across a network"
        return Finding("state folder", "fail", f"{state} is on a network mount ({kind})", hint)
    if kind in _FORGETFUL:
        hint = "move it to a disk, or everything is gone after a restart of the machine"
        return Finding("state folder", "warn", f"{state} is in memory ({kind})", hint)
    return Finding("state folder", "ok", f"{state}, {kind}")


def _space(state: Path, low_water: int) -> Finding:
    free = shutil.disk_usage(state).free
    text = f"{free // _MIB} MiB free"
    if free < low_water:
        hint = f"free some: below {low_water // _MIB} MiB (store.low_water) no images are taken in"
        return Finding("disk space", "fail", text, hint)
    if free < 4 * low_water:
        return Finding("disk space", "warn", text, f"intake pauses below {low_water // _MIB} MiB")
    return Finding("disk space", "ok", text)


def _durability(state: Path) -> Finding:
    try:
        times = sorted(_timed_writes(state))
    except OSError as error:
        hint = "the disk is full, failing or mounted read-only; see dmesg"
        return Finding("fsync", "fail", f"a durable write in {state} failed: {error.strerror}", hint)
    median, worst = statistics.median(times), times[-1]
    text = f"{median * 1000:.1f} ms for a durable write, {worst * 1000:.1f} ms at worst of {_ROUNDS}"
    if median > SLOW_FSYNC:
        hint = "a slow or worn card; images are kept up with less well. Another disk for the state folder?"
        return Finding("fsync", "warn", text, hint)
    return Finding("fsync", "ok", text)


def _timed_writes(folder: Path) -> Iterator[float]:
    with tempfile.TemporaryFile(dir=folder, buffering=0) as stream:
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            stream.write(os.urandom(_BLOCK))
            os.fsync(stream.fileno())
            yield time.perf_counter() - start


def _drop_mount(drop: Path) -> Finding:
    mounts = read_mounts(drop)
    path = os.path.realpath(drop)
    kind = mounts.kind(path) or "unknown"
    how = "on a network, so it is polled" if mounts.is_network(path) else "watched"
    return Finding("drop folder", "ok", f"{drop}, {kind}, {how}")


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names)
