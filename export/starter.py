"""Builds the starter bundle: permissive weights from package registries, measured on the way.

1. Find the pinned files.
2. Map each network to an fp32 graph and compare it with its framework.
3. Store each graph in the cheapest precision that the gate lets through.
4. Write the bundle, run its self-test and compare its visits with those of fp32.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ExportError
from edge.vision.manifest import Manifest, load_manifest
from edge.vision.selftest import open_tested
from edge.vision.session import CPU
from export import (
    calibration,
    centernet,
    conse,
    efficientnet,
    golden,
    minilm,
    names,
    reference,
    report,
    sources,
    starter_gate,
    starter_spec as spec,
    texts,
)
from export.gate import Measured
from export.graph import OPSET, GraphBuilder
from export.manifest import digest, write_manifest
from export.starter_gate import Plain, Request
from export.tfjs import read_graph_model

Array = NDArray[Any]
Say = Callable[[str], None]
_LICENSES = Path(__file__).with_name("licenses")
_GOLDEN_TEXTS = ("a badger walks in the forest", "a photo of a brown bear")


def build_starter(folder: Path, request: Request, say: Say) -> None:
    """Build the bundle into an existing, empty folder.

    Args:
        folder: where to.
        request: what.
        say: told of each step, in a few words.

    Raises:
        ExportError: a source is missing or isn't the pinned one.
        GateError: a floor wasn't reached.
    """
    with tempfile.TemporaryDirectory(prefix="edge-starter-") as name:
        scratch = Path(name)
        plain = assemble(scratch, request, say)
        say("comparing with the frameworks")
        differences = starter_gate.compare_with_frameworks(plain)
        chosen, refused = starter_gate.choose_precisions(plain, request, scratch, say)
        say("writing the bundle")
        write_bundle(folder, plain, chosen)
        write_bundle(plain.folder, plain, {})
        say("running the self-test")
        manifest = self_test(folder)
        say("comparing visits")
        seen = starter_gate.compare_visits(plain.folder, folder, request)
        found = report.Findings(manifest, request, differences, chosen, tuple(refused), seen)
        report.write(folder, found)


def assemble(scratch: Path, request: Request, say: Say) -> Plain:
    """Find the sources and map them to fp32 graphs."""
    import onnx  # noqa: PLC0415

    unpacked, folder = scratch / "sources", scratch / "fp32"
    unpacked.mkdir()
    folder.mkdir()
    say("finding the sources")
    found = {pinned.name: sources.locate(pinned, request.source, unpacked) for pinned in sources.STARTER}
    for name in (sources.CENTERNET_GRAPH.name, sources.CENTERNET_WEIGHTS.name):
        if found[name].parent != unpacked:
            shutil.copyfile(found[name], unpacked / name)
    plain = Plain(folder, found | {"graph": unpacked / sources.CENTERNET_GRAPH.name})
    say("mapping the networks to ONNX")
    onnx.save(centernet.build(read_graph_model(plain.source["graph"])), plain.detector)
    onnx.save(minilm.build(starter_gate.minilm_tensors(plain)), plain.text)
    texts.write_tokenizer(found[sources.MINILM_TOKENIZER.name], plain.tokenizer, spec.MAX_TOKENS)
    say("placing ImageNet's classes in the text space")
    embedder = texts.TextEmbedder(plain.text, plain.tokenizer)
    onnx.save(build_visual(plain, names.embed_names(names.read_names(), embedder)), plain.visual)
    return plain


def build_visual(plain: Plain, rows: Array) -> Any:
    """The classifier with the convex combination behind it; the classes' vectors are kept as float16."""
    graph = GraphBuilder("visual")
    tensors = reference.torch_tensors(plain.source[sources.EFFICIENTNET.name])
    logits = efficientnet.add_network(graph, tensors, efficientnet.LITE0.size)
    conse.add_head(graph, logits, rows.astype(np.float16))
    return graph.model()


def write_bundle(folder: Path, plain: Plain, chosen: dict[str, Measured]) -> None:
    """Write every file of a bundle; parts that nothing was chosen for stay in fp32."""
    stored = {part: _store(folder, plain, part, chosen.get(part)) for part in ("detector", "visual", "text")}
    if folder != plain.folder:
        shutil.copyfile(plain.tokenizer, folder / spec.TOKENIZER)
    write_golden(folder / spec.GOLDEN, plain)
    shutil.copytree(
        _LICENSES, folder / "LICENSES", ignore=shutil.ignore_patterns("NOTICE"), dirs_exist_ok=True
    )
    shutil.copyfile(_LICENSES / "NOTICE", folder / "NOTICE")
    tokenizer = digest(folder / spec.TOKENIZER)
    parts = (
        spec.detector(stored["detector"]),
        spec.visual(stored["visual"]),
        spec.text(stored["text"], tokenizer),
    )
    write_manifest(folder, spec.manifest(parts, digest(folder / spec.GOLDEN)))


def _store(folder: Path, plain: Plain, part: str, measured: Measured | None) -> spec.Stored:
    import onnx  # noqa: PLC0415

    path = folder / f"{part}.onnx"
    if measured is None:
        if folder != plain.folder:
            shutil.copyfile(plain.folder / path.name, path)
        return spec.Stored(digest(path), "fp32")
    (opset,) = (domain.version for domain in measured.model.opset_import if not domain.domain)
    if opset != OPSET:
        raise ExportError("quantiser changed the opset", subject=path.name, hint=f"to {opset}")
    onnx.save(measured.model, path)
    candidate = measured.candidate
    return spec.Stored(digest(path), candidate.precision, candidate.unquantised, candidate.why)


def write_golden(path: Path, plain: Plain) -> None:
    """The self-test's samples: two photos, their middles as crops, two sentences."""
    photos = calibration.photos(("raccoon", "chelsea"))
    embedder = texts.TextEmbedder(plain.text, plain.tokenizer)
    feeds = {
        "detector": {centernet.INPUT: _golden_images(photos, centernet.WIDTH, centernet.HEIGHT)},
        "visual": {efficientnet.INPUT: _golden_images(photos, *(2 * (efficientnet.LITE0.size,)))},
        "text": embedder.feed(_GOLDEN_TEXTS),
    }
    graphs = {"detector": plain.detector, "visual": plain.visual, "text": plain.text}
    golden.write_golden(path, graphs, feeds)


def _golden_images(photos: list[calibration.Image], width: int, height: int) -> Array:
    return np.stack(calibration.fitted(photos, width, height))


def self_test(folder: Path) -> Manifest:
    """What the device does at start, on the CPU; returns the manifest.

    Raises:
        ProviderError: the bundle fails its own self-test.
    """
    manifest = load_manifest(folder)
    open_tested(folder, manifest, (CPU,), 1)
    return manifest
