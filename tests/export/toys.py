"""Networks small enough to be exported in a second, and candidates that do to them what a test needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge.vision.labels import LabelSet
from edge.vision.manifest import load_manifest
from export import evaluation
from export.gate import Candidate
from export.network import UNKNOWN_SHA256, Draft, Network, Origin, PartName, Traits
from export.progress import Progress
from tests.vision.toy import save_bundle

FRAMEWORK = 1e-6


def network(
    folder: Path,
    *parts: PartName,
    name: str = "toy",
    license_: str = "CC0-1.0",
    min_cosine: float = 0.98,
) -> Network:
    """The toy bundle's graphs as an exporter would hand them over; all of them unless parts are named."""
    bundle = save_bundle(folder / "graphs")
    manifest = load_manifest(bundle)
    with np.load(bundle / "golden.npz") as golden:
        feeds = {
            part: {
                key.removeprefix(f"{part}.input."): golden[key]
                for key in golden
                if key.startswith(f"{part}.input.")
            }
            for part in ("detector", "visual", "text")
        }
    notice = folder / "NOTICE"
    notice.write_text(f"{name} is a toy.\n", "utf-8")
    licence = folder / f"{license_}.txt"
    licence.write_text(f"{license_}: do as you like.\n", "utf-8")
    drafts: dict[PartName, Draft] = {}
    everything: tuple[PartName, ...] = ("detector", "visual", "text")
    for part in parts or everything:
        section = getattr(manifest, part).model_copy(update={"sha256": UNKNOWN_SHA256})
        drafts[part] = Draft(
            section, bundle / f"{part}.onnx", FRAMEWORK, feeds[part], min_cosine, Traits("convolutional")
        )
    tokenizer = bundle / "tokenizer.json" if "text" in drafts else None
    return Network(Origin(name, "1", license_, "A toy.", (), (notice, licence)), drafts, tokenizer)


def exporter(*parts: PartName, **options: str) -> Callable[[Path, Progress], Network]:
    """What a command calls to make the network in its scratch folder."""

    def build_network(scratch: Path, progress: Progress) -> Network:
        progress.step("mapping the toy")
        folder = scratch / "toy"
        folder.mkdir()
        return network(folder, *parts, **options)  # type: ignore[arg-type]  # only strings are passed

    return build_network


def nudged(material: Any, by: float) -> Any:
    """A copy of a graph whose float constants are all a little off: by a share of themselves, up and down."""
    model = onnx.ModelProto()
    model.CopyFrom(material.model)
    random = np.random.default_rng(1)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            value = (array * (1 + by * random.choice([-1, 1], array.shape))).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return model


def candidates(*offers: tuple[str, float]) -> Callable[..., Iterator[Candidate]]:
    """Stands in for ``recipes.candidates``: forms by name, each so far off; they needn't pay in toys."""

    def offered(_: Traits, material: Any, *, target: Any, **__: Any) -> Iterator[Candidate]:
        for name, by in offers:
            yield Candidate(
                name,
                lambda by=by: nudged(material, by),  # type: ignore[misc]  # a default argument binds it
                target=target,
            )

    return offered


def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many made-up scenes as a toy needs: two visits."""
    monkeypatch.setattr(evaluation, "CALIBRATION_SCENES", 2)
    monkeypatch.setattr(evaluation, "HELD_OUT_SCENES", 6)


def worst_first(*_: Any, **__: Any) -> list[tuple[str, float]]:
    """Stands in for ``sensitivity.ranking``."""
    return [("unit", 0.5), ("lit", 0.1)]


def label_file(folder: Path, labels: LabelSet) -> Path:
    """A label set as a file that commands can be given."""
    lines = [
        f"[[label]]\nlabel = {each.label!r}\nprompts = {list(each.prompts)!r}\n" for each in labels.labels
    ]
    path = folder / f"{labels.name}.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path
