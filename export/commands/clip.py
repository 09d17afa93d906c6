"""``edge export clip``: a classifier of the CLIP family."""

from __future__ import annotations

from pathlib import Path

from edge.errors import UsageError
from export.commands import options
from export.commands.asked import Common, request_of
from export.commands.running import make, require
from export.network import Network
from export.progress import Progress

NEEDED = ("torch", "onnx", "transformers")


def clip_command(
    *,
    model: options.ModelOption = "",
    open_clip: options.OpenClipOption = "",
    checkpoint: options.CheckpointOption = None,
    text_model: options.TextModelOption = "",
    languages: options.LanguagesOption = "",
    crop_margin: options.CropMarginOption = 0.1,
    name: options.NameOption = "",
    license_: options.LicenseOption = "",
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
        precision=precision, target=target, calibration=calibration, evaluation=evaluation, floors=floors,
        labels=labels, companion=companion, method=method, symmetric=symmetric, per_tensor=per_tensor,
        weight_bits=weight_bits, leave_out=leave_out, whole=whole, no_remedies=no_remedies,
    )  # fmt: skip
    request = request_of(common)
    require((*NEEDED, "open_clip") if open_clip else NEEDED)
    from export.clip import Options, build_network as clip  # noqa: PLC0415 - heavy

    wanted = Options(
        model=model,
        open_clip=open_clip,
        checkpoint=checkpoint,
        text_model=text_model,
        languages=_listed(languages),
        name=name,
        license=license_,
        crop_margin=crop_margin,
    )

    def build_network(scratch: Path, progress: Progress) -> Network:
        return clip(wanted, scratch, progress.step)

    make(out, build_network, request, as_json=as_json)


def _listed(words: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in words.split(",") if word.strip())
