"""Health as figures for Prometheus, in its text format 0.0.4.

Written out by hand: the format is a page long, and the figures come from one message that is whole already,
while ``prometheus_client`` collects them in a registry of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from edge.delivery.messages import Health
from edge.service.health import faults
from edge.vision.providers import CPU

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
STATES: Final = ("starting", "ok", "degraded", "stopping")

Kind = Literal["gauge", "counter"]
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """All figures of one name.

    Attributes:
        name: with its unit; that of a counter ends in ``_total``.
        kind: counters only grow, and begin at 0 with each start of the daemon.
        told: what it is, for people.
        values: by labels.
    """

    name: str
    kind: Kind
    told: str
    values: tuple[tuple[Labels, float], ...]


def exposition(health: Health | None, *, running: bool) -> str:
    """Health as text that Prometheus reads; ends with a line feed.

    Args:
        health: the daemon's last word; without one, or if it doesn't run, only that is told.
        running: whether the daemon runs.
    """
    families = [_one("edge_up", "Whether the daemon runs.", running)]
    if health is not None and running:
        families += _families(health)
    return "".join(line for family in families for line in _lines(family))


def _families(health: Health) -> Iterator[Family]:
    yield from _device(health)
    yield from _intake(health)
    yield from _delivery(health)
    disk = health.disk
    yield _one("edge_disk_free_bytes", "Free space where the state folder is.", disk.free)
    yield _one("edge_disk_size_bytes", "Size of that file system.", disk.total)
    yield _one("edge_disk_low_water_bytes", "Free space below which intake waits.", disk.low_water)
    living = health.registrations
    states = {"open": living.open, "closed": living.living - living.open}
    yield _by("edge_registrations", "Registrations on record, by state.", "state", states)
    yield _search(health)


def _device(health: Health) -> Iterator[Family]:
    models = health.models
    info = {
        "device": health.device,
        "version": health.version,
        "epoch": health.epoch,
        "bundle": models.bundle.name if models.bundle else "",
        "labels": models.labels,
        "provider": ",".join(models.providers),
    }
    yield Family("edge_info", "gauge", "What runs here; always 1.", ((info, 1.0),))
    yield _one("edge_health_timestamp_seconds", "When this was true (Unix time).", _unix(health.at))
    yield _one(
        "edge_state_since_timestamp_seconds", "Since when the problems are these.", _unix(health.since)
    )
    states = {state: float(state == health.state) for state in STATES}
    yield _by("edge_state", "1 for the state that the daemon is in.", "state", states)
    codes = dict.fromkeys((problem.code for problem in health.problems), 1.0)
    yield _by("edge_problem", "1 for each thing that needs a person.", "code", codes)
    in_use = models.providers[0] if models.providers else CPU
    refused = {r.provider: 1.0 for r in models.refused if r.why in faults(in_use)}
    yield _by(
        "edge_provider_refused",
        "1 for each execution provider that should work and doesn't.",
        "provider",
        refused,
    )


def _intake(health: Health) -> Iterator[Family]:
    intake = health.intake
    files = {"processed": intake.processed, "duplicate": intake.duplicates, "set_aside": intake.set_aside}
    yield _by("edge_files_total", "Files since the daemon's start, by outcome.", "outcome", files, "counter")
    yield _one("edge_files_pending", "Files that wait for their turn.", intake.pending)
    yield _one("edge_files_incomplete", "Files whose end hasn't come.", intake.incomplete)
    yield _one("edge_first_scan_done", "Whether the drop folder was seen once as a whole.", intake.scanned)
    yield _one("edge_scans_total", "Full scans of the drop folder.", intake.scans, "counter")
    yield _one("edge_watched_folders", "Folders with an inotify watch.", intake.watched)
    overflows = "Times that the kernel's queue of notifications ran over."
    yield _one("edge_watch_overflows_total", overflows, intake.overflows, "counter")


def _delivery(health: Health) -> Iterator[Family]:
    outbox, broker = health.outbox, health.broker
    kept = {"pending": outbox.pending, "set_aside": outbox.set_aside, "acknowledged": outbox.acked}
    yield _by("edge_outbox_messages", "Messages in the outbox, by state.", "state", kept)
    yield _one("edge_outbox_last_sequence", "Number of the newest message of this epoch.", outbox.head)
    yield _one("edge_broker_connected", "Whether there is a connection to the broker.", broker.connected)
    yield _one("edge_broker_in_flight_messages", "Messages under way to the broker.", broker.in_flight)
    acked = "Messages that the broker acknowledged since the start."
    yield _one("edge_broker_acknowledged_total", acked, broker.acked, "counter")


def _search(health: Health) -> Family:
    """Empty where the bundle in use has embedded all images as they came."""
    search, values = health.search, {}
    if search is not None:
        waiting = max(0, search.images - search.embedded - search.unreachable)
        values = {"embedded": search.embedded, "waiting": waiting, "unreachable": search.unreachable}
    told = "Images since the change of bundle, by whether the one in use has embedded them."
    return _by("edge_search_images", told, "state", values)


def _one(name: str, told: str, value: float, kind: Kind = "gauge") -> Family:
    return Family(name, kind, told, (({}, float(value)),))


def _by(name: str, told: str, label: str, values: Mapping[str, float], kind: Kind = "gauge") -> Family:
    return Family(name, kind, told, tuple(({label: key}, float(value)) for key, value in values.items()))


def _lines(family: Family) -> Iterator[str]:
    """A family without values has its lines all the same: it is known, and nothing is in it."""
    yield f"# HELP {family.name} {_escaped(family.told, quote=False)}\n"
    yield f"# TYPE {family.name} {family.kind}\n"
    for labels, value in family.values:
        yield f"{family.name}{_labels(labels.items())} {_number(value)}\n"


def _labels(pairs: Iterable[tuple[str, str]]) -> str:
    text = ",".join(f'{name}="{_escaped(value, quote=True)}"' for name, value in pairs)
    return f"{{{text}}}" if text else ""


def _escaped(text: str, *, quote: bool) -> str:
    """Backslash and line feed are written as two characters, in labels the quotation mark too."""
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _unix(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
