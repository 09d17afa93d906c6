"""What an export is asked for; the same for every exporter."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge.vision.manifest import Target
from export.floors import Floors

Precision = Literal["auto", "int8-dynamic", "int8-static", "fp16", "fp32"]
Method = Literal["minmax", "entropy", "percentile"]
CPUS: tuple[Target, ...] = ("x86", "arm")


@dataclass(frozen=True)
class Options:
    """What an expert may want otherwise than the recipes do it.

    Attributes:
        method: how ranges of activations are found; None leaves it to the recipe.
        symmetric: activations around zero; None leaves it to the recipe.
        per_channel: a scale for each output channel of the weights.
        weight_bits: of weights in static int8; None leaves it to the recipe.
        leave_out: nodes that stay in float32 besides the exporter's own.
        whole: quantise every node, also those that the exporter knows to be left out; for showing why not.
        remedies: whether a form that misses a floor is mended and tried again.
    """

    method: Method | None = None
    symmetric: bool | None = None
    per_channel: bool = True
    weight_bits: Literal[7, 8] | None = None
    leave_out: tuple[str, ...] = ()
    whole: bool = False
    remedies: bool = True


@dataclass(frozen=True)
class Request:
    """What to make of a network.

    Attributes:
        precision: ``auto`` tries and takes the fastest that passes, ``fp32`` keeps everything.
        targets: machines to make files for; none means this machine's processor.
        calibration: folder with the user's own pictures for calibration; None takes made-up scenes.
        evaluation: folder with pictures for the gate; None as above.
        labels: label set that crops are told apart by.
        companion: bundle that completes a lone part for crops and visits; None takes the starter.
        floors: that have to be reached.
        options: for experts.
        timed: measure times; a rebuild that is only compared doesn't need them.
        pinned: by part, the name of the only precision that is tried; by ``PART for TARGET`` where a target
            has one of its own.
    """

    precision: Precision = "auto"
    targets: tuple[Target, ...] = ()
    calibration: Path | None = None
    evaluation: Path | None = None
    labels: str = "north-america"
    companion: Path | None = None
    floors: Floors = field(default_factory=Floors)
    options: Options = field(default_factory=Options)
    timed: bool = True
    pinned: Mapping[str, str] = field(default_factory=dict)

    def main(self) -> Target:
        """The target of the files that run everywhere: this machine's if asked for, else the first one."""
        return native() if native() in self.targets or not self.targets else self.targets[0]

    def others(self) -> tuple[Target, ...]:
        """Targets that may get files of their own, in the order asked for."""
        return tuple(target for target in dict.fromkeys(self.targets) if target != self.main())


def native() -> Target:
    """The target that this machine's processor is."""
    return "arm" if platform.machine().lower() in ("aarch64", "arm64") else "x86"
