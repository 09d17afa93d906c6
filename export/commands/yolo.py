"""``edge export yolo``: a detector of the YOLO family."""

from __future__ import annotations

from pathlib import Path

from export.commands import options
from export.commands.asked import Common, few_images, request_of
from export.commands.running import make, require
from export.network import Network
from export.progress import Progress

NEEDED = ("torch", "onnx", "ultralytics")


def yolo_command(
    *,
    weights: options.WeightsOption,
    out: options.OutOption = None,
    size: options.SizeOption = "640",
    class_map: options.ClassMapOption = None,
    threshold_animal: options.ThresholdOption = None,
    threshold_person: options.ThresholdOption = None,
    threshold_vehicle: options.ThresholdOption = None,
    name: options.NameOption = "",
    version: options.VersionOption = "",
    license_: options.LicenseOption = "",
    unsafe_load: options.UnsafeOption = False,
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
        precision=precision, target=target, calibration=calibration, evaluation=evaluation, floors=floors,
        labels=labels, companion=companion, method=method, symmetric=symmetric, per_tensor=per_tensor,
        weight_bits=weight_bits, leave_out=leave_out, whole=whole, no_remedies=no_remedies,
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

        return yolo(wanted, scratch, progress.step, few_images(evaluation, progress))

    make(out, build_network, request, as_json=as_json)
