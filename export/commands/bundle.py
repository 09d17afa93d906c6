"""``edge export bundle``: a detector and a classifier become one bundle."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from edge.errors import UsageError
from edge.vision.manifest import load_manifest, load_parts
from export.commands import options
from export.commands.asked import bundle_of, floors_of, labels_of
from export.commands.running import BUNDLES, err, tell, working
from export.manifest import bundle_folder, check_out


def bundle_command(
    *,
    detector: options.DetectorOption,
    classifier: options.ClassifierOption,
    name: options.BundleNameOption = None,
    out: options.OutOption = None,
    evaluation: options.EvaluationOption = None,
    labels: options.LabelsOption = "north-america",
    reference: options.ReferenceOption = None,
    floors: options.FloorsOption = None,
    as_json: options.JsonOption = False,
) -> None:
    """Join a detector with a classifier.

    Examples:
        edge export bundle --detector models/onnx/yolo11n --classifier starter --name trap
        edge export bundle --detector models/onnx/mdv6 --classifier models/onnx/clip --out /tmp/both
    """
    sides = bundle_of("--detector", detector), bundle_of("--classifier", classifier)
    labels_of(labels)
    kept = floors_of(floors)
    called = name or f"{load_parts(sides[1]).name}-{load_parts(sides[0]).name}"
    target = _target(called, out, sides)
    wanted = bundle_of("--reference", reference) if reference else None
    check_out(target)
    from export import join, joining  # noqa: PLC0415 - heavy, and help has to be fast

    asked = joining.Asked(called, evaluation, labels, kept.visits, wanted)
    with working(target) as (_, progress), bundle_folder(target) as building:
        joining.build(building, *sides, asked, progress)
    for said in join.held_back(load_manifest(target)):
        err.print(f"[yellow]Note:[/] {escape(said)}", highlight=False, soft_wrap=True)
    tell(target, as_json=as_json)


def _target(name: str, out: Path | None, sides: tuple[Path, Path]) -> Path:
    """Where a bundle goes.

    Raises:
        UsageError: its name is none, or it would take the place of one of its halves.
    """
    if not name or Path(name).name != name:
        raise UsageError("not a name for a bundle", subject=name)
    target = out or BUNDLES / name
    if target.resolve() in {each.resolve() for each in sides}:
        raise UsageError("a bundle can't be joined into one of its halves", subject=str(target))
    return target
