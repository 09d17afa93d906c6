"""The rules' settings, and what follows when they are not those that the record was made with."""

from __future__ import annotations

import json
import logging

from edge.errors import StoreError
from edge.registration.rebuild import rebuild
from edge.registration.types import Options
from edge.service.emit import Voice, emit
from edge.service.work import now_ms
from edge.settings import Settings
from edge.store.database import Database
from edge.store.outbox import Outbox
from edge.store.record import SqliteRecord
from edge.vision.labels import LabelSet

log = logging.getLogger("edge")

_KEY = "options"


def options_of(settings: Settings, labels: LabelSet) -> Options:
    """The rules' options from settings and label set."""
    chosen = settings.registration
    return Options(
        method=chosen.method,
        window=round(chosen.window * 1000),
        gap=round(chosen.gap * 1000),
        split_on=chosen.split_on,
        compared_to=chosen.compared_to,
        priors=labels.priors(),
    )


def options_on_record(database: Database) -> Options:
    """The options that the record was made with.

    Raises:
        StoreError: no daemon has noted them yet.
    """
    row = database.one("SELECT value FROM meta WHERE key = ?", (_KEY,))
    if row is None:
        raise StoreError(
            "nothing is on record yet", subject=str(database.path), hint="start the daemon once: edge run"
        )
    values = json.loads(row[0])
    return Options(**{**values, "split_on": frozenset(values["split_on"])})


def apply_options(database: Database, options: Options, voice: Voice) -> int:
    """Make the record what the rules give under these options; returns the number of messages.

    Each deployment is one transaction, and the options are noted after the last: an interrupted change is
    taken up again at the next start.
    """
    text = _text(options)
    row = database.one("SELECT value FROM meta WHERE key = ?", (_KEY,))
    if row is not None and row[0] == text:
        return 0
    messages = (
        0 if row is None else sum(_rebuild(database, options, voice, d) for d in _deployments(database))
    )
    database.remember(_KEY, text)
    return messages


def _rebuild(database: Database, options: Options, voice: Voice, deployment: str) -> int:
    outbox = Outbox(database)
    with database.transaction():
        changes = rebuild(SqliteRecord(database), options, deployment)
        for change in changes:
            emit(database, outbox, voice, change, now=now_ms())
    log.info("settings of the rules have changed: %s: %d messages", deployment, len(changes))
    return len(changes)


def _deployments(database: Database) -> list[str]:
    return [row[0] for row in database.execute("SELECT deployment FROM deployments ORDER BY deployment")]


def _text(options: Options) -> str:
    return json.dumps(
        {
            "method": options.method,
            "window": options.window,
            "gap": options.gap,
            "split_on": sorted(options.split_on),
            "compared_to": options.compared_to,
            "priors": dict(sorted(options.priors.items())),
        },
        sort_keys=True,
    )
