"""What the commands share: options, where settings come from, how times and tables look."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from edge.configuration import Configuration, load
from edge.errors import UsageError
from edge.store.database import Database, open_readonly

_WIDE = 160
out = Console(width=None if sys.stdout.isatty() else _WIDE)
err = Console(stderr=True, width=None if sys.stderr.isatty() else _WIDE)

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Settings; default: /etc/edge/edge.toml if it is there."
    ),
]
StateOption = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="Folder with the database.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON for scripts, on standard output.")]
DeploymentOption = Annotated[str | None, typer.Option("--deployment", "-d", help="Only this camera.")]
LabelOption = Annotated[str | None, typer.Option("--label", "-l", help="Only this label.")]
SinceOption = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="From this time on, such as 2026-05-04 or 2026-05-04T18:00."),
]
UntilOption = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="Up to this time, not included.")
]


def configuration(config: Path | None, **overrides: Any) -> Configuration:
    """Settings from all sources; overrides that are None were not given on the command line.

    Names of nested settings are written with two underscores, as in the environment: ``vision__labels``.
    """
    nested: dict[str, Any] = {}
    for name, value in overrides.items():
        if value is None:
            continue
        *parents, last = name.split("__")
        section = nested
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = value
    return load(config, nested)


@contextmanager
def reading(config: Path | None, state: Path | None) -> Iterator[tuple[Configuration, Database]]:
    """Settings and the database, read-only, for commands that look while a daemon runs.

    All that is read is of one moment, whatever the daemon writes meanwhile.
    """
    found = configuration(config, state=state)
    database = open_readonly(found.settings.state)
    try:
        database.execute("BEGIN")
        yield found, database
    finally:
        database.close()


def broker_overrides(url: str | None) -> Mapping[str, Any]:
    """``mqtt://user:password@host:port`` or ``mqtts://...`` as settings; ``none`` turns delivery off.

    Raises:
        UsageError: it is no such address.
    """
    if url is None:
        return {}
    if url == "none":
        return {"mqtt__enabled": False}
    parts = urlsplit(url if "://" in url else f"mqtt://{url}")
    try:
        port = parts.port
    except ValueError as error:
        raise UsageError("broker's port is not a number", subject=url) from error
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path.strip("/"):
        raise UsageError(
            "not a broker's address", subject=url, hint="write mqtt://host:port, mqtts://… or none"
        )
    tls = parts.scheme == "mqtts"
    found: dict[str, Any] = {
        "mqtt__enabled": True,
        "mqtt__host": parts.hostname,
        "mqtt__port": port or (8883 if tls else 1883),
        "mqtt__tls": tls,
    }
    if parts.username:
        found["mqtt__username"] = unquote(parts.username)
    if parts.password:
        found["mqtt__password"] = unquote(parts.password)
    return found


def moment(text: str | None, zone: tzinfo) -> int | None:
    """A time from the command line as ms UTC, read in a zone unless it names its own.

    Raises:
        UsageError: it is no time.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            "not a time", subject=text, hint="write 2026-05-04 or 2026-05-04T18:00:00+07:00"
        ) from error
    aware = found if found.tzinfo else found.replace(tzinfo=zone)
    return round(aware.timestamp() * 1000)


def between(since: str | None, until: str | None, zone: tzinfo) -> tuple[int | None, int | None]:
    """Two times from the command line, as :func:`moment`: from the first on, up to the second.

    Raises:
        UsageError: one is no time, or nothing lies between them.
    """
    begin, end = moment(since, zone), moment(until, zone)
    if begin is not None and end is not None and begin >= end:
        raise UsageError("nothing lies between --from and --to", subject=f"{since}, {until}")
    return begin, end


def zone_of(found: Configuration, deployment: str | None = None) -> ZoneInfo:
    """The zone in which times on the command line are read: the chosen camera's, else that of all."""
    return found.settings.intake.zone(deployment or "")


def local(ms: int, offset_minutes: int = 0) -> str:
    """A time as tables show it: the camera's own local time."""
    return datetime.fromtimestamp(ms / 1000 + offset_minutes * 60, UTC).strftime("%Y-%m-%d %H:%M:%S")


def write_json(value: object) -> None:
    """JSON on standard output, nothing else."""
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")
