"""Made-up findings for tests of reports and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge.vision.manifest import Parts
from export import measure
from export.choice import Skipped
from export.evaluation import Provenance
from export.findings import Findings
from export.gate import Candidate, Choice, Measured, Tried
from export.measure import Boxes, Cost, Paired, Share, Spread, Vectors
from export.request import Request
from export.visits import Difference, Visits

ZERO = "0" * 64
_STORED = {"sha256": ZERO, "opset": 17}
_IMAGE = {"name": "x", "width": 8, "height": 8, "layout": "NHWC", "dtype": "uint8"}
MANIFEST = {
    "name": "toy",
    "version": "1.2",
    "license": "MIT AND Apache-2.0",
    "sources": [
        {"name": "weights", "version": "3", "file": "w.pt", "sha256": ZERO, "license": "MIT", "origin": "o"}
    ],
    "detector": {
        "file": "detector.onnx", "precision": "int8 QDQ, 1 node fp32", "input": _IMAGE, "decoder": "boxes",
        "outputs": {"boxes": "b", "scores": "s"}, "classes": ["animal"], "class_map": {"animal": "animal"},
        "thresholds": {"animal": 0.2, "person": 0.3, "vehicle": 0.3, "iou": 0.5},
        "unquantised": ["head.0"], "unquantised_why": "the head loses most", **_STORED,
    },
    "visual": {
        "file": "visual.onnx", "precision": "int8 dynamic", "input": _IMAGE, "output": "y", "dimension": 4,
        "logit_scale": 100, **_STORED,
    },
    "text": {
        "file": "text.onnx", "precision": "fp32", "ids": "i", "mask": "m", "output": "y", "max_tokens": 8,
        "tokenizer_sha256": ZERO, **_STORED,
    },
    "golden": {"sha256": ZERO, "min_cosine": {}},
}  # fmt: skip


def cost(size: int, run: float, reference: float = 40.0) -> Cost:
    """Times with a middle half of a tenth around them."""
    spread = [Spread(0.95 * ms, ms, 1.05 * ms) for ms in (run, reference, reference / run)]
    return Cost.of(size, 12.0, Paired(*spread))


def vectors(count: int = 300, noise: float = 0.02) -> Vectors:
    """Embeddings with some noise, against themselves."""
    random = np.random.default_rng(1)
    rows = random.normal(size=(count, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    other = rows + noise * random.normal(size=rows.shape) * random.uniform(0.2, 2, (count, 1))
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    return measure.vectors(rows, other, rows[:12], 20)


def boxes() -> Boxes:
    """Most boxes found again, fewer of the small ones."""
    recalled = {"all": Share(95, 98), "small": Share(10, 12), "medium": Share(60, 61), "large": Share(25, 25)}
    precise = {"all": Share(95, 97), "small": Share(10, 11), "medium": Share(60, 61), "large": Share(25, 25)}
    recall, precision = ({name: share.value for name, share in each.items()} for each in (recalled, precise))
    return Boxes(98, recall, precision, recalled, precise, images=80, same_count=76, emptied=1, filled=2)


def _tried(name: str, quality: Vectors | Boxes | None, price: Cost, *lacking: str) -> Tried:
    candidate = Candidate(name, lambda: None, ("head.0",) if "1 node" in name else (), "the head loses most")
    return Tried(Measured(candidate, Path("x.onnx"), quality, price), lacking)


def choices() -> tuple[Choice, ...]:
    """A detector that was mended, a classifier that passed at once."""
    first = _tried("int8 QDQ", boxes(), cost(2_900_000, 11.0), "recall 0.9500 < 0.9700")
    mended = _tried("int8 QDQ, 1 node fp32", boxes(), cost(3_000_000, 12.5))
    slow = _tried(
        "fp16 weights", None, cost(5_300_000, 39.0), "no faster than int8 QDQ, 1 node fp32, which passes"
    )
    worst = (("head.0", 0.31), *((f"/model.{i}/cv{i % 3}/conv/Conv", 0.2 / (1 + i)) for i in range(20)))
    named = _tried("int8 dynamic", vectors(), cost(88_000_000, 30.0, 120.0))
    return (
        Choice("detector", "x86", mended.measured, (first, mended, slow), worst),
        Choice("visual", "x86", named.measured, (named,)),
    )


def visits() -> Visits:
    """Two cameras, one visit lost and one called otherwise."""
    differences = (
        Difference(
            "lost", "north", 1_600_000_000_000, 1_600_000_060_000, "fox x1", "", ("n/1.jpg", "n/2.jpg")
        ),
        Difference(
            "relabelled", "south", 1_600_003_600_000, 1_600_003_600_000, "bear x1", "boar x1", ("s/1.jpg",)
        ),
    )
    parts = {"north": Visits(12, 1, 0, 0, 0, 30), "south": Visits(8, 0, 0, 1, 0, 20)}
    return Visits(20, 1, 0, 1, 0, 50, parts, differences)


def findings(folder: Path, **changes: object) -> Findings:
    """Findings of a whole bundle; writes its files, which hold nothing."""
    manifest = Parts.model_validate(MANIFEST)
    for section in (manifest.detector, manifest.visual, manifest.text):
        assert section is not None
        (folder / section.file).write_bytes(bytes(1000))
    mine = Provenance(
        "own", 40, 400, 40, 2, 40, (Skipped("n/bad.jpg", "image is cut off or damaged"),), "a" * 64
    )
    made = Provenance("made up", 48, 48, 48, 1, 0, (), "b" * 64)
    content: dict[str, object] = {
        "manifest": manifest,
        "request": Request(targets=("x86",)),
        "differences": {"detector": 1e-6, "visual": 2e-6, "text": 3e-6},
        "choices": choices(),
        "visits": visits(),
        "calibration": mine,
        "evaluation": made,
        "reference_bytes": {"detector": 4000, "visual": 4000, "text": 1000},
        "seconds": 83.0,
    }
    return Findings(**(content | changes))  # type: ignore[arg-type]  # as typed above, but for the changes
