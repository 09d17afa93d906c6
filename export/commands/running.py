"""How an export runs: its scratch folder, how it is interrupted, and what is said at the end."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from edge.errors import ExportError
from edge.vision.manifest import bundle_sha256, load_parts
from export.manifest import bundle_folder, check_out, disk_errors
from export.network import Network
from export.progress import Progress, shown
from export.request import Request

BUNDLES = Path("models/onnx")
_WIDE = 160
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
out = Console(width=None if sys.stdout.isatty() else _WIDE)
err = Console(stderr=True, width=None if sys.stderr.isatty() else _WIDE)
AGPL_NOTE = (
    "the detector is under the AGPL-3.0: who passes on a machine with it, or offers its answers over a "
    "network, has to offer the source of the whole as well"
)


class _Stopped(BaseException):
    """A signal asked to stop; no handler of ordinary errors may take it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def require(libraries: Sequence[str]) -> None:
    """Check that the workstation's libraries are there, without importing them.

    Raises:
        ExportError: some are missing.
    """
    missing = [name for name in libraries if find_spec(name) is None]
    if missing:
        raise ExportError(
            "export needs libraries that aren't installed",
            subject=", ".join(missing),
            hint="on a workstation: pip install 'edge-camera-trap[cpu,export]'",
        )


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C and signals to end leave through every ``finally``, so that nothing half-made stays.

    Once one came, others are ignored until the process ends: cleaning up is short. The exit code is 128 and
    the signal's number. With nohup the terminal's end stays ignored: an export may take all night.
    """
    before = {number: signal.getsignal(number) for number in _STOPPING}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]

    def stop(number: int, _: FrameType | None) -> None:
        for each in _STOPPING:
            signal.signal(each, signal.SIG_IGN)
        raise _Stopped(number)

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    except (_Stopped, KeyboardInterrupt) as stopped:
        came = signal.Signals(stopped.number) if isinstance(stopped, _Stopped) else signal.SIGINT
        why = "interrupted" if came == signal.SIGINT else f"stopped by {came.name}"
        # Not by the console: the signal may have come in the middle of what it was about to write.
        typer.echo(f"edge: {why}; nothing was kept", err=True)
        raise typer.Exit(128 + came) from None
    except BaseException:
        _restore(before)
        raise
    _restore(before)


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


@contextmanager
def working(target: Path) -> Iterator[tuple[Path, Progress]]:
    """A scratch folder and somebody to tell of progress, for as long as an export runs.

    Raises:
        ExportError: the system refuses to read or write a file.
    """
    with (
        interruptible(),
        disk_errors(target),
        tempfile.TemporaryDirectory(prefix="edge-export-") as scratch,
        shown(err) as progress,
    ):
        yield Path(scratch), progress


def make(
    target: Path | None,
    build_network: Callable[[Path, Progress], Network],
    request: Request,
    *,
    as_json: bool = False,
) -> None:
    """Make a network and a bundle of it.

    Args:
        target: folder of the bundle; None: by the network's name below ``models/onnx``.
        build_network: makes the fp32 network in a scratch folder.
        request: what is wanted of it.
        as_json: say what was made for scripts.

    Raises:
        EdgeError: it can't be made; then nothing is kept.
    """
    check_out(target or BUNDLES / "any")
    from export import assembly  # noqa: PLC0415 - heavy, and help has to be fast

    with working(target or BUNDLES) as (scratch, progress):
        network = build_network(scratch, progress)
        place = target or BUNDLES / network.origin.name
        with bundle_folder(place) as building:
            assembly.build(building, network, request, progress)
    tell(place, as_json=as_json)


def tell(place: Path, *, as_json: bool) -> None:
    """Say what was made; of an AGPL licence, what it asks for."""
    parts = load_parts(place)
    if "AGPL" in parts.license.upper():
        err.print(f"[yellow]Licence:[/] {AGPL_NOTE}", highlight=False)
    if as_json:
        json.dump(summary(place), sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
        return
    what = f"parts: {', '.join(_present(place))}; " if parts.missing() else ""
    out.print(
        f"[green]{escape(str(place))}[/] is built; {what}{escape(str(place / 'report.md'))} "
        "says what was measured",
        highlight=False,
        soft_wrap=True,
    )


def _present(place: Path) -> list[str]:
    missing = load_parts(place).missing()
    return [part for part in ("detector", "visual", "text") if part not in missing]


def summary(place: Path) -> dict[str, Any]:
    """What was made, as plain values."""
    parts = load_parts(place)
    report = place / "report.json"
    return {
        "path": str(place),
        "name": parts.name,
        "version": parts.version,
        "license": parts.license,
        "sha256": bundle_sha256(place),
        "whole": not parts.missing(),
        "parts": {part: _files(place, getattr(parts, part)) for part in _present(place)},
        "report": json.loads(report.read_text("utf-8")) if report.is_file() else None,
    }


def _files(place: Path, section: Any) -> list[dict[str, Any]]:
    return [
        {
            "file": stored.file,
            "target": getattr(stored, "target", None),
            "precision": stored.precision,
            "bytes": (place / stored.file).stat().st_size,
            "unquantised": list(stored.unquantised),
        }
        for stored in (section, *section.variants)
    ]
