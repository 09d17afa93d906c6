"""``edge models``: bundles on this machine, whether they are sound, how fast they are."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from edge.cli.common import ConfigOption, JsonOption, StateOption, configuration, err, out, write_json
from edge.vision.bench import bench
from edge.vision.bundles import find_bundle, list_bundles, verify_bundle
from edge.vision.selftest import open_tested

app = typer.Typer(no_args_is_help=True, help="Bundles of models: list, verify, bench.")

BundleArgument = Annotated[
    str | None, typer.Argument(metavar="[BUNDLE]", help="Name or folder; default: configured.")
]


@app.command("list")
def list_command(
    *, config: ConfigOption = None, state: StateOption = None, as_json: JsonOption = False
) -> None:
    """Show the bundles that can be used by name.

    Examples:
        edge models list
    """
    settings = configuration(config, state=state).settings
    entries = list_bundles((settings.state / "models",))
    if as_json:
        write_json(
            [
                {
                    "name": e.name,
                    "path": str(e.path),
                    "sha256": e.sha256,
                    "bytes": e.bytes,
                    "version": e.manifest.version if e.manifest else None,
                    "license": e.manifest.license if e.manifest else None,
                    "problem": e.problem,
                }
                for e in entries
            ]
        )
        return
    table = Table(box=None, header_style="bold")
    for name in ("name", "version", "MB", "licence", "detector", "visual", "text", "folder", "problem"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        m = entry.manifest
        precisions = (m.detector.precision, m.visual.precision, m.text.precision) if m else ("", "", "")
        table.add_row(
            entry.name,
            m.version if m else "",
            f"{entry.bytes / 1e6:.1f}",
            m.license if m else "",
            *precisions,
            str(entry.path),
            entry.problem,
        )
    out.print(table)


@app.command("verify")
def verify_command(
    bundle: BundleArgument = None,
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a bundle with its manifest, run its golden inputs on the provider that would be used.

    Examples:
        edge models verify

        edge models verify ./my-bundle
    """
    settings = configuration(config, state=state).settings
    path = find_bundle(bundle or settings.vision.bundle, (settings.state / "models",))
    manifest = verify_bundle(path)
    _, report = open_tested(path, manifest, settings.vision.providers, settings.vision.threads)
    if as_json:
        write_json(
            {
                "bundle": manifest.name,
                "path": str(path),
                "provider": report.in_use,
                "cosine": dict(report.cosine),
                "refused": [{"provider": r.provider, "reason": r.reason} for r in report.refused],
            }
        )
        return
    out.print(
        f"{manifest.name} {manifest.version}: files as in the manifest; self-test passed on {report.in_use}"
    )
    for part, cosine in report.cosine.items():
        out.print(f"  {part}: cosine to the reference {cosine:.4f}")
    for refusal in report.refused:
        out.print(f"  not used: {refusal.provider}: {refusal.reason}")


@app.command("bench")
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
    rounds: Annotated[int, typer.Option("--rounds", min=3, help="Runs of each variant.")] = 9,
    as_json: JsonOption = False,
) -> None:
    """Measure a bundle on this machine: latency by provider, threads and batch, and the choice it gives.

    Examples:
        edge models bench

        edge models bench --threads 1 --threads 4 --batch 1 --batch 8
    """
    settings = configuration(config, state=state).settings
    path = find_bundle(bundle or settings.vision.bundle, (settings.state / "models",))
    with err.status("measuring") if err.is_terminal else nullcontext():
        report = bench(
            path,
            providers=settings.vision.providers,
            threads=threads or sorted({1, len(os.sched_getaffinity(0))}),
            batches=batch or (1, 2, 4, 8),
            rounds=rounds,
        )
    if as_json:
        write_json(asdict(report))
        return
    table = Table(box=None, header_style="bold")
    for name in ("provider", "threads", "graph", "batch", "ms", "quartiles", "ms each"):
        table.add_column(name, justify="left" if name in ("provider", "graph") else "right")
    for row in report.rows:
        table.add_row(
            row.variant.provider,
            str(row.variant.threads),
            row.part,
            str(row.batch),
            f"{row.median_ms:.1f}",
            f"{row.low_ms:.1f}-{row.high_ms:.1f}",
            f"{row.sample_ms:.1f}",
        )
    out.print(table)
    for refusal in report.refused:
        out.print(f"not measured: {refusal.provider}: {refusal.reason}")
    if report.choice is not None:
        out.print(f"choice: {report.choice.provider} with {report.choice.threads} threads inside one run")
