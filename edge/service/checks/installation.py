"""The installation: the daemon, its database, and the unit that starts it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from edge.errors import StoreCorruptError
from edge.resources import shipped_units
from edge.service.checks.finding import Finding
from edge.service.install.render import like
from edge.service.report import is_running, last_health
from edge.settings import Settings
from edge.store.database import DATABASE, open_readonly
from edge.store.files import LOCK
from edge.store.outbox import Outbox
from edge.vision.session import installed_runtimes

UNIT_FOLDERS: Final = tuple(
    Path(folder)
    for folder in ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
)
DROP_INS: Final = {
    "onnxruntime-gpu": "edge.service.d/gpu.conf",
    "onnxruntime-openvino": "edge.service.d/openvino.conf",
}
"""What a build of ONNX Runtime needs beside the unit."""
_MIB: Final = 1024 * 1024


def check_daemon(settings: Settings) -> Iterator[Finding]:
    """Whether a daemon has this state folder, and what it complains of."""
    lock = settings.state / LOCK
    if _is_closed(settings.state) or (lock.exists() and not os.access(lock, os.R_OK)):
        hint = "ask as the service's user: sudo -u edge edge doctor"
        yield Finding("daemon", "warn", "this user may not see whether it runs", hint)
        return
    if not is_running(settings.state):
        yield Finding("daemon", "ok", "not running")
        return
    problems = (last_health(settings.state) or {}).get("problems", [])
    if not problems:
        yield Finding("daemon", "ok", "running")
    for problem in problems:
        hint = problem.get("hint") or "see `edge status`"
        yield Finding("daemon", "warn", f"running, and says: {problem.get('message', '')}", hint)


def check_database(settings: Settings) -> Iterator[Finding]:
    """The database: every page of it readable, of this program's version, nothing that the broker refused."""
    path = settings.state / DATABASE
    if not os.access(path, os.F_OK) and not _is_closed(settings.state):
        yield Finding("database", "ok", "none yet; the daemon makes it")
        return
    database = open_readonly(settings.state)
    try:
        findings = [str(row[0]) for row in database.execute("PRAGMA quick_check(3)")]
        if findings != ["ok"]:
            hint = "stop the daemon, keep a copy; at its next start it moves this aside and begins anew"
            raise StoreCorruptError("database is damaged", subject=f"{path}: {findings[0]}", hint=hint)
        yield Finding("database", "ok", f"sound, {path.stat().st_size / _MIB:.1f} MiB, SQLite {_sqlite()}")
        aside = Outbox(database).counts().set_aside
    finally:
        database.close()
    if aside:
        hint = "the broker's log says why; raise its message size limit or correct its rules"
        yield Finding("outbox", "warn", f"{aside} messages that the broker refused are set aside", hint)


def check_unit(_settings: Settings, folders: tuple[Path, ...] = UNIT_FOLDERS) -> Iterator[Finding]:
    """Whether the installed units are still those that came with this version."""
    shipped = shipped_units()
    folder = next((f for f in folders if (f / "edge.service").is_file()), None)
    if folder is None:
        yield Finding("unit", "ok", "not installed as a service")
        return
    yield from _lacking(folder, shipped)
    for name, source in shipped.items():
        installed = folder / name
        if not installed.is_file():
            continue
        text = installed.read_text("utf-8")
        keys = drift(like(source.read_text("utf-8"), text), text)
        if keys:
            hint = "take the new one: sudo edge service install; keep changes with: systemctl edit edge"
            yield Finding("unit", "warn", f"{installed} differs in {', '.join(keys)}", hint)
        else:
            yield Finding("unit", "ok", f"{installed} is this version's")


def _lacking(folder: Path, shipped: Mapping[str, Path]) -> Iterator[Finding]:
    """A runtime that the unit alone doesn't let work, without the drop-in that does."""
    for runtime in DROP_INS.keys() & installed_runtimes().keys():
        name = DROP_INS[runtime]
        if not (folder / name).is_file():
            hint = f"sudo edge service install; or copy {shipped[name]} to {folder / name}"
            yield Finding("unit", "warn", f"{runtime} is installed, but not {name}, which it needs", hint)


def drift(shipped: str, installed: str) -> list[str]:
    """Settings by which one unit's text differs from another's, sorted; comments and order don't count."""
    ours, theirs = _assignments(shipped), _assignments(installed)
    return sorted({line.partition("=")[0] for line in ours ^ theirs})


def _is_closed(folder: Path) -> bool:
    """Whether a folder is there, but not for this user."""
    return folder.exists() and not os.access(folder, os.X_OK)


def _assignments(text: str) -> set[str]:
    lines = (line.strip() for line in text.splitlines())
    return {line for line in lines if "=" in line and not line.startswith(("#", ";"))}


def _sqlite() -> str:
    return sqlite3.sqlite_version
