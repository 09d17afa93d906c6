"""Compares a rebuilt bundle with the one that is kept: the same graphs, the same answers, the same sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.vision.manifest import PARTS, Manifest, load_manifest, verify_files
from export.folder import LICENSES, NOTICE
from export.golden import run_samples

Array = NDArray[Any]
COSINE = 0.999
"""Least agreement of rebuilt outputs on the kept golden inputs: calibration differs in the last bits between
machines, and an int8 graph may then round another way."""
_SIZE = 0.02  # share by which a file's size may differ


def differences(kept: Path, rebuilt: Path) -> list[str]:
    """What differs between two bundles that should be the same, in words; empty if nothing does.

    Raises:
        BundleError: one of them isn't a sound bundle.
    """
    old, new = load_manifest(kept), load_manifest(rebuilt)
    verify_files(kept, old)
    verify_files(rebuilt, new)
    found = list(_manifests(old, new))
    for _, before, after in _graphs(old, new):
        found.extend(_sizes(kept / before, rebuilt / after))
        found.extend(graph_differences(kept / before, rebuilt / after))
    found.extend(_companions(kept, rebuilt, old, new))
    if not found:  # outputs of graphs that differ in structure can't be compared
        found.extend(_answers(kept, rebuilt, old, new))
    return found


def _graphs(old: Manifest, new: Manifest) -> Iterator[tuple[str, str, str]]:
    """Part, kept file and rebuilt file of every graph that both have: the main ones, those of targets."""
    for part in PARTS:
        before, after = getattr(old, part), getattr(new, part)
        theirs = {each.target: each.file for each in after.variants}
        pairs = [(before.file, after.file)]
        pairs += [(each.file, theirs[each.target]) for each in before.variants if each.target in theirs]
        for pair in dict.fromkeys(pairs):
            yield part, *pair


def _manifests(old: Manifest, new: Manifest) -> Iterator[str]:
    before, after = _without_hashes(old), _without_hashes(new)
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield f"manifest: {key} was {before.get(key)!r}, is {after.get(key)!r}"


def _without_hashes(manifest: Manifest) -> dict[str, object]:
    """Flat, and without the hashes of what was computed; those of the sources stay."""
    flat: dict[str, object] = {"sources": manifest.sources}
    for section in ("detector", "visual", "text", "golden"):
        for key, value in getattr(manifest, section):
            if key == "variants":
                flat[f"{section}.{key}"] = [each.model_dump(exclude={"sha256"}) for each in value]
            elif "sha256" not in key:
                flat[f"{section}.{key}"] = value
    for key in ("name", "version", "license", "notes"):
        flat[key] = getattr(manifest, key)
    return flat


def _companions(kept: Path, rebuilt: Path, old: Manifest, new: Manifest) -> Iterator[str]:
    """Files that are copied, not computed: tokenizer, licences, notice. Their bytes have to be the same."""
    if old.text.tokenizer_sha256 != new.text.tokenizer_sha256:
        yield f"{old.text.tokenizer}: differs"
    before, after = _texts(kept), _texts(rebuilt)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"{name}: differs"


def _texts(bundle: Path) -> dict[str, bytes]:
    paths = [*bundle.glob(NOTICE), *bundle.glob(f"{LICENSES}/*")]
    return {path.relative_to(bundle).as_posix(): path.read_bytes() for path in paths}


def _sizes(old: Path, new: Path) -> Iterator[str]:
    before, after = old.stat().st_size, new.stat().st_size
    if abs(after - before) > _SIZE * before:
        yield f"{old.name}: was {before} bytes, is {after}"


def graph_differences(old: Path, new: Path) -> Iterator[str]:
    """What differs between the structures of two graphs, whatever the numbers in their constants."""
    import onnx  # noqa: PLC0415

    for what, before, after in zip(
        ("operations", "constants", "inputs and outputs"),
        _structure(onnx.load(old)),
        _structure(onnx.load(new)),
        strict=True,
    ):
        if before != after:
            gone, come = sorted(before - after), sorted(after - before)
            yield f"{old.name}: {what} differ: {len(gone)} gone, {len(come)} new, such as {(gone + come)[0]}"


def _structure(model: Any) -> tuple[set[str], set[str], set[str]]:
    """Operations with their wiring and attributes, constants with shape and type, and the signature."""
    graph = model.graph
    nodes = {
        f"{node.op_type}({','.join(node.input)}) -> {','.join(node.output)} "
        f"{sorted(str(attribute) for attribute in node.attribute)}"
        for node in graph.node
    }
    constants = {f"{tensor.name} {tensor.data_type} {list(tensor.dims)}" for tensor in graph.initializer}
    return nodes, constants, {str(value) for value in (*graph.input, *graph.output)}


def _answers(kept: Path, rebuilt: Path, old: Manifest, new: Manifest) -> Iterator[str]:
    """Both bundles' outputs on the kept golden inputs."""
    with np.load(kept / old.golden.file, allow_pickle=False) as samples:
        for part, file, again in _graphs(old, new):
            prefix = f"{part}.input."
            feed = {n.removeprefix(prefix): samples[n] for n in samples if n.startswith(prefix)}
            before, after = run_samples(kept / file, feed), run_samples(rebuilt / again, feed)
            for name, value in before.items():
                cosine = _cosine(value, after[name])
                if not cosine >= COSINE:
                    yield f"{file}: {name} differs on the golden inputs, cosine {cosine:.5f}"


def _cosine(a: Array, b: Array) -> float:
    rows, others = (value.reshape(len(value), -1).astype(np.float64) for value in (a, b))
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(others, axis=1)
    return float(((rows * others).sum(axis=1) / np.maximum(norms, np.finfo(np.float64).tiny)).min())
