"""How things stand, for ``edge status``: from the database and the daemon's last word."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge.delivery.messages import Health
from edge.service.health import disk_health, registration_health
from edge.settings import Settings
from edge.store.database import Database
from edge.store.files import LOCK
from edge.store.ledger import Ledger
from edge.store.outbox import Outbox
from edge.store.reembedding import coverage

HEALTH_FILE = "health.json"


def status_of(settings: Settings, database: Database) -> dict[str, Any]:
    """Everything about a state folder that a person asks first."""
    open_, living = registration_health(database).open, registration_health(database).living
    counts = Outbox(database).counts()
    running = is_running(settings.state)
    last = last_health(settings.state)
    return {
        "daemon": "running" if running else "not running",
        "state": (last or {}).get("state", "unknown") if running else "stopped",
        "problems": [f"{p['code']}: {p['message']}" for p in (last or {}).get("problems", [])]
        if running
        else [],
        "device": database.device or settings.device,
        "state_folder": str(settings.state),
        "epoch": database.epoch,
        "files": dict(Ledger(database).counts()),
        "registrations": {"open": open_, "closed": living - open_},
        "outbox": {"waiting": counts.pending, "set_aside": counts.set_aside, "delivered": counts.acked},
        "broker": (last or {}).get("broker", {}).get("reason", "unknown") if running else "not connected",
        "models": (last or {}).get("models", {}) if running else {},
        "search": _search(database, last or {}),
        "index": _index(settings, database, last or {}),
        "disk_free": disk_health(settings).free,
    }


def _search(database: Database, last: dict[str, Any]) -> dict[str, Any]:
    """How far embedding again is, as of now; empty where the daemon's bundle has embedded all as it came."""
    bundle = (last.get("models", {}).get("bundle") or {}).get("sha256")
    if not bundle:
        return {}
    stand = coverage(database, bundle)
    if stand.complete and not stand.unreachable and not last.get("search"):
        return {}
    figures = {"images": stand.images, "embedded": stand.embedded, "unreachable": stand.unreachable}
    return {**figures, "running": not stand.complete}


def _index(settings: Settings, database: Database, last: dict[str, Any]) -> dict[str, Any]:
    """What searches go through; empty where the daemon's bundle has embedded nothing."""
    bundle = (last.get("models", {}).get("bundle") or {}).get("sha256")
    if not bundle:
        return {}
    from edge.service.indexing import facts_of  # noqa: PLC0415 - numpy, which nothing else here needs

    facts = facts_of(settings.state, database, bundle)
    return facts._asdict() if facts else {}


def is_running(state: Path) -> bool:
    """Whether a daemon holds the state folder's lock."""
    try:
        lock = os.open(state / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def last_message(state: Path) -> Health | None:
    """The daemon's last word as a message; None if it never said one, or in another version's form."""
    try:
        return Health.model_validate_json((state / HEALTH_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def last_health(state: Path) -> dict[str, Any] | None:
    """What the daemon last said of itself, or None if it never did."""
    try:
        found = json.loads((state / HEALTH_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
