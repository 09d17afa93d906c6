"""``edge export starter``: where it goes, and how it is compared with what is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge.errors import BundleError, ExportError
from edge.vision.manifest import Manifest, Stored, Variant, load_manifest
from export import check, cli
from export.commands import running, starter
from export.request import Request, native
from tests.vision.toy import save_bundle


def _said(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, list(arguments))


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize(("found", "code"), [(["visual.onnx: operations differ"], 1), ([], 0)])
def test_a_rebuild_that_differs_is_an_error(
    found: list[str], code: int, options: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--check says what differs and exits with 1; without differences it exits with 0; it writes nothing."""
    monkeypatch.setattr(running, "find_spec", lambda _: object())
    monkeypatch.setattr(check, "differences", lambda *_: found)
    asked: list[Request] = []
    monkeypatch.setattr("export.assembly.build", lambda *arguments: asked.append(arguments[2]))
    monkeypatch.setattr("export.starter.build_network", lambda *_: None)
    kept = save_bundle(tmp_path / "kept")
    before = sorted(tmp_path.rglob("*"))
    result = _said("starter", "--check", "--out", str(kept), *options)
    assert result.exit_code == code
    if options:
        said = json.loads(result.stdout)
        assert (said["path"], said["same"], said["differences"]) == (str(kept), not found, found)
    assert asked[0].pinned == {"detector": "fp32", "visual": "fp32", "text": "fp32"}
    assert not asked[0].timed
    if found:
        assert isinstance(result.exception, ExportError)
        assert "operations differ" in result.exception.hint
    assert sorted(tmp_path.rglob("*")) == before


def test_the_starter_goes_to_its_place() -> None:
    """Without --out it is the bundle that the repository keeps."""
    assert Path("models/onnx/starter") == starter.STARTER


def test_a_damaged_bundle_is_not_rebuilt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """--check looks at what is kept first; a rebuild takes minutes."""
    monkeypatch.setattr(running, "find_spec", lambda _: object())
    monkeypatch.setattr("export.starter.build_network", lambda *_: pytest.fail("nothing is to be rebuilt"))
    kept = save_bundle(tmp_path / "kept")
    (kept / "text.onnx").write_bytes(b"damaged")
    result = _said("starter", "--check", "--out", str(kept))
    assert isinstance(result.exception, BundleError)
    assert "text.onnx" in result.exception.subject


def _with_variant(manifest: Manifest) -> Manifest:
    stored = manifest.detector.model_dump(include=set(Stored.model_fields))
    variant = Variant(target="tensorrt", **{**stored, "precision": "int8 QDQ"})
    detector = manifest.detector.model_copy(update={"variants": (variant,)})
    return manifest.model_copy(update={"detector": detector})


def test_a_rebuild_has_the_forms_that_are_kept(tmp_path: Path) -> None:
    """Each file's, for the targets that there are files for, unless others are asked for."""
    manifest = load_manifest(save_bundle(tmp_path / "kept"))
    kept = starter.as_kept(_with_variant(manifest), Request())
    assert kept.targets == (native(), "tensorrt")
    assert (kept.pinned["detector"], kept.pinned["detector for tensorrt"]) == ("fp32", "int8 QDQ")
    assert starter.as_kept(manifest, Request()).targets == ()
    assert starter.as_kept(manifest, Request(targets=("arm",))).targets == ("arm",)
