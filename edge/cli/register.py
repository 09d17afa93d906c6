"""``edge register``: results that somebody already has, image by image, become registrations."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, TextIO, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.table import Table

from edge.cli.common import JsonOption, err, write_json
from edge.cli.escaping import escape
from edge.errors import InterchangeError, UsageError
from edge.interchange import (
    DIALECTS,
    FORMATS,
    KINDS,
    OURS,
    Clock,
    Format,
    Input,
    Reading,
    Reject,
    Row,
    dialect,
    duration,
    events_from,
    mapping_of,
    reading_from,
    write,
    write_changes,
)
from edge.registration import ComparedTo, Method, Options, Registration, SplitOn
from edge.registration.score import Score, score
from edge.service.registering import Job, Tally, batch, stream
from edge.vision.labels import LabelSet, load_label_set

_LISTED = 5
_REPORTED_EVERY = 0.5
_NONE = "none"
_PACKAGE = ("deployments.csv", "media.csv", "observations.csv")


@dataclass(slots=True)
class _Rejects:
    """Rows that can't be used: the first few for people, all for the file."""

    first: list[Reject] = field(default_factory=list)
    writer: Any = None

    def take(self, reject: Reject) -> None:
        if len(self.first) < _LISTED:
            self.first.append(reject)
        if self.writer is not None:
            self.writer.writerow(reject)


