"""``edge models``: bundles on this machine, whether they are sound, how fast they are."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from edge.cli.common import ConfigOption, JsonOption, StateOption, configuration, out, write_json
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
