"""``edge export clip``: a classifier of the CLIP family."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.errors import UsageError
from export.commands import options
from export.commands.options import Common, request_of
from export.commands.running import make, require
from export.network import Network
from export.progress import Progress

NEEDED = ("torch", "onnx", "transformers")


def clip_command(
    *,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|DIR",
            help="A CLIP in the transformers layout, by its name on the hub or a local folder.",
            show_default=False,
        ),
    ] = "",
    open_clip: Annotated[
        str,
        typer.Option(
            metavar="ARCH",
            help="An architecture of open_clip instead, with --checkpoint.",
            show_default=False,
        ),
    ] = "",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Weights for --open-clip.",
            show_default=False,
        ),
    ] = None,
    text_model: Annotated[
        str,
        typer.Option(
            metavar="NAME|DIR",
            help="A text tower for more languages in the same space: multilingual CLIP.",
            show_default=False,
        ),
    ] = "",
    languages: Annotated[
        str,
        typer.Option(
            metavar="en,de,…", help="That texts may be in; default: the model's.", show_default=False
        ),
    ] = "",
    crop_margin: Annotated[
        float, typer.Option(min=0, max=1, help="Added to a box on each side, as a share of its longer side.")
    ] = 0.1,
    name: Annotated[str, typer.Option(metavar="NAME", help="Of the part.", show_default=False)] = "",
    license_: Annotated[
        str,
        typer.Option(
            "--license", metavar="SPDX", help="Of the weights; default: the folder's own.", show_default=False
        ),
    ] = "",
    out: options.OutOption = None,
    precision: options.PrecisionOption = options.AUTO,
    target: options.TargetOption = None,
    calibration: options.CalibrationOption = None,
    evaluation: options.EvaluationOption = None,
    floors: options.FloorsOption = None,
    labels: options.LabelsOption = "north-america",
    companion: options.WithOption = None,
    method: options.MethodOption = None,
    symmetric: options.SymmetricOption = None,
    per_tensor: options.PerTensorOption = False,
    weight_bits: options.WeightBitsOption = None,
    leave_out: options.LeaveOutOption = None,
    whole: options.WholeOption = False,
    no_remedies: options.NoRemediesOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Make visual and text towers of a CLIP model.

    Examples:
        edge export clip --model openai/clip-vit-base-patch32
        edge export clip --model ~/models/clip-vit-large-patch14 --evaluation ~/trap-pictures
        edge export clip --open-clip MobileCLIP-S1 --checkpoint mobileclip_s1.pt
        edge export bundle --detector models/onnx/yolo11n --classifier models/onnx/clip-vit-base-patch32
    """
    if bool(model) == bool(open_clip):
        raise UsageError("either --model or --open-clip", hint="edge export clip --help has examples")
    common = Common(
        precision, target, calibration, evaluation, floors, labels, companion,
        method, symmetric, per_tensor, weight_bits, leave_out, whole, no_remedies,
    )  # fmt: skip
    request = request_of(common)
    require((*NEEDED, "open_clip") if open_clip else NEEDED)
    from export.clip import Options, build_network as clip  # noqa: PLC0415 - heavy

    wanted = Options(
        model=model,
        open_clip=open_clip,
        checkpoint=checkpoint,
        text_model=text_model,
        languages=tuple(part.strip() for part in languages.split(",") if part.strip()),
        name=name,
        license=license_,
        crop_margin=crop_margin,
    )

    def build_network(scratch: Path, progress: Progress) -> Network:
        return clip(wanted, scratch, progress.step)

    make(out, build_network, request, as_json=as_json)