def register_command(
    *,
    source: Annotated[
        str,
        typer.Argument(
            metavar="RESULTS",
            help="A table (CSV), JSON Lines, MegaDetector's JSON, a folder with a Camtrap DP package, "
            "or - for standard input.",
        ),
    ],
    input_format: Annotated[
        str | None, typer.Option("--input-format", metavar="KIND", help=f"What it is: {', '.join(KINDS)}.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN,…",
            help="Columns of deployment, media, time, label, count, confidence.",
        ),
    ] = None,
    deployment: Annotated[
        str, typer.Option("--deployment", "-d", help="Of all images, whatever the input says.")
    ] = "",
    deployment_depth: Annotated[
        int, typer.Option(min=1, help="Folders of an image's path that name its deployment.")
    ] = 1,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Of times without one, such as Asia/Yakutsk.")
    ] = None,
    time_format: Annotated[
        str, typer.Option(metavar="FORMAT", help="How times are written, such as '%d.%m.%Y %H:%M'.")
    ] = "",
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of a detection (MegaDetector); default: the file's.")
    ] = None,
    min_label_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Of its label (MegaDetector); default: the file's.")
    ] = None,
    as_dialect: Annotated[
        str | None,
        typer.Option("--dialect", metavar="TOOL", help=f"Group as another tool does: {', '.join(DIALECTS)}."),
    ] = None,
    method: Annotated[
        str | None, typer.Option(metavar="METHOD", help=f"{' or '.join(get_args(Method))}.")
    ] = None,
    window: Annotated[
        str, typer.Option(metavar="DURATION", help="Over which labels are smoothed: 30m, 1800 or 00:30:00.")
    ] = "30m",
    gap: Annotated[
        str | None, typer.Option(metavar="DURATION", help="The independence interval; default 30m.")
    ] = None,
    split_on: Annotated[
        str | None, typer.Option(metavar="WHAT", help="label, count, label,count or none; default label.")
    ] = None,
    compared_to: Annotated[
        str | None, typer.Option(metavar="WHAT", help=f"{' or '.join(get_args(ComparedTo))}.")
    ] = None,
    per_label: Annotated[
        bool, typer.Option("--per-label", help="Follow each label of a deployment on its own.")
    ] = False,
    labels: Annotated[
        str | None,
        typer.Option(metavar="SET", help="Label set for priors and scientific names, by name or file."),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help=f"Of the result: {', '.join(FORMATS)}.")
    ] = "csv",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE|DIR", help="Default: standard output.")
    ] = None,
    streaming: Annotated[
        bool,
        typer.Option("--stream", help="Row by row through the engine; writes the change log (JSON Lines)."),
    ] = False,
    lateness: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="With --stream: close registrations once rows this late are in."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first row that can't be used.")
    ] = False,
    rejects: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Table of all rows that couldn't be used.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--score", metavar="TRUTH", help="Score against a table of true registrations."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make registrations of results that you already have for each image.

    Exits with 1 when rows had to be set aside.

    Examples:
        edge register results.csv > registrations.csv

        edge register md.json --timezone Asia/Yakutsk --format camtrap-dp --out package/

        edge register frames.csv --map deployment=name_folder,media=link,time=date_registration

        edge register records.csv --dialect camtrapr --gap 60m

        edge register results.csv --stream --lateness 1h | head
    """
    form_ = _one_of(form, FORMATS, "--format")
    set_ = load_label_set(labels) if labels else None
    if lateness is not None and not streaming:
        raise UsageError("--lateness needs --stream")
    if streaming and (truth or form_ != "csv"):
        raise UsageError("--stream writes the change log", hint="leave out --format and --score")
    if as_json and truth is None:
        raise UsageError("--json shows a score; it needs --score", hint="--format jsonl writes registrations")
    options, by_label = _options(
        as_dialect, method, duration(window), gap, split_on, compared_to, set_, per_label=per_label
    )
    clock = Clock(_zone(timezone), time_format)
    reading = Reading(
        clock, mapping_of(columns), deployment, deployment_depth, min_confidence, min_label_confidence
    )
    kind = None if input_format is None else _one_of(input_format, KINDS, "--input-format")
    target = _file(out, form_, source)
    if rejects is not None and _same(rejects, source):
        raise UsageError("--rejects would replace what is read", subject=str(rejects))
    bad, tally = _Rejects(), Tally()
    with ExitStack() as stack:
        found = stack.enter_context(reading_from(source, reading, kind))
        if rejects is not None:
            bad.writer = csv.writer(stack.enter_context(_output(rejects)))
            bad.writer.writerow(Reject._fields)
        job = Job(
            options,
            per_label=by_label,
            repeats_add=found.repeats_add,
            strict=strict,
            lateness=None if lateness is None else duration(lateness),
            on_reject=bad.take,
            tally=tally,
        )
        rows = _watched(found.rows)
        if streaming:
            write_changes(stream(rows, job), stack.enter_context(_output(target)), clock)
        else:
            registrations = batch(rows, job)
            _result(form_, registrations, target, clock, found, set_, truth=truth, as_json=as_json)
    _report(tally, bad, rejects)


def _options(  # noqa: PLR0917 - one for each option that says how to group
    named: str | None,
    method: str | None,
    window: int,
    gap: str | None,
    split_on: str | None,
    compared_to: str | None,
    labels: LabelSet | None,
    *,
    per_label: bool,
) -> tuple[Options, bool]:
    """The rules' options, and whether each label is followed on its own; the dialect fills the gaps."""
    base = OURS if named is None else dialect(_one_of(named, DIALECTS, "--dialect"))
    options = Options(
        method=base.method if method is None else _one_of(method, get_args(Method), "--method"),
        window=max(window, 1),
        gap=base.gap_for(None if gap is None else duration(gap)),
        split_on=base.split_on if split_on is None else _split_on(split_on),
        compared_to=base.compared_to
        if compared_to is None
        else _one_of(compared_to, get_args(ComparedTo), "--compared-to"),
        priors=labels.priors() if labels else {},
    )
    return options, per_label or base.per_label


def _split_on(text: str) -> frozenset[SplitOn]:
    if text == _NONE:
        return frozenset()
    return frozenset(_one_of(part.strip(), get_args(SplitOn), "--split-on") for part in text.split(","))


