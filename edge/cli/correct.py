"""``edge clock`` and ``edge relabel``: what people put right after the fact."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from difflib import get_close_matches
from typing import Annotated, Final

import typer
from rich.table import Table

from edge.cli.common import (
    ConfigOption,
    JsonOption,
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
from edge.configuration import Configuration
from edge.delivery.messages import timestamp
from edge.errors import UsageError
from edge.registration.types import UNIDENTIFIED
from edge.service.clockshift import Shift, ShiftPlan, describe, plan, shift_clock
from edge.service.relabel import Relabelled, relabel, the_image, unlabel
from edge.store.corrections import ClockSummary, Correction, Corrections, Span, clocks
from edge.store.database import Database, open_beside
from edge.store.queries import scientific_names

app = typer.Typer(
    no_args_is_help=True, help="Cameras' clocks: show how they look, shift their images' times."
)

_UNITS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_PART: Final = re.compile(r"(\d+)(ms|[dhms])")
_DURATION: Final = re.compile(r"([+-])((?:\d+(?:ms|[dhms]))+)")
_LONGEST: Final = 100 * 366 * 86_400_000

OneDeploymentOption = Annotated[str, typer.Option("--deployment", "-d", metavar="NAME", help="Which camera.")]


@app.command("show")
def show_command(
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    deployment: Annotated[str | None, typer.Option("--deployment", "-d", help="Only this camera.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show each camera's times, how many of them can't be right, and the shifts that were made.

    Examples:
        edge clock show

        edge clock show --deployment cam-07 --json
    """
    with reading(config, state) as (_, database):
        found = clocks(database, deployment)
        made = Corrections(database).made(deployment, "clock")
    if as_json:
        write_json([_clock_json(summary, made) for summary in found])
        return
    out.print(_clock_table(found))
    if made:
        out.print()
        out.print(_made_table(made))


