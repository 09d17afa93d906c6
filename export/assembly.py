"""From an fp32 network to a bundle that was measured: the one way for every exporter.

1. fp32 against the framework.
2. For each part and target: try, measure, take the fastest form that passes.
3. Write the folder, its self-test samples and its manifest.
4. Test every file as the device will.
5. Compare visits with those of the fp32 twin.
6. Report.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edge.errors import GateError
from edge.registration import Observation
from edge.vision.manifest import ModelFile, Parts, Target
from edge.vision.selftest import check, floor_of, load_golden
from edge.vision.session import Model
from export import evaluation, findings, gate, golden, join, recipes, report, sensitivity, visits
from export.exam import Setting, check_network
from export.folder import (
    PartFiles,
    StoredGraph,
    place,
    plain_files,
    whole,
    write_folder,
)
from export.gate import Candidate, Choice, Ranking, Rules
from export.manifest import write_manifest
from export.network import Network, PartName
from export.progress import Progress
from export.quantise import Material
from export.quantise.graphs import by_layer
from export.request import CPUS, Request, native
from export.trial import Examiner

TWIN = "fp32 twin"


def build(folder: Path, network: Network, request: Request, progress: Progress) -> None:
    """Make a bundle, or the folder of some parts of one, of an fp32 network.

    Args:
        folder: an existing, empty folder; on any error its content is worth nothing.
        network: fp32 graphs and what the gate has to know of them.
        request: precisions, targets, images, floors.
        progress: told of what goes on.

    Raises:
        ExportError: the network isn't something that a bundle can be made of, or images can't be used.
        GateError: a floor wasn't reached.
        BundleError: a file that was written fails its self-test.
        ProviderError: the same, on this machine's processor.
    """
    start = time.monotonic()
    check_network(network)
    differences = {part: draft.difference for part, draft in network.drafts.items()}
    gate.require_framework(differences, request.floors.framework)
    with tempfile.TemporaryDirectory(prefix="edge-assembly-") as name:
        scratch = Path(name)
        progress.step("choosing images")
        ours, theirs = evaluation.gather(request.calibration, request.evaluation, tick=progress.tick)
        setting = Setting(network, request, scratch, progress, ours, theirs)
        choices = _choices(setting)
        progress.step("writing the files")
        manifest = _write(folder, scratch, setting, choices)
        progress.step("running the self-test")
        self_test(folder, manifest)
        seen = _visits(folder, scratch, setting, manifest) if choices else None
        progress.step("writing the report")
        found = findings.Findings(
            manifest=manifest,
            request=request,
            differences=differences,
            choices=choices,
            visits=seen,
            calibration=ours.provenance,
            evaluation=theirs.provenance,
            reference_bytes={part: draft.graph.stat().st_size for part, draft in network.drafts.items()},
            seconds=time.monotonic() - start,
        )
        report.write(folder, found)


def _choices(setting: Setting) -> list[Choice]:
    if setting.request.precision == "fp32":
        return []
    return [choice for part in setting.network.drafts for choice in _part_choices(setting, part)]


def targets_of(part: PartName, request: Request) -> tuple[Target, ...]:
    """Targets that a part gets files for, the main one first; texts are embedded on the processor."""
    asked = (request.main(), *request.others())
    if part != "text":
        return asked
    return tuple(target for target in asked if target in CPUS) or (native(),)


def _part_choices(setting: Setting, part: PartName) -> Iterator[Choice]:
    """One part for each target; calibration and the fp32 answers are shared."""
    import onnx  # noqa: PLC0415

    setting.progress.step(f"preparing {part}")
    samples = setting.samples(part)
    examiner = setting.examiner(part, samples)
    draft = setting.network.drafts[part]
    kept = recipes.left_out_of(draft.traits, setting.request.options)
    material = Material(onnx.load(draft.graph), samples, kept)
    for target in targets_of(part, setting.request):
        setting.progress.step(f"choosing a form of {part} for {target}")
        yield _choice(setting, part, target, examiner, material)


def _choice(
    setting: Setting, part: PartName, target: Target, examiner: Examiner, material: Material
) -> Choice:
    request, traits = setting.request, setting.network.drafts[part].traits

    def find() -> Sequence[tuple[str, float]]:
        setting.progress.step(f"looking for the most sensitive nodes of {part}")
        return sensitivity.ranking(
            material,
            examiner.loss,
            traits=traits,
            target=target,
            options=request.options,
            progress=setting.progress,
        )

    ranking = Ranking(find)
    candidates = recipes.candidates(
        traits,
        material,
        part=part,
        target=target,
        precision=request.precision,
        options=request.options,
        ranking=ranking,
    )
    floors = request.floors
    quality = floors.detector if part == "detector" else floors.visual if part == "visual" else floors.text
    rules = Rules(quality, floors.cost, judged=request.timed and target == native())
    wanted = _told(_only(candidates, request, part), setting.progress, part)
    try:
        return gate.choose(part, target, wanted, examiner, rules, ranking=ranking)
    except GateError as error:
        raise _explained(error, setting.ours.blank()) from error


def _explained(error: GateError, blank: str) -> GateError:
    """The same error; with what is wrong with the images for calibration, where something is."""
    return GateError(error.what, subject=error.subject, hint=f"{error.hint}; {blank}") if blank else error


def _only(candidates: Iterator[Candidate], request: Request, part: PartName) -> Iterator[Candidate]:
    """Those that were asked for: by name, where one is pinned; without remedies, where none are wanted."""
    for candidate in candidates:
        name = request.pinned.get(f"{part} for {candidate.target}", request.pinned.get(part))
        if name is not None and candidate.precision != name:
            if _kind(candidate.precision) == _kind(name):
                yield from (remedy for remedy in candidate.remedies() if remedy.precision == name)
        elif not request.options.remedies:
            yield replace(candidate, remedies=lambda: iter(()))
        else:
            yield candidate


def _kind(precision: str) -> str:
    """``int8 QDQ`` of ``int8 QDQ, 2 nodes fp32``: a way and its remedies share it."""
    return precision.partition(",")[0]


def _told(candidates: Iterator[Candidate], progress: Progress, part: PartName) -> Iterator[Candidate]:
    """The same candidates, each said when it is built."""

    def told(candidate: Candidate) -> Candidate:
        def build() -> object:
            progress.step(f"trying {part} as {candidate.precision} for {candidate.target}")
            return candidate.build()

        return replace(candidate, build=build, remedies=lambda: map(told, candidate.remedies()))

    return map(told, candidates)


def _write(folder: Path, scratch: Path, setting: Setting, choices: Sequence[Choice]) -> Parts:
    network = setting.network
    samples = scratch / "golden.npz"
    drafts = network.drafts
    graphs: dict[str, Path] = {part: draft.graph for part, draft in drafts.items()}
    golden.write_golden(samples, graphs, {part: draft.golden for part, draft in drafts.items()})
    twin = scratch / TWIN
    twin.mkdir()
    write_folder(twin, network, plain_files(network), samples)
    return write_folder(folder, network, _files(setting, choices), samples)


def _files(setting: Setting, choices: Sequence[Choice]) -> dict[PartName, PartFiles]:
    if not choices:
        return plain_files(setting.network)
    files: dict[PartName, PartFiles] = {}
    for part in setting.network.drafts:
        main, *others = (choice for choice in choices if choice.part == part)
        own = others if main.target in CPUS else [main, *others]  # accelerators look for theirs by name
        files[part] = PartFiles(_stored(main), {choice.target: _stored(choice) for choice in own})
    return files


def _stored(choice: Choice) -> StoredGraph:
    candidate = choice.chosen.candidate
    left_out = by_layer(candidate.unquantised)
    return StoredGraph(choice.chosen.file, candidate.precision, left_out, candidate.why)


def self_test(folder: Path, manifest: Parts) -> dict[str, float]:
    """Run the golden samples through every file of every part, on this machine's processor.

    Returns:
        the worst cosine of each file.

    Raises:
        ProviderError: a file's answers differ from fp32's.
        BundleError: a file isn't what its manifest says.
    """
    cosines = {}
    for part in ("detector", "visual", "text"):
        section = getattr(manifest, part)
        if section is None:
            continue
        samples = load_golden(folder, manifest, (part,))[part]
        for file in section.files():
            cosines[file] = check(Model(folder / file), samples, floor_of(manifest, part))
    return cosines


def _visits(folder: Path, scratch: Path, setting: Setting, manifest: Parts) -> visits.Visits:
    """Visits of the main files against the twin's; those of other targets are judged as well.

    Raises:
        GateError: too many of them differ.
    """
    targets: set[Target] = {
        variant.target
        for section in _sections(manifest)
        for variant in section.variants
        if variant.file != section.file
    }
    setting.progress.step("looking at visits in fp32")
    frames = setting.theirs.frames()
    reference = _observed(scratch / TWIN, frames, setting, scratch / "twin, whole")
    seen = {}
    for target in (None, *sorted(targets)):
        setting.progress.step(f"looking at visits, files for {target}" if target else "looking at visits")
        ours = folder if target is None else view(folder, manifest, target, scratch / f"for {target}")
        got = _observed(ours, frames, setting, scratch / f"whole, {target}")
        seen[target] = visits.compare(reference, got)
        require_visits(seen[target], setting.request, manifest.name)
    return seen[None]


def require_visits(seen: visits.Visits, request: Request, name: str) -> None:
    """Compare visits with their floors.

    Raises:
        GateError: more of them differ than the floors allow.
    """
    lacking = gate.visit_shortfalls(seen, request.floors.visits)
    if lacking:
        hint = ", ".join(f"visits.{floor}" for floor in lacking)
        raise GateError("visits differ from those of fp32", subject=name, hint=hint)


def _sections(manifest: Parts) -> list[ModelFile]:
    return [part for part in (manifest.detector, manifest.visual, manifest.text) if part is not None]


def _observed(
    folder: Path, frames: Sequence[evaluation.Frame], setting: Setting, scratch: Path
) -> list[Observation]:
    """What a folder sees; a lone part is completed by the companion."""
    bundle = complete(folder, setting, scratch)
    return visits.observe(bundle, frames, setting.labels, setting.progress.tick)


def complete(folder: Path, setting: Setting, scratch: Path) -> Path:
    """The folder itself if it is a whole bundle, else a whole one made of it and the companion."""
    if set(setting.network.drafts) == {"detector", "visual", "text"}:
        return folder
    scratch.mkdir()
    lone = "detector" in setting.network.drafts
    sides = (folder, setting.companion) if lone else (setting.companion, folder)
    join.join(scratch, *sides, name="completed", put=place)
    return scratch


def view(folder: Path, manifest: Parts, target: Target, scratch: Path) -> Path:
    """The same bundle as one target sees it: its files in the place of those that run everywhere."""
    scratch.mkdir()
    for path in folder.iterdir():
        if path.is_file():
            place(path, scratch / path.name)
    changes = {}
    for part in ("detector", "visual", "text"):
        section = getattr(manifest, part)
        if section is not None:
            stored = section.stored_for(target)
            changes[part] = section.model_copy(update={**dict(stored), "variants": ()})
    (scratch / "manifest.toml").unlink()
    write_manifest(scratch, whole(manifest.model_copy(update=changes)))
    return scratch
