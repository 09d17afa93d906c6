"""What is asked of an export of a YOLO; read and checked before anything heavy is imported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.errors import UsageError
from edge.vision.manifest import Kind
from export.yolo.classes import Choice, read_class_map

GRID: Final = 32
"""Input sides are multiples of the coarsest stride; 32 of nearly all of these networks."""

_SIZE: Final = re.compile(r"(\d{2,5})(?:x(\d{2,5}))?")


@dataclass(frozen=True)
class YoloOptions:
    """One request. :func:`options_of` makes it from the command line's words.

    Attributes:
        weights: the checkpoint.
        width, height: of the graph's input, pixels.
        given: what the user says of classes.
        thresholds: that the user sets; the others are the family's.
        name: of the bundle; the file's where empty.
        version: of the weights; from their digest where empty.
        license: SPDX expression of the weights; the checkpoint's where empty.
        unsafe: load checkpoints that can't be read without running code of theirs.
    """

    weights: Path
    width: int = 640
    height: int = 640
    given: Mapping[str, Choice] = field(default_factory=dict)
    thresholds: Mapping[Kind, float] = field(default_factory=dict)
    name: str = ""
    version: str = ""
    license: str = ""
    unsafe: bool = False


def options_of(
    weights: Path,
    *,
    size: str = "640",
    class_map: Iterable[str] = (),
    animal: float | None = None,
    person: float | None = None,
    vehicle: float | None = None,
    name: str = "",
    version: str = "",
    license: str = "",  # noqa: A002  the command's own word for it
    unsafe: bool = False,
) -> YoloOptions:
    """Read what the command line says.

    Args:
        weights: the checkpoint, a local file.
        size: ``640`` or, width first, ``640x480``.
        class_map: see :func:`export.yolo.classes.read_class_map`.
        animal: threshold, 0 to 1.
        person: threshold.
        vehicle: threshold.
        name: of the bundle.
        version: of the weights.
        license: of the weights, SPDX.
        unsafe: see :class:`YoloOptions`.

    Raises:
        UsageError: a size or threshold that can't be, weights that aren't there, or a class map that can't
            be understood.
    """
    if not weights.is_file():
        raise UsageError(
            "no such checkpoint",
            subject=str(weights),
            hint="weights are read from a local file, never fetched",
        )
    width, height = parse_size(size)
    asked: dict[Kind, float | None] = {"animal": animal, "person": person, "vehicle": vehicle}
    return YoloOptions(
        weights,
        width,
        height,
        read_class_map(class_map),
        {kind: _threshold(kind, value) for kind, value in asked.items() if value is not None},
        name or weights.stem.lower(),
        version,
        license,
        unsafe,
    )


def parse_size(text: str, grid: int = GRID) -> tuple[int, int]:
    """``640`` or ``640x480`` (width, then height) to width and height.

    Raises:
        UsageError: not a size, or not multiples of ``grid``; the hint has the nearest that are.
    """
    match = _SIZE.fullmatch(text.strip().lower())
    if match is None:
        raise UsageError(
            "not a size", subject=text, hint="a side such as 640, or width x height such as 640x480"
        )
    width, height = int(match[1]), int(match[2] or match[1])
    check_grid(width, height, grid)
    return width, height


def check_grid(width: int, height: int, grid: int) -> None:
    """Both sides are multiples of the coarsest stride.

    Raises:
        UsageError: they aren't; the hint has the nearest that are.
    """
    if width % grid or height % grid or not width or not height:
        near = "x".join(str(max(grid, round(side / grid) * grid)) for side in (width, height))
        raise UsageError(
            f"sides have to be multiples of {grid}",
            subject=f"{width}x{height}",
            hint=f"the nearest is {near}",
        )


def _threshold(kind: Kind, value: float) -> float:
    if not 0 < value < 1:
        raise UsageError("a threshold lies between 0 and 1", subject=f"{kind} = {value}")
    return value