@app.command("shift")
def shift_command(
    *,
    deployment: OneDeploymentOption,
    by: Annotated[
        str, typer.Option("--by", metavar="DURATION", help="What to add: +1h, -90m, +365d, +1d2h30m.")
    ],
    config: ConfigOption = None,
    state: StateOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    mtime: Annotated[
        bool,
        typer.Option("--mtime", help="Also images dated by their file's mtime, not by the camera's clock."),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also images that were moved by the same amount last.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Shift the times of a camera's images whose clock was wrong; registrations and messages follow.

    --from and --to are times as they are on record, before the shift. The daemon may run meanwhile. The same
    shift once more only moves what came since.

    Examples:
        edge clock shift --deployment cam-07 --by +365d --dry-run

        edge clock shift --deployment cam-07 --from 2026-03-29T02:00 --by +1h --yes
    """
    milliseconds = duration(by)
    with _writing(config, state) as (found, database):
        zone = zone_of(found)
        _known(database, deployment)
        span = Span(deployment, *between(since, until, zone))
        shift = Shift(span, milliseconds, mtime=mtime, again=again)
        planned = plan(database, shift, found.settings)
        if not as_json:
            _tell_plan(planned)
        if not planned.moved or dry_run:
            done = None
        else:
            _ask(yes or as_json)
            done = shift_clock(database, shift, found.settings)
    if as_json:
        write_json({**_plan_json(planned), "done": None if done is None else asdict(done)})
    elif done is not None:
        out.print(f"moved {done.images} images; messages: {_figures(done.messages)}", highlight=False)
        _tell_future(shift)


def relabel_command(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="Path below the drop folder, or media id.")],
    label: Annotated[
        str | None,
        typer.Argument(help=f"What it shows; {UNIDENTIFIED} if none can tell.", show_default=False),
    ] = None,
    *,
    count: Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="Animals in it.")] = None,
    nothing: Annotated[bool, typer.Option("--none", help="There is no animal in it.")] = False,
    machine: Annotated[bool, typer.Option("--machine", help="Take it back: the models' word again.")] = False,
    new: Annotated[bool, typer.Option("--new", help="LABEL is in no label set, and meant so.")] = False,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Correct what an image shows; its registration and messages follow. The models' word is kept.

    The daemon may run meanwhile.

    Examples:
        edge relabel cam-07/IMG_0004.JPG Red_Deer --count 2

        edge relabel sha256:9f86d081 --none

        edge relabel cam-07/IMG_0004.JPG --machine
    """
    if (label is not None) + nothing + machine != 1:
        raise UsageError("say what it shows: a LABEL, or --none, or --machine", subject=image)
    if count is not None and label is None:
        raise UsageError("--count goes with a LABEL")
    with _writing(config, state) as (_, database):
        media_id = the_image(database, image)
        if machine:
            result = unlabel(database, media_id)
        elif nothing:
            result = relabel(database, media_id, None, 0)
        else:
            result = relabel(database, media_id, _label(database, label or "", new=new), count)
    _tell_relabelled(result, as_json=as_json)


def duration(text: str) -> int:
    """A signed duration from the command line in ms.

    Raises:
        UsageError: it is none, or nothing, or longer than a century.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise UsageError("not a duration with its sign", subject=text, hint="write +1h, -90m or +365d12h")
    total = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(found[2]))
    if not 0 < total <= _LONGEST:
        raise UsageError("a shift is not 0 and at most a century", subject=text)
    return -total if found[1] == "-" else total


@contextmanager
def _writing(config: ConfigOption, state: StateOption) -> Iterator[tuple[Configuration, Database]]:
    """Settings and the database, for a small change beside a running daemon."""
    found = configuration(config, state=state)
    database = open_beside(found.settings.state)
    try:
        yield found, database
    finally:
        database.close()


def _known(database: Database, deployment: str) -> None:
    names = [summary.deployment for summary in clocks(database)]
    if deployment not in names:
        hint = f"there are {', '.join(names)}" if names else "nothing is on record yet"
        raise UsageError("no such deployment", subject=deployment, hint=hint)


def _label(database: Database, label: str, *, new: bool) -> str | None:
    if label == UNIDENTIFIED:
        return None
    known = scientific_names(database)
    if label in known or (new and label.strip()):
        return label
    near = get_close_matches(label, known, n=3)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    raise UsageError(
        "no label set used here has this label", subject=label, hint=f"{hint}--new takes it anyway"
    )


def _ask(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "nothing was changed: there is nobody to ask", hint="add --yes, or --dry-run to look"
        )
    typer.confirm("Shift them?", abort=True)


def _tell_plan(planned: ShiftPlan) -> None:
    moved, shift = planned.moved, planned.shift
    if moved:
        first, last = moved[0], moved[-1]
        for name, by in (("from", 0), ("to", shift.by)):
            times = f"{local(first.taken + by, first.offset_minutes)} to "
            times += local(last.taken + by, last.offset_minutes)
            out.print(f"{name:>5}  {times}", highlight=False)
    out.print(
        f"{shift.span.deployment}: images {len(moved)}, registrations {planned.registrations}, "
        f"by {describe(shift.by)}",
        highlight=False,
        markup=False,
    )
    for number, words in (
        (planned.done, "images stay: moved by the same amount before (--again moves them once more)"),
        (planned.by_mtime, "images stay: their time is the file's, not the camera's (--mtime moves them)"),
        (planned.doubtful_before, "of those to move had times that can't be right"),
        (planned.doubtful_after, "of those to move will have times that can't be right"),
    ):
        if number:
            out.print(f"{number} {words}", highlight=False)


def _tell_future(shift: Shift) -> None:
    out.print(
        "Images still to come have the camera's own time: set its clock, or "
        f"add {shift.by / 1000:.12g} to clock_offset in [intake.deployments.{shift.span.deployment}].",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _tell_relabelled(result: Relabelled, *, as_json: bool) -> None:
    if as_json:
        write_json(asdict(result))
    elif not result.done.images:
        out.print(f"nothing to change: {result.after} already", highlight=False, markup=False)
    else:
        said = f"{result.before} is now {result.after}; messages: {_figures(result.done.messages)}"
        out.print(said, highlight=False, markup=False)


def _figures(messages: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in sorted(messages.items())) or "none"


def _plan_json(planned: ShiftPlan) -> dict[str, object]:
    moved = planned.moved
    return {
        "deployment": planned.shift.span.deployment,
        "by_ms": planned.shift.by,
        "images": len(moved),
        "first": timestamp(moved[0].taken, moved[0].offset_minutes) if moved else None,
        "last": timestamp(moved[-1].taken, moved[-1].offset_minutes) if moved else None,
        "registrations": planned.registrations,
        "moved_before": planned.done,
        "by_mtime": planned.by_mtime,
        "doubtful_before": planned.doubtful_before,
        "doubtful_after": planned.doubtful_after,
    }


def _clock_json(summary: ClockSummary, made: list[Correction]) -> dict[str, object]:
    offset = summary.offset_minutes
    return {
        **{
            name: getattr(summary, name)
            for name in ("deployment", "images", "doubtful", "by_mtime", "shifted")
        },
        "first": timestamp(summary.first, offset),
        "last": timestamp(summary.last, offset),
        "shifts": [_shift_json(c, offset) for c in made if c.deployment == summary.deployment],
    }


def _shift_json(made: Correction, offset: int) -> dict[str, object]:
    return {
        "made": timestamp(made.made, offset),
        "made_by": made.made_by,
        "by_ms": made.shift,
        "from": None if made.since is None else timestamp(made.since, offset),
        "to": None if made.until is None else timestamp(made.until, offset),
        "images": made.images,
        "messages": made.messages,
    }


def _clock_table(found: list[ClockSummary]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in ("deployment", "images", "first", "last", "in doubt", "by mtime", "shifted"):
        table.add_column(name, justify="left" if name in ("deployment", "first", "last") else "right")
    for s in found:
        first, last = local(s.first, s.offset_minutes), local(s.last, s.offset_minutes)
        doubt = f"[yellow]{s.doubtful}[/]" if s.doubtful else "0"
        table.add_row(
            escape(s.deployment), str(s.images), first, last, doubt, str(s.by_mtime), str(s.shifted)
        )
    return table


def _made_table(made: list[Correction]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in ("made (UTC)", "by", "deployment", "what", "images", "messages"):
        table.add_column(name, justify="right" if name in ("images", "messages") else "left")
    for c in made:
        what = c.what
        what += f" from {local(c.since)}" if c.since is not None else ""
        what += f" to {local(c.until)}" if c.until is not None else ""
        row = (local(c.made), c.made_by, c.deployment, what, str(c.images), str(c.messages))
        table.add_row(*map(escape, row))
    return table
