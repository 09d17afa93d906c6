"""``edge registrations plot``: a deployment as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from edge.cli.common import (
    ConfigOption,
    SinceOption,
    StateOption,
    UntilOption,
    between,
    out,
    reading,
    zone_of,
)
from edge.errors import UsageError
from edge.intake.moment import offset_at
from edge.service.plotting import Sighted, draw
from edge.store.corrections import Corrections, Dated, Span
from edge.store.database import Database
from edge.store.queries import Filter, registrations
from edge.store.record import SqliteRecord

_EVER = 2**62


def plot_command(
    *,
    deployment: Annotated[str, typer.Option("--deployment", "-d", metavar="NAME", help="Which camera.")],
    target: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="A .png or .svg file.")],
    config: ConfigOption = None,
    state: StateOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Draw a camera's registrations over time, and its animals' activity over the day.

    Needs the extra `plot`.

    Examples:
        edge registrations plot --deployment cam-07 --out cam-07.png

        edge registrations plot -d cam-07 --from 2026-05-01 --to 2026-06-01 -o may.svg
    """
    with reading(config, state) as (found, database):
        zone = zone_of(found, deployment)
        span = Span(deployment, *between(since, until, zone))
        sighted = _sighted(database, span, zone)
    draw(sighted, target)
    out.print(f"drawn: {target}", highlight=False, markup=False, soft_wrap=True)


def _sighted(database: Database, span: Span, zone: ZoneInfo) -> Sighted:
    images = list(Corrections(database).images(span))
    if not images:
        raise UsageError("no images of this camera then", subject=span.deployment)
    first = -_EVER if span.since is None else span.since
    last = _EVER if span.until is None else span.until - 1
    wanted = Filter(span.deployment, None, span.since, span.until)
    return Sighted(
        span.deployment,
        SqliteRecord(database).observations(span.deployment, first, last),
        list(registrations(database, wanted)),
        {image.media_id: image.offset_minutes for image in images},
        _zone_name(images, zone),
    )


def _zone_name(images: Sequence[Dated], zone: ZoneInfo) -> str:
    """The configured zone's name, or the offsets that cameras stated themselves."""
    if all(image.offset_minutes == offset_at(image.taken, zone) for image in images):
        return zone.key
    return ", ".join(map(_utc, sorted({image.offset_minutes for image in images})))


def _utc(offset_minutes: int) -> str:
    hours, minutes = divmod(abs(offset_minutes), 60)
    return f"UTC{'-' if offset_minutes < 0 else '+'}{hours:02}:{minutes:02}"
