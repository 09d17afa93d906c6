"""``edge models verify`` and ``bench``: whether a bundle is sound here, and how fast."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from edge.cli.common import ConfigOption, JsonOption, StateOption, configuration, err, out, write_json
from edge.cli.escaping import escape
from edge.settings import Settings
from edge.vision.bench import BenchReport, bench
from edge.vision.bundles import find_bundle
from edge.vision.manifest import Parts, Target, load_parts
from edge.vision.providers import short_name
from edge.vision.trials import PARTS, Trial, differing, present, sound, try_all

BundleArgument = Annotated[
    str | None, typer.Argument(metavar="[BUNDLE]", help="Name or folder; default: configured.")
]
_MARKS: Final = {"passed": "[green]ok  [/]", "failed": "[red]fail[/]", "unsuited": "[yellow]skip[/]"}


def bundle_of(bundle: str | None, settings: Settings) -> Path:
    """The bundle that a command is about: the one named, else the configured one.

    Raises:
        BundleError: there is no such bundle.
    """
    return find_bundle(bundle or settings.vision.bundle, (settings.state / "models",))


def verify_command(
    bundle: BundleArgument = None,
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare every file of a bundle with its manifest, and run its known inputs on every provider here.

    Exit code 1 if a file differs, no provider gets the images right, or the CPU gets texts wrong.

    Examples:
        edge models verify

        edge models verify ./my-bundle --json
    """
    settings = configuration(config, state=state).settings
    path = bundle_of(bundle, settings)
    manifest = load_parts(path)
    files = _checked_files(path, manifest)
    damaged = {name: problem for name, problem in files.items() if problem}
    trials = [] if damaged else _tried(path, manifest, settings)
    good = not damaged and sound(trials)
    if as_json:
        write_json(
            {
                "bundle": manifest.name,
                "path": str(path),
                "ok": good,
                "files": files,
                "trials": [asdict(trial) for trial in trials],
            }
        )
    else:
        _tell(manifest, path, damaged, trials)
    if not good:
        raise typer.Exit(1)


def bench_command(
    bundle: BundleArgument = None,
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    threads: Annotated[
        list[int] | None, typer.Option("--threads", min=1, help="Threads inside one run; may be repeated.")
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option("--batch", min=1, help="Crops at once; may be repeated.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="NAME", help="Files for x86, arm, tensorrt, cuda; may be repeated."),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=3, help="Runs of each variant.")] = 9,
    as_json: JsonOption = False,
) -> None:
    """Measure a bundle here: latency by provider, threads, batch and file, and the choice it gives.

    Without --target each provider runs the files that it takes by itself.

    Examples:
        edge models bench

        edge models bench --threads 1 --threads 4 --batch 1 --batch 8

        edge models bench --target x86 --target arm
    """
    settings = configuration(config, state=state).settings
    path = bundle_of(bundle, settings)
    with _bar("measuring") as told:
        report = bench(
            path,
            providers=present(settings.vision.providers),
            threads=threads or sorted({1, len(os.sched_getaffinity(0))}),
            batches=batch or (1, 2, 4, 8),
            rounds=rounds,
            targets=[_target(name) for name in target or ()] or (None,),
            cache=_cache(settings),
            told=told,
        )
    if as_json:
        write_json(asdict(report))
    else:
        _tell_bench(report)


def _target(name: str) -> Target:
    for known in _TARGETS:
        if name == known:
            return known
    raise typer.BadParameter(f"no such target: {name}; there are {', '.join(_TARGETS)}")


_TARGETS: Final[tuple[Target, ...]] = ("x86", "arm", "tensorrt", "cuda")


def _cache(settings: Settings) -> Path | None:
    """The daemon's compiled models, where this user may add to them; else nothing is kept."""
    cache = settings.state / "cache"
    return cache if os.access(cache, os.W_OK | os.X_OK) else None


def _checked_files(path: Path, manifest: Parts) -> dict[str, str]:
    files: dict[str, str] = {}
    with _bar("comparing files") as told:
        for name, problem in differing(path, manifest):
            files[name] = problem
            told(len(files), len(manifest.files()))
    return files


def _tried(path: Path, manifest: Parts, settings: Settings) -> list[Trial]:
    providers = present(settings.vision.providers)
    trials: list[Trial] = []
    with _bar("known inputs") as told:
        total = len(providers) * (len(PARTS) - len(manifest.missing()))
        for trial in try_all(path, manifest, providers, cache=_cache(settings)):
            trials.append(trial)
            told(len(trials), total)
    return trials


class _Told:
    """Moves a bar; does nothing without one."""

    def __init__(self, bar: Progress | None, what: str) -> None:
        self._bar = bar
        self._task = None if bar is None else bar.add_task(what, total=None)

    def __call__(self, done: int, total: int) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total)


@contextmanager
def _bar(what: str) -> Iterator[_Told]:
    """A progress bar on a terminal, gone when it is done; nothing elsewhere."""
    if not err.is_terminal:
        yield _Told(None, what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        yield _Told(bar, what)


def _tell(manifest: Parts, path: Path, damaged: dict[str, str], trials: list[Trial]) -> None:
    out.print(f"{escape(manifest.name)} {escape(manifest.version)}, {escape(str(path))}", soft_wrap=True)
    for name, problem in damaged.items():
        out.print(f"{_MARKS['failed']} {escape(name)}: {escape(problem)}; copy the bundle again")
    if damaged:
        return
    out.print(f"{_MARKS['passed']} {len(manifest.files())} files as in the manifest")
    for trial in trials:
        said = f"cosine to the reference {trial.cosine:.4f}" if trial.cosine is not None else trial.reason
        where = f"{short_name(trial.provider)}: {trial.part} ({trial.file})"
        out.print(f"{_MARKS[trial.outcome]} {escape(where)}: {escape(said)}", soft_wrap=True)
    if manifest.missing():
        out.print(f"only parts of a bundle: no {' and no '.join(manifest.missing())}")


def _tell_bench(report: BenchReport) -> None:
    table = Table(box=None, header_style="bold")
    for name in ("provider", "threads", "graph", "file", "batch", "ms", "quartiles", "ms each"):
        left = name in ("provider", "graph", "file")
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    for row in report.rows:
        table.add_row(
            escape(short_name(row.variant.provider)),
            str(row.variant.threads),
            row.part,
            escape(row.file),
            str(row.batch),
            f"{row.median_ms:.1f}",
            f"{row.low_ms:.1f}-{row.high_ms:.1f}",
            f"{row.sample_ms:.1f}",
        )
    out.print(table)
    for refusal in report.refused:
        out.print(escape(f"not measured: {short_name(refusal.provider)}: {refusal.reason}"), soft_wrap=True)
    if report.choice is None:
        out.print("choice: none, for nothing could be run")
        return
    chosen = report.choice
    files = f" and the files for {chosen.target}" if chosen.target else ""
    out.print(f"choice: {short_name(chosen.provider)} with vision.threads = {chosen.threads}{files}")
