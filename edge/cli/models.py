"""``edge models``: bundles on this machine, what they are, whether they are sound, how fast they are."""

from __future__ import annotations

import typer
from rich.table import Table

from edge.cli.bundle_card import show_command
from edge.cli.bundle_trials import bench_command, verify_command
from edge.cli.common import ConfigOption, JsonOption, StateOption, configuration, out, write_json
from edge.cli.escaping import escape
from edge.vision.bundles import BundleEntry, list_bundles
from edge.vision.manifest import PARTS

app = typer.Typer(no_args_is_help=True, help="Bundles of models: list, show, verify, bench.")
app.command("show")(show_command)
app.command("verify")(verify_command)
app.command("bench")(bench_command)


@app.command("list")
def list_command(
    *, config: ConfigOption = None, state: StateOption = None, as_json: JsonOption = False
) -> None:
    """Show the bundles that can be used by name, and parts that can be joined to one.

    Examples:
        edge models list

        edge models list --json
    """
    settings = configuration(config, state=state).settings
    entries = list_bundles((settings.state / "models",))
    if as_json:
        write_json([_json(entry) for entry in entries])
        return
    table = Table(box=None, header_style="bold")
    for name in ("name", "version", "MB", "licence", *PARTS, "folder", "remark"):
        table.add_column(name, overflow="fold", justify="right" if name == "MB" else "left")
    for entry in entries:
        m = entry.manifest
        table.add_row(
            escape(entry.name),
            escape(m.version if m else ""),
            f"{entry.bytes / 1e6:.1f}",
            escape(m.license if m else ""),
            *(escape(_precision(entry, part)) for part in PARTS),
            escape(str(entry.path)),
            escape(_remark(entry)),
        )
    out.print(table)


def _precision(entry: BundleEntry, part: str) -> str:
    section = getattr(entry.manifest, part, None)
    if section is None:
        return "-"
    targets = "".join(f" +{variant.target}" for variant in section.variants)
    return f"{section.precision}{targets}"


def _remark(entry: BundleEntry) -> str:
    if entry.problem or not entry.missing:
        return entry.problem
    return f"only parts, no {' and no '.join(entry.missing)}: see edge export bundle"


def _json(entry: BundleEntry) -> dict[str, object]:
    m = entry.manifest
    return {
        "name": entry.name,
        "path": str(entry.path),
        "sha256": entry.sha256,
        "bytes": entry.bytes,
        "version": m.version if m else None,
        "license": m.license if m else None,
        "parts": [part for part in PARTS if getattr(m, part, None) is not None],
        "whole": m is not None and not entry.missing,
        "problem": entry.problem,
    }
