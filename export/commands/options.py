"""Options of the exporters, as the command line takes them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, get_args

import typer

from edge.vision.manifest import Target
from export.request import Method, Precision

PrecisionName = StrEnum("PrecisionName", {name: name for name in get_args(Precision)})  # type: ignore[misc]
TargetName = StrEnum("TargetName", {name: name for name in get_args(Target)})  # type: ignore[misc]
MethodName = StrEnum("MethodName", {name: name for name in get_args(Method)})  # type: ignore[misc]
AUTO = PrecisionName("auto")
_EXPERT = "For experts"

OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Where to; replaced if it is a bundle. Default: models/onnx/NAME.",
        show_default=False,
    ),
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Your own pictures to calibrate with; without, made-up scenes are taken.",
    ),
]
EvaluationOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Your own pictures for the gate. May be the same folder: it is split then.",
    ),
]
PrecisionOption = Annotated[
    PrecisionName, typer.Option(help="auto: the fastest form that passes; others: that one or nothing.")
]
TargetOption = Annotated[
    list[TargetName] | None,
    typer.Option(
        "--target",
        help="A machine to make files for; may be repeated. Default: this machine's processor.",
        show_default=False,
    ),
]
FloorsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="TOML with other floors; configs/export.toml has the defaults.",
    ),
]
LabelsOption = Annotated[
    str, typer.Option(metavar="NAME|FILE", help="Label set that the zero-shot agreement is measured with.")
]
WithOption = Annotated[
    str | None,
    typer.Option(
        "--with",
        metavar="BUNDLE",
        help="What completes a lone part for crops and visits. Default: the starter.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="A summary for scripts, on standard output.")]
MethodOption = Annotated[
    MethodName | None,
    typer.Option(rich_help_panel=_EXPERT, show_default=False, help="How ranges of activations are found."),
]
SymmetricOption = Annotated[
    bool | None,
    typer.Option(
        "--symmetric/--asymmetric",
        rich_help_panel=_EXPERT,
        show_default=False,
        help="Activations around zero, or from the smallest to the largest.",
    ),
]
PerTensorOption = Annotated[
    bool,
    typer.Option(
        "--per-tensor", rich_help_panel=_EXPERT, help="One scale for a layer's weights instead of many."
    ),
]
WeightBitsOption = Annotated[
    int | None,
    typer.Option(
        metavar="7|8", rich_help_panel=_EXPERT, show_default=False, help="Of weights in static int8."
    ),
]
LeaveOutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--leave-out",
        metavar="NODE",
        rich_help_panel=_EXPERT,
        show_default=False,
        help="A node that stays in fp32; may be repeated.",
    ),
]
WholeOption = Annotated[
    bool,
    typer.Option(
        "--whole-graph", rich_help_panel=_EXPERT, help="Leave nothing in fp32, known exceptions included."
    ),
]
NoRemediesOption = Annotated[
    bool,
    typer.Option("--no-remedies", rich_help_panel=_EXPERT, help="Mend nothing that misses a floor."),
]

# edge export yolo
WeightsOption = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="An ultralytics checkpoint for detection, such as yolo11n.pt.",
        show_default=False,
    ),
]
SizeOption = Annotated[
    str, typer.Option(metavar="SIDE|WIDTHxHEIGHT", help="Of the input, in multiples of 32.")
]
ClassMapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--class-map",
        metavar="NAME=KIND|FILE",
        show_default=False,
        help="What a class is: animal, person, vehicle or none; may be repeated. "
        "Default: by COCO's or MegaDetector's names.",
    ),
]
ThresholdOption = Annotated[float | None, typer.Option(min=0, max=1, show_default=False)]
VersionOption = Annotated[str, typer.Option(metavar="TEXT", help="Of the weights.", show_default=False)]
UnsafeOption = Annotated[
    bool, typer.Option("--unsafe-load", help="The file may run code; only if you trust it.")
]

# edge export yolo and clip
NameOption = Annotated[str, typer.Option(metavar="NAME", help="Of the part.", show_default=False)]
LicenseOption = Annotated[
    str,
    typer.Option(
        "--license",
        metavar="SPDX",
        help="Of the weights; default: what comes with them says.",
        show_default=False,
    ),
]

# edge export clip
ModelOption = Annotated[
    str,
    typer.Option(
        metavar="NAME|DIR",
        help="A CLIP in the transformers layout, by its name on the hub or a local folder.",
        show_default=False,
    ),
]
OpenClipOption = Annotated[
    str,
    typer.Option(
        metavar="ARCH", help="An architecture of open_clip instead, with --checkpoint.", show_default=False
    ),
]
CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", exists=True, dir_okay=False, help="Weights for --open-clip.", show_default=False
    ),
]
TextModelOption = Annotated[
    str,
    typer.Option(
        metavar="NAME|DIR",
        help="A text tower for more languages in the same space: multilingual CLIP.",
        show_default=False,
    ),
]
LanguagesOption = Annotated[
    str,
    typer.Option(metavar="en,de,…", help="That texts may be in; default: the model's.", show_default=False),
]
CropMarginOption = Annotated[
    float, typer.Option(min=0, max=1, help="Added to a box on each side, as a share of its longer side.")
]

# edge export starter
SourceOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", exists=True, file_okay=False, help="Packages as downloaded; nothing is fetched then."
    ),
]
CheckOption = Annotated[
    bool,
    typer.Option("--check", help="Rebuild, compare with --out, write nothing; exit 1 if they differ."),
]

# edge export bundle
_SIDE = "a bundle's name, a bundle's folder, or the folder of a part"
DetectorOption = Annotated[
    str, typer.Option(metavar="DIR", help=f"Whose detector is taken: {_SIDE}.", show_default=False)
]
ClassifierOption = Annotated[
    str,
    typer.Option(metavar="DIR", help=f"Whose visual and text towers are taken: {_SIDE}.", show_default=False),
]
BundleNameOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of the bundle. Default: both names.", show_default=False),
]
ReferenceOption = Annotated[
    str | None,
    typer.Option(
        metavar="BUNDLE",
        help="The same bundle in fp32; visits are compared with its, and have to reach the floors.",
        show_default=False,
    ),
]
