"""Everything that goes into a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge.vision.manifest import Parts
from export.evaluation import Provenance
from export.gate import Choice
from export.network import PartName
from export.request import Request
from export.visits import Visits


@dataclass(frozen=True)
class Findings:
    """What an export asked for, tried, measured and decided.

    Attributes:
        manifest: of the finished folder.
        request: what was asked for, with the floors.
        differences: of each fp32 graph from its framework, as a share of the framework's range.
        choices: one for each part and target; none where everything stays in fp32.
        visits: against the fp32 twin; None where nothing differs from it.
        calibration: which images ranges were measured on.
        evaluation: which images the gate looked at.
        reference_bytes: sizes of the fp32 graphs.
        threads: in each run that was timed.
        seconds: that it took in all; 0 if nobody looked at the clock.
    """

    manifest: Parts
    request: Request
    differences: Mapping[PartName, float]
    choices: Sequence[Choice]
    visits: Visits | None
    calibration: Provenance
    evaluation: Provenance
    reference_bytes: Mapping[PartName, int] = field(default_factory=dict)
    threads: int = 1
    seconds: float = 0.0
