from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import EdgeError, ExportError, GateError, ProviderError
from edge.vision.manifest import load_manifest, load_parts, verify_files
from edge.vision.providers import TENSORRT, unsuited
from export import assembly, recipes, sensitivity
from export.floors import Floors
from export.folder import GOLDEN
from export.network import Network
from export.progress import SILENT
from export.request import Request, native
from tests.export import toys
from tests.vision.toy import LABELS, save_bundle

NEAR, FAR = 1e-6, 0.9
OTHER = "arm" if native() == "x86" else "x86"


@pytest.fixture(name="request_of")
def _request_of(tmp_path: Path) -> Any:
    """Requests that toys can meet: their labels, no time measured."""
    labels = toys.label_file(tmp_path, LABELS)
    companion = save_bundle(tmp_path / "companion")

    def made(**changes: Any) -> Request:
        return Request(**{"labels": str(labels), "companion": companion, "timed": False, **changes})

    return made


@pytest.fixture(autouse=True)
def _forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "candidates", toys.candidates(("int8 toy", NEAR)))
    monkeypatch.setattr(sensitivity, "ranking", toys.worst_first)
    toys.few_scenes(monkeypatch)


def _out(folder: Path) -> Path:
    out = folder / "out"
    out.mkdir()
    return out


def test_a_whole_bundle_runs_on_the_device(tmp_path: Path, request_of: Any) -> None:
    """Every part is stored in the form that passed; files, samples and licences are there and sound."""
    out = _out(tmp_path)
    assembly.build(out, toys.network(tmp_path), request_of(), SILENT)
    manifest = load_manifest(out)
    verify_files(out, manifest)
    assert {manifest.detector.precision, manifest.visual.precision, manifest.text.precision} == {"int8 toy"}
    assert manifest.text.tokenizer_sha256 == load_manifest(tmp_path / "companion").text.tokenizer_sha256
    assert (out / "NOTICE").read_text("utf-8") == "toy is a toy.\n"
    assert (out / "LICENSES" / "CC0-1.0.txt").is_file()
    assert manifest.golden.min_cosine == {"detector": 0.98, "visual": 0.98, "text": 0.98}


def test_the_samples_are_what_fp32_says(tmp_path: Path, request_of: Any) -> None:
    """Golden outputs come from the fp32 graphs, not from the ones that are stored."""
    out = _out(tmp_path)
    assembly.build(out, toys.network(tmp_path), request_of(), SILENT)
    with np.load(out / GOLDEN) as golden:
        crops = golden["visual.input.crop"]
        want = crops.mean((1, 2)) / 255 + 1e-4
        np.testing.assert_allclose(
            golden["visual.output.embedding"], want / np.linalg.norm(want, axis=1, keepdims=True), atol=1e-3
        )


def test_the_report_says_what_was_tried(tmp_path: Path, request_of: Any) -> None:
    """Readable by people and programs, with the visits in it."""
    out = _out(tmp_path)
    assembly.build(out, toys.network(tmp_path), request_of(), SILENT)
    content = json.loads((out / "report.json").read_text("utf-8"))
    assert content["visits"]["lost"] == 0
    assert "int8 toy" in (out / "report.md").read_text("utf-8")


@pytest.mark.parametrize("parts", [("detector",), ("visual", "text")])
def test_a_lone_part_is_completed_for_the_gate_only(tmp_path: Path, request_of: Any, parts: Any) -> None:
    """A detector or a classifier is examined together with the companion, and stored without it."""
    out = _out(tmp_path)
    assembly.build(out, toys.network(tmp_path, *parts), request_of(), SILENT)
    stored = load_parts(out)
    assert set(stored.missing()) == {"detector", "visual", "text"} - set(parts)
    assert set(stored.golden.min_cosine) == set(parts)
    verify_files(out, stored)
    assert json.loads((out / "report.json").read_text("utf-8"))["visits"] is not None


def test_fp32_is_kept_as_it_is(tmp_path: Path, request_of: Any) -> None:
    """--precision fp32 tries nothing; the bytes are the exporter's."""
    out = _out(tmp_path)
    made = toys.network(tmp_path)
    assembly.build(out, made, request_of(precision="fp32"), SILENT)
    assert (out / "visual.onnx").read_bytes() == made.drafts["visual"].graph.read_bytes()
    assert load_manifest(out).visual.precision == "fp32"


