"""Options that every exporter has, and what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from edge.errors import ExportError, UsageError
from edge.vision.bundles import find_bundle
from edge.vision.labels import load_label_set
from edge.vision.manifest import Target
from export.floors import load_floors
from export.network import Network
from export.progress import Progress
from export.request import Method, Options, Precision, Request

if TYPE_CHECKING:
    from export.pictures import Image

PrecisionName = StrEnum("PrecisionName", {name: name for name in get_args(Precision)})  # type: ignore[misc]
TargetName = StrEnum("TargetName", {name: name for name in get_args(Target)})  # type: ignore[misc]
MethodName = StrEnum("MethodName", {name: name for name in get_args(Method)})  # type: ignore[misc]
BuildNetwork = Callable[[Path, Progress], Network]
"""Makes an fp32 network in a scratch folder."""

AUTO = PrecisionName("auto")
_EXPERT = "For experts"
_WEIGHT_BITS = (7, 8)
_FEW, _SIDE = 8, 1280  # pictures for the comparison with the framework, and how large they have to be

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


@dataclass(frozen=True)
class Common:
    """The options as they were given."""

    precision: PrecisionName = AUTO
    target: list[TargetName] | None = None
    calibration: Path | None = None
    evaluation: Path | None = None
    floors: Path | None = None
    labels: str = "north-america"
    companion: str | None = None
    method: MethodName | None = None
    symmetric: bool | None = None
    per_tensor: bool = False
    weight_bits: int | None = None
    leave_out: list[str] | None = None
    whole: bool = False
    no_remedies: bool = False


def request_of(common: Common) -> Request:
    """What the options ask for; everything that can be checked without heavy libraries is checked.

    Raises:
        ConfigError: floors or label set can't be read.
        BundleError: there is no such companion.
        UsageError: options that can't be together.
    """
    load_label_set(common.labels)
    precision = cast("Precision", common.precision.value)
    targets = tuple(cast("Target", target.value) for target in common.target or ())
    _require_forms(precision, targets)
    return Request(
        precision=precision,
        targets=targets,
        calibration=common.calibration,
        evaluation=common.evaluation,
        labels=common.labels,
        companion=find_bundle(common.companion) if common.companion else None,
        floors=load_floors(common.floors),
        options=_options(common),
    )


def _require_forms(precision: Precision, targets: Sequence[Target]) -> None:
    """Whether a precision exists for all targets, whatever the network: said now, not in a minute."""
    from export.recipes import routes  # noqa: PLC0415 - heavy

    for target in targets:
        try:
            routes("", target, precision)
        except ExportError as error:
            wanted = f"--precision {precision} --target {target}"
            raise UsageError(error.what, subject=wanted, hint=error.hint) from error


def _options(common: Common) -> Options:
    if common.weight_bits not in (None, *_WEIGHT_BITS):
        raise UsageError("weights take 7 or 8 bits", subject=f"--weight-bits {common.weight_bits}")
    if common.whole and common.leave_out:
        raise UsageError("either --whole-graph or --leave-out")
    return Options(
        method=cast("Method", common.method.value) if common.method else None,
        symmetric=common.symmetric,
        per_channel=not common.per_tensor,
        weight_bits=7 if common.weight_bits == 7 else 8 if common.weight_bits == 8 else None,
        leave_out=tuple(common.leave_out or ()),
        whole=common.whole,
        remedies=not common.no_remedies,
    )


def few_images(folder: Path | None, progress: Progress) -> Sequence[Image]:
    """A few of the user's own pictures, for comparing fp32 with the framework; none without a folder."""
    if folder is None:
        return ()
    from export import choice, pictures  # noqa: PLC0415 - heavy

    return pictures.images(choice.choose(folder, _FEW, step=progress.tick).pictures, (_SIDE, _SIDE))
