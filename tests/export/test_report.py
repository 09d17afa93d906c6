from __future__ import annotations

import json
from pathlib import Path

from export.gate import Candidate, Measured
from export.measure import Boxes, Cost, Vectors
from export.report import Findings, write
from export.starter_gate import Request
from export.visits import Visits
from tests.export.test_manifest import _filled


def test_a_report_says_what_was_measured_and_refused(tmp_path: Path) -> None:
    """Numbers, precisions, visits and refusals are in both forms."""
    manifest = _filled(tmp_path)
    chosen = {
        "detector": Measured(
            Candidate("fp32", lambda: None),
            None,
            Boxes(4, {"all": 0.75}, {"all": 1.0}),
            Cost(9, 1.0, 2.0, 4.0),
        ),
        "visual": Measured(
            Candidate("int8", lambda: None),
            None,
            Vectors(5, 0.998, 0.98, 0.97, 0.9, 1.0),
            Cost(9, 1.0, 2.0, 4.0),
        ),
    }
    differences = {"detector": 1e-6, "visual": 2e-6, "text": 3e-6}
    found = Findings(
        manifest, Request(), differences, chosen, ("visual: int4: too coarse",), Visits(7, 1, 0, 2, 0)
    )
    write(tmp_path, found)
    content = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert content["parts"]["detector"]["quality"]["recall"] == {"all": 0.75}
    assert content["parts"]["visual"]["cost"]["speedup"] == 2
    assert "quality" not in content["parts"]["text"]
    assert content["visits"]["relabelled"] == 2
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "cosine mean 0.9980" in text
    assert "Visits: 7 with fp32; lost 1, added 0, relabelled 2, recounted 0." in text
    assert "Refused: visual: int4: too coarse" in text
