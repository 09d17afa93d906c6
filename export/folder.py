"""Files of a network to the folder of a bundle, or of some parts of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import ExportError
from edge.vision.manifest import Detector, Golden, Manifest, Parts, Target, Text, Variant, Visual
from export.manifest import digest, write_manifest
from export.network import Draft, Network, PartName
from export.request import CPUS

GOLDEN, TOKENIZER, LICENSES, NOTICE = "golden.npz", "tokenizer.json", "LICENSES", "NOTICE"


@dataclass(frozen=True)
class StoredGraph:
    """One file of a graph, and how its numbers are kept."""

    path: Path
    precision: str = "fp32"
    unquantised: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class PartFiles:
    """Every file of one graph: the one that runs everywhere, and those for certain machines."""

    main: StoredGraph
    variants: Mapping[Target, StoredGraph]


def plain_files(network: Network) -> dict[PartName, PartFiles]:
    """The network as it is, in fp32."""
    return {part: PartFiles(StoredGraph(draft.graph), {}) for part, draft in network.drafts.items()}


def write_folder(folder: Path, network: Network, files: Mapping[PartName, PartFiles], golden: Path) -> Parts:
    """Write everything but the report into an existing folder.

    Args:
        folder: where to.
        network: that the files are of.
        files: by part.
        golden: the self-test's samples.

    Returns:
        the manifest: a :class:`Manifest` if no part is missing.
    """
    place(golden, folder / GOLDEN)
    if network.tokenizer is not None:
        place(network.tokenizer, folder / TOKENIZER)
    sections = {part: _section(folder, part, network.drafts[part], files[part]) for part in files}
    _copy_texts(folder, network.origin.texts)
    manifest = _manifest(network, sections, digest(folder / GOLDEN))
    write_manifest(folder, manifest)
    return manifest


def _manifest(network: Network, sections: Mapping[PartName, Any], golden_sha256: str) -> Parts:
    origin = network.origin
    floors = {part: draft.min_cosine for part, draft in network.drafts.items()}
    parts = Parts(
        name=origin.name,
        version=origin.version,
        license=origin.license,
        notes=origin.notes,
        sources=origin.sources,
        golden=Golden(file=GOLDEN, sha256=golden_sha256, min_cosine=floors),
        **dict(sections),
    )
    return whole(parts)


def whole(parts: Parts) -> Parts:
    """The same as a :class:`Manifest` if nothing is missing."""
    return parts if parts.missing() else Manifest.model_validate(parts.model_dump())


def _section(folder: Path, part: PartName, draft: Draft, files: PartFiles) -> Detector | Visual | Text:
    main = _stored(folder, f"{part}.onnx", files.main)
    variants = []
    for target, graph in files.variants.items():
        name = f"{part}.{target}.onnx"
        stored = _stored(folder, name, graph)
        same = stored["sha256"] == main["sha256"]
        if same:
            (folder / name).unlink()  # the one that runs everywhere is this one
        if not same or target not in CPUS:  # an accelerator only takes int8 that is said to be for it
            variants.append(Variant(target=target, **(main if same else stored)))
    update: dict[str, Any] = {**main, "variants": tuple(variants)}
    if part == "text":
        update |= {"tokenizer": TOKENIZER, "tokenizer_sha256": digest(folder / TOKENIZER)}
    return type(draft.section).model_validate({**draft.section.model_dump(), **update})


def _stored(folder: Path, name: str, graph: StoredGraph) -> dict[str, Any]:
    path = folder / name
    place(graph.path, path)
    return {
        "file": name,
        "sha256": digest(path),
        "opset": _opset(path),
        "precision": graph.precision,
        "unquantised": graph.unquantised,
        "unquantised_why": graph.why,
    }


def _opset(path: Path) -> int:
    import onnx  # noqa: PLC0415

    model = onnx.load(path, load_external_data=False)
    own = [domain.version for domain in model.opset_import if domain.domain in ("", "ai.onnx")]
    if len(own) != 1:
        raise ExportError("graph has no single opset", subject=path.name, hint=str(own))
    return int(own[0])


def place(source: Path, target: Path) -> None:
    """A file under another name: a link where both are on one disk, so that gigabytes aren't copied."""
    if source == target:
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _copy_texts(folder: Path, texts: tuple[Path, ...]) -> None:
    for text in texts:
        target = folder / NOTICE if text.name == NOTICE else folder / LICENSES / text.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(text, target)
