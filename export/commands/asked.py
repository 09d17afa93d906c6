"""What the options that every exporter has ask for; whatever is wrong with them is said at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edge.errors import BundleError, ConfigError, ExportError, UsageError
from edge.vision.bundles import find_bundle
from edge.vision.labels import load_label_set
from edge.vision.manifest import Target
from export.commands.options import AUTO, MethodName, PrecisionName, TargetName
from export.floors import Floors, load_floors
from export.network import Network
from export.progress import Progress
from export.request import Method, Options, Precision, Request

if TYPE_CHECKING:
    from export.pictures import Image

BuildNetwork = Callable[[Path, Progress], Network]
"""Makes an fp32 network in a scratch folder."""

_WEIGHT_BITS = (7, 8)
_FEW, _SIDE = 8, 1280  # pictures for the comparison with the framework, and how large they have to be


@dataclass(frozen=True, kw_only=True)
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
        UsageError: a label set, companion or file of floors that can't be used, or options that can't be
            together.
    """
    labels_of(common.labels)
    precision = cast("Precision", common.precision.value)
    targets = tuple(cast("Target", target.value) for target in common.target or ())
    _require_forms(precision, targets)
    return Request(
        precision=precision,
        targets=targets,
        calibration=common.calibration,
        evaluation=common.evaluation,
        labels=common.labels,
        companion=bundle_of("--with", common.companion) if common.companion else None,
        floors=floors_of(common.floors),
        options=_options(common),
    )


def labels_of(name: str) -> str:
    """A label set's name or file, which can be read.

    Raises:
        UsageError: it can't.
    """
    with _value_of("--labels"):
        load_label_set(name)
    return name


def floors_of(path: Path | None) -> Floors:
    """Floors from a file, or the defaults.

    Raises:
        UsageError: they can't be understood.
    """
    with _value_of("--floors"):
        return load_floors(path)


def bundle_of(option: str, name: str) -> Path:
    """The folder of a bundle or part that an option names.

    Raises:
        UsageError: there is none.
    """
    with _value_of(option):
        return find_bundle(name)


@contextmanager
def _value_of(option: str) -> Iterator[None]:
    """What is wrong with an option's value is a wrong call, whatever it would be on the device."""
    try:
        yield
    except (ConfigError, BundleError) as error:
        raise UsageError(error.what, subject=f"{option} {error.subject}", hint=error.hint) from error


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