def _one_of(text: str, known: tuple[Any, ...], option: str) -> Any:
    if text not in known:
        raise UsageError(f"no such {option}", subject=text, hint=f"one of {', '.join(known)}")
    return text


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError("no such time zone", subject=name, hint="such as Europe/Prague or UTC") from error


def _result(  # noqa: PLR0917 - what there is, and what was asked for
    form: Format,
    registrations: list[Registration],
    out: Path | None,
    clock: Clock,
    found: Input,
    labels: LabelSet | None,
    *,
    truth: Path | None,
    as_json: bool,
) -> None:
    """Write the registrations, and their score where that is asked for (then they go to a file only)."""
    names = {**found.scientific_names, **(labels.scientific_names() if labels else {})}
    if truth is None or out is not None:
        with _output(out) as file:
            write(form, registrations, file, clock, names)
    if form == "camtrap-dp" and clock.stated is None and not clock.style.zone:
        err.print("times without a zone were taken for UTC; --timezone names the cameras'")
    if truth is not None:
        _show_score(_scored(registrations, truth, clock), as_json=as_json)


def _scored(registrations: list[Registration], truth: Path, clock: Clock) -> Score:
    events = events_from(truth, Clock(clock.stated))
    if not events:
        raise InterchangeError("no registration to score against", subject=str(truth))
    return score(registrations, events)


def _show_score(found: Score, *, as_json: bool) -> None:
    if as_json:
        write_json(asdict(found))
        return
    table = Table(box=None, show_header=False)
    for name, value in asdict(found).items():
        shown = f"{value:.4f}" if isinstance(value, float) else str(value)
        table.add_row(f"[bold]{name.replace('_', ' ')}", shown)
    err.print(table)


def _file(out: Path | None, form: Format, source: str) -> Path | None:
    """Where a result goes: into a folder under the standard's name, else the file itself.

    Raises:
        UsageError: it would take the place of what is read, or of a package's own observations.
    """
    if out is None:
        return None
    if form == "camtrap-dp" and (out.is_dir() or not out.suffix):
        out = out / "observations.csv"
    in_package = out.name in _PACKAGE and out.with_name("datapackage.json").exists()
    if out.exists() and (in_package or _same(out, source)):
        raise UsageError("the result would replace observations", subject=str(out), hint="name another file")
    return out


def _same(out: Path, source: str) -> bool:
    return source != "-" and out.resolve() == Path(source).resolve()


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that takes its name only once it is whole."""
    if path is None:
        yield sys.stdout
        return
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        part.replace(path)
    except BrokenPipeError:
        raise  # of standard output, while this file is open
    except OSError as error:
        raise InterchangeError("can't be written", subject=str(path), hint=error.strerror or "") from error
    finally:
        with suppress(OSError):  # where its folder couldn't be made there is nothing to take away
            part.unlink(missing_ok=True)


def _watched(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows; on a terminal, how many so far."""
    if not err.is_terminal:
        yield from rows
        return
    with err.status("reading") as status:
        told = time.monotonic()
        for number, row in enumerate(rows, start=1):
            yield row
            if not number % 1024 and time.monotonic() - told > _REPORTED_EVERY:
                told = time.monotonic()
                status.update(f"{number:,} rows")


def _report(tally: Tally, bad: _Rejects, file: Path | None) -> None:
    """What happened to the rows; the exit code says whether some had to be set aside."""
    if tally.repeated:
        err.print(f"{tally.repeated:,} rows repeated what was known", highlight=False)
    if not tally.rejects:
        return
    err.print(f"{tally.rejects:,} of {tally.rows:,} rows can't be used:", highlight=False)
    for reject in bad.first:
        err.print(f"  {escape(str(reject))}", highlight=False, soft_wrap=True)
    if tally.rejects > len(bad.first):
        rest = f"all of them are in {file}" if file else "--rejects FILE writes all of them"
        err.print(f"  … {escape(rest)}", highlight=False, soft_wrap=True)
    raise typer.Exit(1)
