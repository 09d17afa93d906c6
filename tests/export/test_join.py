from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from edge.errors import BundleError, ExportError, GateError, UsageError
from edge.vision.manifest import Source, Stored, Variant, load_manifest, load_parts, verify_files
from export import join, joining
from export.floors import VisitFloors
from export.folder import plain_files, write_folder
from export.golden import write_golden
from export.manifest import digest, write_manifest
from export.network import PartName
from export.progress import SILENT
from tests.export import toys
from tests.vision.toy import LABELS, save_bundle

CLASSIFIER: tuple[PartName, ...] = ("visual", "text")


@pytest.fixture(autouse=True)
def _few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    toys.few_scenes(monkeypatch)


def _part(folder: Path, *parts: PartName, **options: Any) -> Path:
    """The folder of some parts, as an export leaves it."""
    folder.mkdir()
    out = folder / "part"
    out.mkdir()
    network = toys.network(folder, *parts, **options)
    samples = folder / "golden.npz"
    write_golden(
        samples,
        {part: draft.graph for part, draft in network.drafts.items()},
        {part: draft.golden for part, draft in network.drafts.items()},
    )
    write_folder(out, network, plain_files(network), samples)
    name = network.origin.name
    (out / "report.json").write_text(json.dumps({"bundle": name}), "utf-8")
    (out / "report.md").write_text(f"# {name}\n", "utf-8")
    (out / "report").mkdir()
    (out / "report" / "latency.png").write_bytes(b"picture")
    return out


@pytest.fixture(name="sides")
def _sides(tmp_path: Path) -> tuple[Path, Path]:
    return (
        _part(tmp_path / "a", "detector", name="finder", license_="AGPL-3.0-only"),
        _part(tmp_path / "b", *CLASSIFIER, name="namer", license_="MIT"),
    )


def _asked(tmp_path: Path, **changes: Any) -> joining.Asked:
    labels = str(toys.label_file(tmp_path, LABELS))
    return joining.Asked(
        **{
            "name": "both",
            "evaluation": None,
            "labels": labels,
            "floors": VisitFloors(),
            "reference": None,
            **changes,
        }
    )


def _out(tmp_path: Path) -> Path:
    out = tmp_path / "both"
    out.mkdir()
    return out


