"""``edge export bundle``: a detector and a classifier become one bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.errors import UsageError
from edge.vision.bundles import find_bundle as side
from edge.vision.labels import load_label_set
from edge.vision.manifest import load_parts
from export.commands import options
from export.commands.running import BUNDLES, tell, working
from export.floors import load_floors
from export.manifest import bundle_folder, check_out

SIDE = "a bundle's name, a bundle's folder, or the folder of a part"


def bundle_command(
    *,
    detector: Annotated[
        str, typer.Option(metavar="DIR", help=f"Whose detector is taken: {SIDE}.", show_default=False)
    ],
    classifier: Annotated[
        str,
        typer.Option(
            metavar="DIR", help=f"Whose visual and text towers are taken: {SIDE}.", show_default=False
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of the bundle. Default: both names.", show_default=False),
    ] = None,
    out: options.OutOption = None,
    evaluation: options.EvaluationOption = None,
    labels: options.LabelsOption = "north-america",
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="BUNDLE",
            help="The same bundle in fp32; visits are compared with its, and have to reach the floors.",
            show_default=False,
        ),
    ] = None,
    floors: options.FloorsOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Join a detector with a classifier.

    Examples:
        edge export bundle --detector models/onnx/yolo11n --classifier starter --name trap
        edge export bundle --detector models/onnx/mdv6 --classifier models/onnx/clip --out /tmp/both
    """
    sides = side(detector), side(classifier)
    load_label_set(labels)
    kept = load_floors(floors)
    called = name or f"{load_parts(sides[1]).name}-{load_parts(sides[0]).name}"
    if not called or Path(called).name != called:
        raise UsageError("not a name for a bundle", subject=called)
    target = out or BUNDLES / called
    if target.resolve() in {each.resolve() for each in sides}:
        raise UsageError("a bundle can't be joined into one of its halves", subject=str(target))
    wanted = side(reference) if reference else None
    check_out(target)
    from export import joining  # noqa: PLC0415 - heavy, and help has to be fast

    asked = joining.Asked(called, evaluation, labels, kept.visits, wanted)
    with working(target) as (_, progress), bundle_folder(target) as building:
        joining.build(building, *sides, asked, progress)
    tell(target, as_json=as_json)
