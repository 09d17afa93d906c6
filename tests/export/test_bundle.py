"""The bundle that is kept in the repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.vision.manifest import MANIFEST, ModelFile, Stored, load_manifest, verify_files
from edge.vision.selftest import load_golden, open_tested
from edge.vision.session import CPU
from edge.vision.text import TextTower
from export import starter_spec
from export.manifest import write_manifest
from export.sources import STARTER
from tests.export.helpers import BUNDLE

pytestmark = pytest.mark.skipif(not BUNDLE.is_dir(), reason="a source archive without models/onnx/starter")
MB = 1_000_000


def test_files_are_those_of_the_manifest() -> None:
    """Every file has the hash that the manifest gives."""
    verify_files(BUNDLE, load_manifest(BUNDLE))


def test_it_is_small_enough_to_be_kept() -> None:
    """Below 45 MB in all, and no file of 30 MB."""
    sizes = [path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file()]
    assert sum(sizes) < 45 * MB
    assert max(sizes) < 30 * MB


def test_licences_of_all_sources_are_there() -> None:
    """Each licence that a source is under comes with the bundle, and the notice names each package."""
    notice = (BUNDLE / "NOTICE").read_text("utf-8")
    texts = [path.read_text("utf-8") for path in (BUNDLE / "LICENSES").iterdir()]
    assert any("Vladimir Mandic" in text and "Permission is hereby granted" in text for text in texts)
    assert any("Apache License" in text and "Version 2.0" in text for text in texts)
    for source in load_manifest(BUNDLE).sources:
        assert f"{source.name} {source.version}" in notice
        assert source.license in {"MIT", "Apache-2.0"}


def test_it_was_made_by_this_code() -> None:
    """Sources, thresholds and sizes in the manifest are those of the exporter."""
    manifest = load_manifest(BUNDLE)
    assert {source.sha256 for source in manifest.sources} == {pinned.sha256 for pinned in STARTER}
    assert manifest.version == starter_spec.VERSION
    assert manifest.detector.thresholds == starter_spec.THRESHOLDS
    for kept, made in (
        (manifest.detector, starter_spec.detector()),
        (manifest.visual, starter_spec.visual()),
    ):
        assert _said(kept) == _said(made)
    assert _said(manifest.text) == _said(starter_spec.text())


def _said(section: ModelFile) -> dict[str, object]:
    """What a section says of its graph, whatever the form that it is stored in."""
    return section.model_dump(exclude={*Stored.model_fields, "variants", "tokenizer_sha256"})


def test_its_manifest_would_be_written_the_same_today(tmp_path: Path) -> None:
    """The writer says nothing that older manifests don't: the bundle's identity is its manifest's bytes."""
    for path in BUNDLE.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    write_manifest(tmp_path, load_manifest(BUNDLE))
    assert (tmp_path / MANIFEST).read_bytes() == (BUNDLE / MANIFEST).read_bytes()


def test_it_passes_its_own_self_test() -> None:
    """On the CPU, both towers come as close to fp32 as the manifest demands."""
    manifest = load_manifest(BUNDLE)
    _, report = open_tested(BUNDLE, manifest, (CPU,), 1)
    assert min(report.cosine.values()) >= 0.99


def test_the_text_tower_is_close_to_its_reference() -> None:
    """The text samples of the self-test, which the device doesn't run at start, hold as well."""
    manifest = load_manifest(BUNDLE)
    golden = load_golden(BUNDLE, manifest, ("text",))["text"]
    tower = TextTower(BUNDLE, manifest)
    got = tower.model.run(dict(golden.inputs), [manifest.text.output])[0]
    want = golden.outputs[manifest.text.output].astype(np.float32)
    assert (got * want).sum(axis=1).min() >= manifest.golden.min_cosine["text"]


def test_names_of_animals_lie_near_their_kin() -> None:
    """In the text space a fox is nearer to a wolf than to a truck."""
    manifest = load_manifest(BUNDLE)
    fox, wolf, truck = TextTower(BUNDLE, manifest).embed(["a red fox", "a grey wolf", "a pickup truck"])
    assert fox @ wolf > fox @ truck