def test_other_machines_get_files_of_their_own(
    tmp_path: Path, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for several targets, this machine's file is the main one; the same bytes aren't stored twice."""

    def by_target(*arguments: Any, target: Any, part: str, **others: Any) -> Any:
        off = 2 * NEAR if target == OTHER and part == "visual" else NEAR
        return toys.candidates((f"int8 {off}", off))(*arguments, target=target, part=part, **others)

    monkeypatch.setattr(recipes, "candidates", by_target)
    out = _out(tmp_path)
    assembly.build(out, toys.network(tmp_path), request_of(targets=(OTHER, native(), "tensorrt")), SILENT)
    manifest = load_manifest(out)
    assert [variant.target for variant in manifest.visual.variants] == [OTHER, "tensorrt"]
    assert manifest.visual.variants[0].file == f"visual.{OTHER}.onnx"
    assert manifest.visual.precision == f"int8 {NEAR}"
    assert [(each.target, each.file) for each in manifest.detector.variants] == [
        ("tensorrt", "detector.onnx")
    ]
    assert manifest.text.variants == ()
    assert not (out / "detector.tensorrt.onnx").exists()
    verify_files(out, manifest)


def test_a_bundle_for_tensorrt_alone_is_taken_by_tensorrt(tmp_path: Path, request_of: Any) -> None:
    """int8 that was made for an accelerator and runs everywhere is still known to be for it."""
    out = _out(tmp_path)
    assembly.build(out, toys.network(tmp_path), request_of(targets=("tensorrt",)), SILENT)
    manifest = load_manifest(out)
    for section in (manifest.detector, manifest.visual):
        assert section.precision == "int8 toy"
        assert unsuited(TENSORRT, section.stored_for("tensorrt")) == ""
    verify_files(out, manifest)


def test_a_graph_that_is_too_far_off_is_refused_by_its_floor(
    tmp_path: Path, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names part, form, floor with value, and the nodes that lose the most."""
    monkeypatch.setattr(recipes, "candidates", toys.candidates(("int8 toy", FAR)))
    with pytest.raises(GateError) as caught:
        assembly.build(_out(tmp_path), toys.network(tmp_path, "detector"), request_of(), SILENT)
    assert caught.value.subject == f"detector for {native()}"
    assert "int8 toy: recall 0." in caught.value.hint
    assert "< 0.9700" in caught.value.hint
    assert "most sensitive: unit, lit" in caught.value.hint


def test_a_graph_that_isnt_its_frameworks_is_refused_before_anything_else(
    tmp_path: Path, request_of: Any
) -> None:
    """An fp32 graph that differs from its framework says which one and by how much."""
    floors = Floors.model_validate({"framework": {"difference": 1e-9}})
    with pytest.raises(GateError, match=r"framework: detector, visual, text .*1e-06 > 1e-09"):
        assembly.build(_out(tmp_path), toys.network(tmp_path), request_of(floors=floors), SILENT)


def test_visits_that_differ_are_refused_by_their_floor(
    tmp_path: Path, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A detector that passes lax floors and finds other things than fp32 loses by its visits."""
    monkeypatch.setattr(recipes, "candidates", toys.candidates(("int8 toy", FAR)))
    nothing = {"mean": -1, "p1": -1, "minimum": -1, "sure_agreement": 0}
    floors = Floors.model_validate(
        {
            "visual": nothing,
            "text": nothing,
            "detector": {"recall": 0, "precision": 0},
            "visits": {"lost": 0, "added": 0, "relabelled": 0, "recounted": 0},
        }
    )
    made = toys.network(tmp_path, min_cosine=-1.0)
    monkeypatch.setattr(assembly, "self_test", lambda *_: {})
    with pytest.raises(GateError, match=r"visits differ from those of fp32: toy \(visits\."):
        assembly.build(_out(tmp_path), made, request_of(floors=floors), SILENT)


@pytest.mark.parametrize(
    ("min_cosine", "error", "says"),
    [(-1.0, GateError, "visits differ"), (0.98, ProviderError, r"^results of .*: detector\.tensorrt\.onnx")],
)
def test_files_for_other_machines_are_judged_by_visits_and_self_test_too(
    tmp_path: Path,
    request_of: Any,
    monkeypatch: pytest.MonkeyPatch,
    *,
    min_cosine: float,
    error: type[EdgeError],
    says: str,
) -> None:
    """The main file is as good as fp32, the one beside it isn't."""

    def by_target(*arguments: Any, target: Any, part: str, **others: Any) -> Any:
        off = FAR if target == "tensorrt" and part == "detector" else NEAR
        return toys.candidates((f"int8 {off}", off))(*arguments, target=target, part=part, **others)

    monkeypatch.setattr(recipes, "candidates", by_target)
    floors = Floors.model_validate(
        {
            "detector": {"recall": 0, "precision": 0},
            "visits": {"lost": 0, "added": 0, "relabelled": 0, "recounted": 0},
        }
    )
    made = toys.network(tmp_path, min_cosine=min_cosine)
    assembly.build(_out(tmp_path), made, request_of(floors=floors), SILENT)
    other = tmp_path / "other"
    other.mkdir()
    wanted = request_of(floors=floors, targets=(native(), "tensorrt"))
    with pytest.raises(error, match=says):
        assembly.build(other, made, wanted, SILENT)


def test_a_file_that_fails_its_self_test_isnt_passed_on(
    tmp_path: Path, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the gate's floors let through still has to answer the golden samples as the manifest demands."""
    monkeypatch.setattr(recipes, "candidates", toys.candidates(("int8 toy", FAR)))
    nothing = {"mean": -1, "p1": -1, "minimum": -1, "sure_agreement": 0}
    lax = Floors.model_validate(
        {"visual": nothing, "text": nothing, "detector": {"recall": 0, "precision": 0}}
    )
    with pytest.raises(ProviderError, match=r"differ from the reference|same result"):
        assembly.build(_out(tmp_path), toys.network(tmp_path), request_of(floors=lax), SILENT)


def test_a_pinned_form_is_the_only_one_that_is_tried(
    tmp_path: Path, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebuild keeps to the names that the kept bundle has."""
    monkeypatch.setattr(recipes, "candidates", toys.candidates(("int8 a", NEAR), ("int8 b", NEAR)))
    out = _out(tmp_path)
    names = dict.fromkeys(("detector", "visual", "text"), "int8 b")
    assembly.build(out, toys.network(tmp_path), request_of(pinned=names), SILENT)
    assert load_manifest(out).visual.precision == "int8 b"


def test_a_target_can_have_a_form_of_its_own_pinned(
    tmp_path: Path, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file for an accelerator is seldom kept in the processor's form."""
    monkeypatch.setattr(recipes, "candidates", toys.candidates(("int8 a", NEAR), ("int8 b", 2 * NEAR)))
    out = _out(tmp_path)
    names = {"detector": "int8 a", "visual": "int8 a", "text": "int8 a", "visual for tensorrt": "int8 b"}
    wanted = request_of(pinned=names, targets=(native(), "tensorrt"))
    assembly.build(out, toys.network(tmp_path), wanted, SILENT)
    visual = load_manifest(out).visual
    assert (visual.precision, visual.stored_for("tensorrt").precision) == ("int8 a", "int8 b")


def test_half_a_classifier_is_refused(tmp_path: Path, request_of: Any) -> None:
    """A visual tower without its text tower could name nothing."""
    made = toys.network(tmp_path)
    half = Network(made.origin, {"visual": made.drafts["visual"]})
    with pytest.raises(ExportError, match="belong together"):
        assembly.build(_out(tmp_path), half, request_of(), SILENT)


def test_texts_are_embedded_on_the_processor_only() -> None:
    """An accelerator gets no text file; asked for nothing else, the text tower is this machine's."""
    request = Request(targets=("tensorrt", "cuda"))
    assert assembly.targets_of("visual", request) == ("tensorrt", "cuda")
    assert assembly.targets_of("text", request) == (native(),)
    assert assembly.targets_of("text", Request(targets=("cuda", "arm", "x86"))) == (
        ("x86", "arm") if native() == "x86" else ("arm", "x86")
    )
