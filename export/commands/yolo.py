"""``edge export yolo``: a detector of the YOLO family."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from export.commands import options
from export.commands.options import Common, request_of
from export.commands.running import make, require
from export.network import Network
from export.progress import Progress

NEEDED = ("torch", "onnx", "ultralytics")


def yolo_command(
    *,
    weights: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="An ultralytics checkpoint for detection, such as yolo11n.pt.",
            show_default=False,
        ),
    ],
    out: options.OutOption = None,
    size: Annotated[
        str, typer.Option(metavar="SIDE|WIDTHxHEIGHT", help="Of the input, in multiples of 32.")
    ] = "640",
    class_map: Annotated[
        list[str] | None,
        typer.Option(
            "--class-map",
            metavar="NAME=KIND|FILE",
            show_default=False,
            help="What a class is: animal, person, vehicle or none; may be repeated. "
            "Default: by COCO's or MegaDetector's names.",
        ),
    ] = None,
    threshold_animal: Annotated[float | None, typer.Option(min=0, max=1, show_default=False)] = None,
    threshold_person: Annotated[float | None, typer.Option(min=0, max=1, show_default=False)] = None,
    threshold_vehicle: Annotated[float | None, typer.Option(min=0, max=1, show_default=False)] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="Of the part.", show_default=False)] = "",
    version: Annotated[str, typer.Option(metavar="TEXT", help="Of the weights.", show_default=False)] = "",
    license_: Annotated[
        str,
        typer.Option(
            "--license", metavar="SPDX", help="Of the weights; default: the file's own.", show_default=False
        ),
    ] = "",
    unsafe_load: Annotated[
        bool, typer.Option("--unsafe-load", help="The file may run code; only if you trust it.")
    ] = False,
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
    """Make a detector of an ultralytics checkpoint: YOLOv8 to 26, RT-DETR, MegaDetector v6.

    Examples:
        edge export yolo --weights yolo11n.pt --calibration ~/trap-pictures
        edge export yolo --weights yolo11n.pt --size 640x480 --target x86 --target tensorrt
        edge export yolo --weights wolves.pt --class-map wolf=animal --class-map jeep=vehicle
        edge export bundle --detector models/onnx/yolo11n --classifier starter
    """
    common = Common(
        precision, target, calibration, evaluation, floors, labels, companion,
        method, symmetric, per_tensor, weight_bits, leave_out, whole, no_remedies,
    )  # fmt: skip
    request = request_of(common)
    require(NEEDED)
    from export.yolo.options import options_of  # noqa: PLC0415 - heavy

    wanted = options_of(
        weights=weights,
        size=size,
        class_map=tuple(class_map or ()),
        license=license_,
        name=name,
        version=version,
        animal=threshold_animal,
        person=threshold_person,
        vehicle=threshold_vehicle,
        unsafe=unsafe_load,
    )

    def build_network(scratch: Path, progress: Progress) -> Network:
        from export.yolo import build_network as yolo  # noqa: PLC0415 - heavy

        return yolo(wanted, scratch, progress.step, options.few_images(evaluation, progress))

    make(out, build_network, request, as_json=as_json)