def test_two_parts_become_a_bundle(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    """Files, samples, licences, notices and reports of both are there, and all hashes hold."""
    out = _out(tmp_path)
    joining.build(out, *sides, _asked(tmp_path), SILENT)
    manifest = load_manifest(out)
    verify_files(out, manifest)
    assert (manifest.name, manifest.version, manifest.license) == ("both", "1", "AGPL-3.0-only AND MIT")
    assert manifest.detector == load_parts(sides[0]).detector
    assert manifest.text == load_parts(sides[1]).text
    with np.load(out / "golden.npz") as golden:
        assert {key.partition(".")[0] for key in golden} == {"detector", "visual", "text"}
    assert {path.name for path in (out / "LICENSES").iterdir()} == {"AGPL-3.0-only.txt", "MIT.txt"}
    assert (out / "NOTICE").read_text("utf-8") == "finder is a toy.\n\nnamer is a toy.\n"
    assert (out / "reports" / "detector" / "report.md").read_text("utf-8") == "# finder\n"
    assert (out / "reports" / "classifier" / "report" / "latency.png").read_bytes() == b"picture"
    content = json.loads((out / "report.json").read_text("utf-8"))
    assert content["joined"] == {"detector": {"bundle": "finder"}, "classifier": {"bundle": "namer"}}
    assert "reports/detector/report.md" in (out / "report.md").read_text("utf-8")


def test_a_joined_bundle_doesnt_share_its_bytes(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    """Damage to one copy isn't damage to the other."""
    out = _out(tmp_path)
    joining.build(out, *sides, _asked(tmp_path), SILENT)
    with (out / "detector.onnx").open("r+b") as stream:
        stream.write(b"damage")
    verify_files(sides[0], load_parts(sides[0]))


def test_whole_bundles_give_their_half(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    """Of two bundles the one's detector and the other's towers are taken."""
    whole = save_bundle(tmp_path / "whole")
    out = _out(tmp_path)
    manifest = join.join(out, sides[0], whole, "both")
    assert manifest.detector.sha256 == load_parts(sides[0]).detector.sha256  # type: ignore[union-attr]
    assert manifest.visual.sha256 == load_manifest(whole).visual.sha256


def test_a_side_without_the_part_is_refused(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    """Swapped sides are the likeliest mistake; the error says what each folder has."""
    with pytest.raises(ExportError, match=r"folder has no detector.*it has: visual, text"):
        join.join(_out(tmp_path), sides[1], sides[0], "both")


def test_a_changed_byte_is_refused(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    """Nothing damaged is passed on under a new manifest."""
    with (sides[1] / "visual.onnx").open("r+b") as stream:
        stream.seek(60)
        stream.write(b"\xff")
    with pytest.raises(BundleError, match="differs from its manifest"):
        join.join(_out(tmp_path), *sides, "both")


def test_samples_that_were_changed_are_refused(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    """They are written anew for the whole, which may not hide what happened to a half's."""
    golden = sides[1] / "golden.npz"
    with np.load(golden) as samples:
        content = {key: samples[key] for key in samples}
    np.savez(golden, allow_pickle=False, **content)  # the same arrays in other bytes
    with pytest.raises(BundleError, match="differs"):
        join.join(_out(tmp_path), *sides, name="both")


def test_each_half_brings_its_own_samples(tmp_path: Path) -> None:
    """Of two whole bundles the detector's come from one, the towers' from the other."""
    first, second = save_bundle(tmp_path / "first"), save_bundle(tmp_path / "second")
    with np.load(second / "golden.npz") as samples:
        content = {key: samples[key] + (1 if ".input." in key else 0) for key in samples}
    np.savez(second / "golden.npz", allow_pickle=False, **content)
    golden = load_manifest(second).golden.model_copy(update={"sha256": digest(second / "golden.npz")})
    write_manifest(second, load_manifest(second).model_copy(update={"golden": golden}))
    out = _out(tmp_path)
    join.join(out, first, second, name="both")
    with (
        np.load(first / "golden.npz") as ours,
        np.load(second / "golden.npz") as theirs,
        np.load(out / "golden.npz") as both,
    ):
        assert set(both) == set(ours)
        for key in both:
            np.testing.assert_array_equal(both[key], (ours if key.startswith("detector.") else theirs)[key])


def test_the_same_name_of_different_licences_keeps_both(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    """Two copyright lines are two files; the same text is one."""
    for side, text in zip(sides, ("mine", "yours"), strict=True):
        (side / "LICENSES" / "BSD.txt").write_text(text, "utf-8")
        (side / "LICENSES" / "same.txt").write_text("same", "utf-8")
    out = _out(tmp_path)
    join.join(out, *sides, "both")
    kept = {path.name: path.read_text("utf-8") for path in (out / "LICENSES").iterdir()}
    assert (kept["BSD.txt"], kept["BSD-2.txt"], kept["same.txt"]) == ("mine", "yours", "same")
    assert "same-2.txt" not in kept


def test_visits_are_compared_with_a_reference(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    """Given the bundle in fp32, what joining it with itself loses is nothing."""
    out = _out(tmp_path)
    reference = save_bundle(tmp_path / "fp32")
    joining.build(out, *sides, _asked(tmp_path, reference=reference), SILENT)
    seen = json.loads((out / "report.json").read_text("utf-8"))["visits"]
    assert seen["reference"] > 0
    assert (seen["lost"], seen["added"], seen["relabelled"], seen["recounted"]) == (0, 0, 0, 0)


def _changed(folder: Path, **sections: dict[str, Any]) -> Path:
    """A toy bundle that says something else of a part."""
    save_bundle(folder)
    manifest = load_manifest(folder)
    changed = {part: getattr(manifest, part).model_copy(update=new) for part, new in sections.items()}
    write_manifest(folder, manifest.model_copy(update=changed))
    return folder


@pytest.mark.parametrize("part", ["detector", "visual", "text"])
def test_a_reference_that_isnt_fp32_is_refused(tmp_path: Path, sides: tuple[Path, Path], part: str) -> None:
    """Against int8 nothing that int8 loses would show; said before anything is looked at."""
    reference = _changed(tmp_path / "int8", **{part: {"precision": "int8 dynamic"}})
    with pytest.raises(UsageError, match=rf"isn't in fp32: {part} is int8 dynamic"):
        joining.build(_out(tmp_path), *sides, _asked(tmp_path, reference=reference), SILENT)


def test_a_reference_of_another_bundle_is_refused(tmp_path: Path, sides: tuple[Path, Path]) -> None:
    """Another crop, or other weights: its visits differ for reasons of their own."""
    other = _changed(tmp_path / "other", visual={"crop_margin": 0.3})
    with pytest.raises(UsageError, match=r"another bundle.*visual differs in crop_margin"):
        joining.build(_out(tmp_path), *sides, _asked(tmp_path, reference=other), SILENT)
    weights = save_bundle(tmp_path / "weights")
    source = Source(name="x", version="1", file="x.pt", sha256="ab" * 32, license="MIT")
    write_manifest(weights, load_manifest(weights).model_copy(update={"sources": (source,)}))
    with pytest.raises(UsageError, match="other sources"):
        joining.require_twin(load_manifest(tmp_path / "both"), weights)


def test_a_provider_that_one_part_holds_back_is_said(tmp_path: Path) -> None:
    """A detector for TensorRT gains nothing by it beside a classifier for processors."""
    folder = save_bundle(tmp_path / "bundle")
    plain = load_manifest(folder)
    assert join.held_back(plain) == []
    stored = plain.detector.model_dump(include=set(Stored.model_fields)) | {"precision": "int8 QDQ"}
    detector = plain.detector.model_copy(
        update={"precision": "int8 QDQ", "variants": (Variant(target="tensorrt", **stored),)}
    )
    visual = plain.visual.model_copy(update={"precision": "int8 QDQ"})
    (said,) = join.held_back(plain.model_copy(update={"detector": detector, "visual": visual}))
    assert said.startswith("tensorrt won't be used, though the detector part suits it: visual.onnx")
    assert "--target tensorrt" in said
    both = visual.model_copy(update={"variants": detector.variants})
    assert join.held_back(plain.model_copy(update={"detector": detector, "visual": both})) == []


def test_visits_that_differ_from_the_reference_are_refused(
    tmp_path: Path, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The floor is named."""
    reference = save_bundle(tmp_path / "fp32")
    seen: Iterator[list[Any] | None] = iter([[], None])
    real = joining.visits.observe  # type: ignore[attr-defined]
    monkeypatch.setattr(
        joining.visits,  # type: ignore[attr-defined]
        "observe",
        lambda *arguments: found if (found := next(seen)) is not None else real(*arguments),
    )
    with pytest.raises(GateError, match=r"visits\.lost"):
        joining.build(_out(tmp_path), *sides, _asked(tmp_path, reference=reference), SILENT)


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("MIT", "MIT", "MIT"),
        ("MIT", "Apache-2.0", "Apache-2.0 AND MIT"),
        ("Apache-2.0 AND MIT", "AGPL-3.0-only", "AGPL-3.0-only AND Apache-2.0 AND MIT"),
        ("MIT OR Apache-2.0", "BSD-3-Clause", "(MIT OR Apache-2.0) AND BSD-3-Clause"),
        ("(MIT)", "MIT", "(MIT) AND MIT"),
    ],
)
def test_licences_are_joined(first: str, second: str, both: str) -> None:
    """Both apply; alternatives stay alternatives."""
    assert join.licenses(first, second) == both


@given(st.lists(st.sampled_from(["MIT", "Apache-2.0", "BSD-3-Clause", "AGPL-3.0-only"]), min_size=1))
def test_joining_licences_twice_changes_nothing(names: list[str]) -> None:
    """An expression that was joined is its own normal form."""
    once = join.licenses(*names)
    assert join.licenses(once) == join.licenses(once, once) == once
