from __future__ import annotations

import hashlib
from pathlib import Path

from edge.vision.bench import BenchRow, Variant, bench, choose
from edge.vision.manifest import Target
from edge.vision.providers import CUDA, target_of
from edge.vision.session import CPU
from tests.vision import toy
from tests.vision.bench import Bench


def _rows(variant: Variant, detector: float, visual: float) -> list[BenchRow]:
    return [
        BenchRow(variant, "detector", 1, detector, detector, detector),
        BenchRow(variant, "visual", 2, visual * 2, visual, visual),
    ]


ONE, TWO, FAST = Variant(CPU, 1), Variant(CPU, 2), Variant("CUDAExecutionProvider", 1)


def test_measures_every_variant(bundle: Path) -> None:
    """Each provider, thread count, graph and batch has its row; times are positive and ordered."""
    report = bench(bundle, providers=(CPU,), threads=(1, 2), batches=(1, 4), rounds=3)
    assert [(r.variant.threads, r.part, r.batch) for r in report.rows] == [
        (1, "detector", 1), (1, "visual", 1), (1, "visual", 4),
        (2, "detector", 1), (2, "visual", 1), (2, "visual", 4),
    ]  # fmt: skip
    assert all(0 < r.low_ms <= r.median_ms <= r.high_ms for r in report.rows)
    assert report.choice in {ONE, TWO}
    assert report.refused == ()


def test_missing_provider_is_told(bundle: Path) -> None:
    """A provider that can't run is listed with its reason, and doesn't stop the others."""
    report = bench(bundle, providers=("CUDAExecutionProvider", CPU), threads=(1,), batches=(1,), rounds=3)
    assert [refusal.provider for refusal in report.refused] == ["CUDAExecutionProvider"]
    assert report.choice == ONE


def test_nothing_to_choose_from(bundle: Path) -> None:
    """Without any provider there are no rows and no choice."""
    report = bench(bundle, providers=("CUDAExecutionProvider",), rounds=3)
    assert (report.rows, report.choice) == ((), None)


def test_shortest_image_is_chosen() -> None:
    """Detector and visual model count together."""
    assert choose([*_rows(ONE, 20, 5), *_rows(FAST, 4, 1), *_rows(TWO, 12, 4)]) == FAST
    assert choose([*_rows(ONE, 10, 20), *_rows(FAST, 30, 1)]) == FAST


def test_fewer_threads_win_a_tie() -> None:
    """A second thread that gains next to nothing is better spent on a second image."""
    assert choose([*_rows(TWO, 19.5, 5), *_rows(ONE, 20, 5)]) == ONE
    assert choose([*_rows(TWO, 12, 3), *_rows(ONE, 20, 5)]) == TWO


def test_files_for_other_machines_are_measured(bundle: Path) -> None:
    """A bundle that carries several files shows which is the fastest here."""
    data = (bundle / "visual.onnx").read_bytes()
    (bundle / "visual.arm.onnx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    variant = {"file": "visual.arm.onnx", "sha256": digest, "opset": 17, "precision": "fp32", "target": "arm"}
    toy.save_manifest(bundle, visual={"variants": [variant]})
    report = bench(bundle, providers=(CPU,), threads=(1,), batches=(1,), rounds=3, targets=("x86", "arm"))
    assert [(r.variant.target, r.file) for r in report.rows if r.part == "visual"] == [
        ("x86", "visual.onnx"),
        ("arm", "visual.arm.onnx"),
    ]
    assert report.choice is not None
    assert report.choice.target in {"x86", "arm"}


def test_files_that_there_arent_are_not_chosen(bundle: Path) -> None:
    """For a target without files of its own nothing is measured twice under another name."""
    targets: tuple[Target, ...] = ("x86", "arm", "tensorrt", "cuda")
    report = bench(bundle, providers=(CPU,), threads=(1,), batches=(1,), rounds=3, targets=targets)
    assert {row.variant.target for row in report.rows} == {target_of(CPU)}
    assert report.choice == Variant(CPU, 1, target_of(CPU))


def test_files_that_dont_suit_leave_others_in(bundle: Path) -> None:
    """A provider that passes over one file is still measured with the one that is its own."""
    data = (bundle / "visual.onnx").read_bytes()
    (bundle / "visual.cuda.onnx").write_bytes(data)
    own = {"file": "visual.cuda.onnx", "sha256": hashlib.sha256(data).hexdigest(), "opset": 17}
    own |= {"precision": "fp16", "target": "cuda"}
    toy.save_manifest(bundle, visual={"precision": "int8 dynamic", "variants": [own]})
    report = bench(
        bundle,
        providers=(CUDA,),
        threads=(1,),
        batches=(1,),
        rounds=3,
        targets=("x86", "cuda"),
        runtime=Bench(cuda=None),
    )
    assert [refusal.why for refusal in report.refused] == ["unsuited"]
    assert {row.variant.target for row in report.rows} == {"cuda"}


def test_progress_is_told(bundle: Path) -> None:
    """It begins with nothing, never goes back, and ends with all of it."""
    said: list[tuple[int, int]] = []
    bench(
        bundle,
        providers=(CPU,),
        threads=(1,),
        batches=(1,),
        rounds=3,
        told=lambda done, total: said.append((done, total)),
    )
    assert (said[0][0], said == sorted(said)) == (0, True)
    assert said[-1][0] == said[-1][1]
