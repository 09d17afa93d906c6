"""``edge doctor``: is everything as the daemon needs it?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from edge.cli.common import (
    ConfigOption,
    JsonOption,
    StateOption,
    broker_overrides,
    configuration,
    out,
    write_json,
)
from edge.cli.escaping import escape
from edge.service.checks.finding import Finding
from edge.service.doctor import diagnose

_MARKS: Final = {"ok": "[green]ok  [/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}
_INDENT: Final = 20


def doctor_command(
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    drop: Annotated[
        Path | None, typer.Option("--drop", metavar="DIR", help="Folder that cameras write to.")
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option("--broker", metavar="URL", help="mqtt://[user:password@]host[:port], or none."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check everything that the daemon needs: folders, disk, clock, models, broker, database, unit.

    Nothing is changed; the broker gets one test message. Exit code 1 if a check failed; warnings are fine.

    Examples:
        sudo -u edge /opt/edge/bin/edge doctor

        edge doctor --json
    """
    settings = configuration(config, state=state, drop=drop, **broker_overrides(broker)).settings
    found: list[Finding] = []
    for finding in diagnose(settings):
        found.append(finding)
        if not as_json:
            _show(finding)
    sound = all(finding.level != "fail" for finding in found)
    if as_json:
        write_json({"ok": sound, "findings": [asdict(finding) for finding in found]})
    if not sound:
        raise typer.Exit(1)


def _show(finding: Finding) -> None:
    out.print(f"{_MARKS[finding.level]} {finding.check:<14} {escape(finding.what)}", soft_wrap=True)
    if finding.hint and finding.level != "ok":
        out.print(f"{'':<{_INDENT}}[dim]{escape(finding.hint)}[/]", soft_wrap=True)
