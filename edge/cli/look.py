"""``edge registrations``, ``edge media``, ``edge status``: what is on record."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich import filesize
from rich.table import Table

from edge.cli.common import (
    ConfigOption,
    DeploymentOption,
    JsonOption,
    LabelOption,
    SinceOption,
    StateOption,
    UntilOption,
    between,
    configuration,
    local,
    out,
    reading,
    write_json,
    zone_of,
)
from edge.cli.escaping import escape
from edge.cli.lazily import command, lazy
from edge.delivery.messages import RegistrationMessage, timestamp
from edge.errors import UsageError
from edge.service.emit import message_of
from edge.service.metrics import exposition
from edge.service.report import is_running, last_message, status_of
from edge.store.queries import FileReport, Filter, files, registrations, scientific_names
from edge.vision.providers import short_name

STATES = ("processed", "duplicate", "incomplete", "set_aside", "quarantined", "ignored", "gone", "attempted")


registrations_app = typer.Typer(
    cls=lazy({"show": command("edge.cli.show:show_command"), "plot": command("edge.cli.plot:plot_command")}),
    invoke_without_command=True,
)


@registrations_app.callback()
def registrations_command(
    context: typer.Context,
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    deployment: DeploymentOption = None,
    label: LabelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on standard output.")] = False,
) -> None:
    """Show registrations: who, how many, from when to when.

    Examples:
        edge registrations --state /var/lib/edge

        edge registrations --label Red_Deer --from 2026-05-04 --csv > deer.csv

        edge registrations show 0b6e41c2
    """
    if context.invoked_subcommand is not None:
        return
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other")
    with reading(config, state) as (found, database):
        zone = zone_of(found, deployment)
        wanted = Filter(deployment, label, *between(since, until, zone))
        names = scientific_names(database)
        messages = [
            message
            for registration in registrations(database, wanted)
            if (message := message_of(database, registration, names))
        ]
    if as_json:
        write_json([message.model_dump(mode="json", by_alias=True) for message in messages])
    elif as_csv:
        _write_csv(messages)
    else:
        out.print(registration_table(messages))


def media_command(
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    deployment: DeploymentOption = None,
    label: LabelOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    outcome: Annotated[
        str | None,
        typer.Option("--outcome", metavar="STATE", help=f"Only files that are: {', '.join(STATES)}."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what became of each file in the drop folder, and why.

    Examples:
        edge media --outcome set_aside

        edge media --deployment cam-07 --json
    """
    if outcome is not None and outcome not in STATES:
        raise UsageError("no such outcome", subject=outcome, hint=f"one of {', '.join(STATES)}")
    with reading(config, state) as (found, database):
        zone = zone_of(found, deployment)
        wanted = Filter(deployment, label, *between(since, until, zone))
        rows = list(files(database, state=outcome, wanted=wanted))
    if as_json:
        write_json([_file_json(row) for row in rows])
    else:
        out.print(_file_table(rows))


def status_command(
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
    as_prometheus: Annotated[
        bool, typer.Option("--prometheus", help="The daemon's last word as figures for Prometheus.")
    ] = False,
) -> None:
    """Show how the daemon is: running or not, files, registrations, messages waiting, models.

    Examples:
        edge status --state /var/lib/edge

        edge status --json

        edge status --prometheus
    """
    if as_json and as_prometheus:
        raise UsageError("--json and --prometheus exclude each other")
    if as_prometheus:
        folder = configuration(config, state=state).settings.state
        sys.stdout.write(exposition(last_message(folder), running=is_running(folder)))
        return
    with reading(config, state) as (found, database):
        status = status_of(found.settings, database)
    if as_json:
        write_json(status)
        return
    table = Table(box=None, show_header=False)
    for name, value in status.items():
        if name in ("search", "index") and not value:
            continue  # the bundle in use has embedded all images as they came, or none
        shown = filesize.decimal(value) if name == "disk_free" else _told(value)
        if name == "models" and value:
            shown = _models(value)
        if name == "search":
            shown = _search(value)
        if name == "index":
            shown = _index(value)
        table.add_row(f"[bold]{name.replace('_', ' ')}", escape(shown))
    out.print(table)


