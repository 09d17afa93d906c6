"""``edge export bundle``: two folders become one bundle, tested and looked through as a whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import GateError, UsageError
from edge.registration import Observation, Options, register
from edge.vision.labels import load_label_set
from edge.vision.manifest import PARTS, Manifest, ModelFile, Stored, load_manifest, verify_files
from export import evaluation, gate, join, visits
from export.assembly import self_test
from export.floors import VisitFloors
from export.measure import plain
from export.progress import Progress


@dataclass(frozen=True)
class Asked:
    """What the bundle is to be.

    Attributes:
        name: of the bundle.
        evaluation: folder with images for the visits; None takes made-up scenes.
        labels: label set that animals are named by.
        floors: how many visits may differ from the reference's.
        reference: the same bundle in fp32, made of the same sources; without one, visits are only counted.
            What each half loses was measured when it was made.
    """

    name: str
    evaluation: Path | None
    labels: str
    floors: VisitFloors
    reference: Path | None


def build(folder: Path, detector: Path, classifier: Path, asked: Asked, progress: Progress) -> None:
    """Join, test, look through, report.

    Args:
        folder: an existing, empty folder.
        detector: folder whose detector is taken.
        classifier: folder whose towers are taken.
        asked: name, images, floors.
        progress: told of what goes on.

    Raises:
        BundleError: a side is no bundle, or its files differ from its manifest.
        ExportError: a side lacks what is wanted of it.
        UsageError: the reference isn't the same bundle in fp32.
        ProviderError: a file fails its self-test.
        GateError: visits differ from the reference's by more than the floors allow.
    """
    progress.step("joining the halves")
    manifest = join.join(folder, detector, classifier, asked.name)
    require_twin(manifest, asked.reference)
    progress.step("running the self-test")
    cosines = self_test(folder, manifest)
    _, material = evaluation.gather(None, asked.evaluation, tick=progress.tick)
    frames = material.frames()
    progress.step("looking at visits")
    ours = _observed(folder, frames, asked, progress)
    seen = _against_reference(ours, frames, asked, progress)
    progress.step("writing the report")
    join.keep_reports(folder, {"detector": detector, "classifier": classifier})
    content = {
        "bundle": manifest.name,
        "version": manifest.version,
        "joined": {"detector": _said(detector), "classifier": _said(classifier)},
        "images": material.provenance.kind,
        "image_count": material.provenance.count,
        "self_test": {file: float(f"{value:.5g}") for file, value in cosines.items()},
        "registrations": len(register([each for each in ours if each.count], Options())),
        "visits": seen,
        "held_back": join.held_back(manifest),
    }
    (folder / "report.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    (folder / "report.md").write_text(markdown(content), "utf-8")


def require_twin(manifest: Manifest, reference: Path | None) -> None:
    """Whether a reference is what a bundle's losses can be told by: itself, in fp32.

    Raises:
        BundleError: the reference is no bundle, or its files differ from its manifest.
        UsageError: a part of it isn't fp32, or it is another bundle.
    """
    if reference is None:
        return
    twin = load_manifest(reference)
    verify_files(reference, twin)
    for part in PARTS:
        ours, theirs = getattr(manifest, part), getattr(twin, part)
        if theirs.precision != "fp32":
            what, hint = f"{part} is {theirs.precision}", "export it with --precision fp32"
            raise UsageError(f"reference isn't in fp32: {what}", subject=str(reference), hint=hint)
        if differ := [key for key, value in _said_of(ours).items() if value != _said_of(theirs)[key]]:
            hint = f"{part} differs in {', '.join(differ)}"
            raise UsageError("reference is another bundle", subject=str(reference), hint=hint)
    if {each.sha256 for each in manifest.sources} != {each.sha256 for each in twin.sources}:
        raise UsageError(
            "reference is another bundle", subject=str(reference), hint="it was made of other sources"
        )


def _said_of(section: ModelFile) -> dict[str, Any]:
    """What a section says of its graph, whatever the form that it is stored in."""
    return section.model_dump(exclude={*Stored.model_fields, "variants"})


def _observed(
    bundle: Path, frames: Sequence[evaluation.Frame], asked: Asked, progress: Progress
) -> list[Observation]:
    return visits.observe(bundle, frames, load_label_set(asked.labels), progress.tick)


def _against_reference(
    ours: Sequence[Observation], frames: Sequence[evaluation.Frame], asked: Asked, progress: Progress
) -> dict[str, Any] | None:
    if asked.reference is None:
        return None
    progress.step("looking at visits of the reference")
    seen = visits.compare(_observed(asked.reference, frames, asked, progress), ours)
    if lacking := gate.visit_shortfalls(seen, asked.floors):
        hint = ", ".join(f"visits.{floor}" for floor in lacking)
        raise GateError("visits differ from those of the reference", subject=asked.name, hint=hint)
    counts = ("reference", "lost", "added", "relabelled", "recounted")
    return {key: value for key, value in plain(seen).items() if key in counts}


def _said(folder: Path) -> Any:
    """What a side's own export reported."""
    path = folder / "report.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def markdown(content: dict[str, Any]) -> str:
    """The report for people."""
    lines = [
        f"# {content['bundle']} {content['version']}: joined",
        "",
        "What each half lost to its precision was measured when it was made:",
        "",
    ]
    for side, said in content["joined"].items():
        where = f"[{said.get('bundle', side)}]({join.REPORTS}/{side}/report.md)" if said else "no report"
        lines.append(f"- {side}: {where}")
    lines += [
        "",
        "The self-test on this machine's processor, worst cosine with fp32 by file:",
        "",
        *(f"- {file}: {cosine:.4f}" for file, cosine in content["self_test"].items()),
        "",
        *(f"**Note:** {said}.\n" for said in content["held_back"]),
        f"{content['image_count']} images ({content['images']}): {content['registrations']} registrations.",
    ]
    seen = content["visits"]
    if seen is None:
        lines.append("No fp32 twin was given to compare them with (`--reference`).")
    else:
        differ = ", ".join(f"{what} {seen[what]}" for what in ("lost", "added", "relabelled", "recounted"))
        lines.append(f"Against the fp32 twin's {seen['reference']}: {differ}.")
    return "\n".join(lines) + "\n"
