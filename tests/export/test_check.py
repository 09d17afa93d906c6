"""What a rebuilt bundle is compared by."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge.vision.manifest import Stored, Variant, load_manifest
from export.check import differences
from export.manifest import digest, write_manifest
from tests.vision.toy import save_bundle

Change = Callable[[Path], dict[str, dict[str, Any]]]


def _tokenizer(bundle: Path) -> dict[str, dict[str, Any]]:
    path = bundle / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")), indent=3), "utf-8")
    return {"text": {"tokenizer_sha256": digest(path)}}


def _licence(bundle: Path) -> dict[str, dict[str, Any]]:
    (bundle / "LICENSES" / "toy.txt").write_text("All rights reserved.\n", "utf-8")
    return {}


def _notice(bundle: Path) -> dict[str, dict[str, Any]]:
    (bundle / "NOTICE").unlink()
    return {}


def _margin(_: Path) -> dict[str, dict[str, Any]]:
    return {"visual": {"crop_margin": 0.3}}


def _weights(bundle: Path) -> dict[str, dict[str, Any]]:
    """The same graph with the rows of its text table in another order."""
    path = bundle / "text.onnx"
    model = onnx.load(path)
    table = max(model.graph.initializer, key=lambda tensor: numpy_helper.to_array(tensor).size)
    table.CopyFrom(numpy_helper.from_array(np.flip(numpy_helper.to_array(table), 0).copy(), table.name))
    onnx.save(model, path)
    return {"text": {"sha256": digest(path)}}


def _variant(bundle: Path) -> dict[str, dict[str, Any]]:
    """Other weights in the file for TensorRT alone."""
    path = bundle / "visual.tensorrt.onnx"
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name == "little":  # added to each colour: all look nearly the same then
            tensor.CopyFrom(numpy_helper.from_array(np.float32(9), tensor.name))
    onnx.save(model, path)
    variant = load_manifest(bundle).visual.variants[0].model_copy(update={"sha256": digest(path)})
    return {"visual": {"variants": (variant,)}}


def _variant_gone(_: Path) -> dict[str, dict[str, Any]]:
    return {"visual": {"variants": ()}}


@pytest.fixture(name="pair")
def _pair(tmp_path: Path) -> tuple[Path, Path]:
    """A bundle with licences and a file for TensorRT, and a copy of it."""
    kept, rebuilt = save_bundle(tmp_path / "kept"), tmp_path / "rebuilt"
    (kept / "LICENSES").mkdir()
    (kept / "LICENSES" / "toy.txt").write_text("Do as you like.\n", "utf-8")
    (kept / "NOTICE").write_text("A toy.\n", "utf-8")
    shutil.copyfile(kept / "visual.onnx", kept / "visual.tensorrt.onnx")
    manifest = load_manifest(kept)
    stored = manifest.visual.model_dump(include=set(Stored.model_fields))
    variant = Variant(target="tensorrt", **{**stored, "file": "visual.tensorrt.onnx"})
    visual = manifest.visual.model_copy(update={"variants": (variant,)})
    write_manifest(kept, manifest.model_copy(update={"visual": visual}))
    shutil.copytree(kept, rebuilt)
    return kept, rebuilt


def test_a_copy_is_the_same(pair: tuple[Path, Path]) -> None:
    """Nothing differs between a bundle and its copy."""
    assert differences(*pair) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_tokenizer, "tokenizer.json: differs"),
        (_licence, "LICENSES/toy.txt: differs"),
        (_notice, "NOTICE: differs"),
        (_margin, "manifest: visual.crop_margin"),
        (_weights, "text.onnx: "),
        (_variant, "visual.tensorrt.onnx: "),
        (_variant_gone, "manifest: visual.variants"),
    ],
)
def test_what_differs_is_named(pair: tuple[Path, Path], change: Change, said: str) -> None:
    """Copied files by their bytes, graphs by their answers, the manifest by what it says."""
    kept, rebuilt = pair
    updates = change(rebuilt)
    manifest = load_manifest(rebuilt)
    sections = {part: getattr(manifest, part).model_copy(update=update) for part, update in updates.items()}
    write_manifest(rebuilt, manifest.model_copy(update=sections))
    found = differences(kept, rebuilt)
    assert len(found) == 1
    assert found[0].startswith(said)