def _models(models: dict[str, Any]) -> str:
    """What looks at the images: bundle and labels, where they run, and why not where they were meant to."""
    lines = [f"{(models.get('bundle') or {}).get('name', 'none')}, labels {models.get('labels', '')}"]
    in_use = ", ".join(map(short_name, models.get("providers", ()))) or "nothing"
    asked = ", ".join(map(short_name, models.get("asked", ())))
    lines.append(f"on {in_use}" + (f"; asked for {asked}" if asked else ""))
    lines += [
        f"not {short_name(refused['provider'])}: {refused['reason']}" for refused in models.get("refused", ())
    ]
    return "\n".join(lines)


def _search(search: dict[str, Any]) -> str:
    """How far the images are that another bundle had embedded."""
    images, embedded = search.get("images", 0), search.get("embedded", 0)
    share = f"{100 * embedded // max(1, images)} % of {images:,} images re-embedded"
    gone = search.get("unreachable", 0)
    return share + (f"; the originals of {gone:,} are gone or damaged" if gone else "")


def _index(index: dict[str, Any]) -> str:
    """What searches go through."""
    kept = f"{index['sealed']:,} of them in {filesize.decimal(index['size'])} of files"
    return f"{index['vectors']:,} vectors, {index['kind']}; {kept}"


def _told(value: object) -> str:
    """A value of the status for people: numbers with what they count, lists line by line."""
    if isinstance(value, dict):
        if "name" in value:
            return str(value["name"])
        return ", ".join(f"{_told(v)} {k.replace('_', ' ')}" for k, v in value.items() if v) or "none"
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value)) or "none"
    return str(value)


def registration_table(messages: Iterable[RegistrationMessage]) -> Table:
    """Registrations for people."""
    table = Table(box=None, header_style="bold")
    for name in ("deployment", "label", "count", "start", "end", "images", "confidence", "state"):
        table.add_column(name, justify="right" if name in ("count", "images", "confidence") else "left")
    for m in messages:
        clock = "" if m.clock_ok else " [yellow](clock?)[/]"
        table.add_row(
            escape(m.deployment),
            escape(m.label),
            str(m.count),
            _short(m.start) + clock,
            _short(m.end),
            str(m.media_count),
            f"{m.confidence:.2f}",
            m.state,
        )
    return table


def _short(time: str) -> str:
    return time[:19].replace("T", " ")


def _write_csv(messages: Iterable[RegistrationMessage]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(
        (
            "deployment",
            "label",
            "start",
            "end",
            "count",
            "media_count",
            "confidence",
            "state",
            "registration_id",
        )
    )
    for m in messages:
        writer.writerow(
            (
                m.deployment,
                m.label,
                m.start,
                m.end,
                m.count,
                m.media_count,
                f"{m.confidence:.6f}",
                m.state,
                m.registration_id,
            )
        )


def _file_json(row: FileReport) -> dict[str, object]:
    found = asdict(row)
    offset = found.pop("offset_minutes")
    found["taken"] = None if row.taken is None else timestamp(row.taken, offset)
    found["confidence"] = row.confidence / 1_000_000
    return found


def _file_table(rows: Iterable[FileReport]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in ("file", "outcome", "taken", "what", "count", "reason"):
        table.add_column(name, justify="right" if name == "count" else "left", overflow="fold")
    for row in rows:
        taken = "" if row.taken is None else local(row.taken, row.offset_minutes)
        what = row.label or ("unidentified" if row.kind == "animal" else row.kind) or ""
        count = str(row.count) if row.count else ""
        table.add_row(escape(row.file), row.state, taken, escape(what), count, escape(row.reason))
    return table
