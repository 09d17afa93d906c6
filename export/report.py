"""What an export measured, for people (``report.md``) and programs (``report.json``)."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edge.vision.manifest import Manifest
from export.gate import Measured
from export.measure import Vectors, plain
from export.starter_gate import Request
from export.visits import Visits

_LIBRARIES = ("onnx", "onnxruntime", "numpy", "torch")


@dataclass(frozen=True)
class Findings:
    """Everything that goes into a report.

    Attributes:
        manifest: of the bundle.
        request: what was asked for.
        differences: of each fp32 graph from its framework, as a share of the reference's range.
        chosen: by part; empty for an fp32 bundle.
        refused: precisions that didn't pass, each with why.
        visits: against the fp32 twin.
    """

    manifest: Manifest
    request: Request
    differences: Mapping[str, float]
    chosen: Mapping[str, Measured]
    refused: tuple[str, ...]
    visits: Visits


def write(folder: Path, found: Findings) -> None:
    """Write both reports into a bundle's folder."""
    content = summary(folder, found)
    (folder / "report.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    (folder / "report.md").write_text(markdown(content), "utf-8")


def summary(folder: Path, found: Findings) -> dict[str, Any]:
    """The report as plain values."""
    parts = {
        "detector": found.manifest.detector,
        "visual": found.manifest.visual,
        "text": found.manifest.text,
    }
    return {
        "bundle": found.manifest.name,
        "version": found.manifest.version,
        "machine": {"processor": _processor(), "system": platform.machine(), "threads": 1},
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "images": "own" if found.request.evaluation else "made up",
        "calibration": "own" if found.request.calibration else "made up",
        "difference_from_framework": {name: float(f"{v:.2g}") for name, v in found.differences.items()},
        "parts": {
            name: {
                "precision": part.precision,
                "bytes": (folder / part.file).stat().st_size,
                "unquantised": list(part.unquantised),
                **_measured(found.chosen.get(name)),
            }
            for name, part in parts.items()
        },
        "refused": list(found.refused),
        "visits": plain(found.visits),
    }


def _measured(measured: Measured | None) -> dict[str, Any]:
    if measured is None:
        return {}
    cost = plain(measured.cost)
    del cost["bytes"]
    return {"quality": plain(measured.quality), "cost": {**cost, "speedup": round(measured.cost.speedup, 2)}}


def markdown(content: Mapping[str, Any]) -> str:
    """The report for people."""
    machine, libraries = content["machine"], content["libraries"]
    lines = [
        f"# {content['bundle']} {content['version']}: what the export measured",
        "",
        f"On {machine['processor']}, one thread, ONNX Runtime {libraries['onnxruntime']}.",
        f"Pictures for the gate: {content['images']}; for calibration: {content['calibration']}.",
        "",
        "| part | precision | MB | opens, ms | runs, ms | fp32, ms | against fp32 | off its framework |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, part in content["parts"].items():
        cost = part.get("cost", {})
        timing = " | ".join(
            f"{cost[key]:.1f}" if cost else "" for key in ("load_ms", "run_ms", "reference_ms")
        )
        lines.append(
            f"| {name} | {part['precision']} | {part['bytes'] / 1e6:.2f} | {timing} | "
            f"{_quality(part.get('quality'))} | {content['difference_from_framework'][name]:.1e} |"
        )
    seen = content["visits"]
    differ = ", ".join(f"{what} {seen[what]}" for what in ("lost", "added", "relabelled", "recounted"))
    lines += ["", f"Visits: {seen['reference']} with fp32; {differ}.", ""]
    lines += [f"Refused: {reason}\n" for reason in content["refused"]]
    return "\n".join(lines)


def _quality(quality: Mapping[str, Any] | None) -> str:
    if quality is None:
        return "is fp32"
    if set(quality) == set(Vectors.__dataclass_fields__):
        cosine = (
            f"mean {quality['mean']:.4f}, 1st percentile {quality['p1']:.4f}, least {quality['minimum']:.4f}"
        )
        same = f"{quality['agreement']:.3f}, where sure {quality['sure_agreement']:.3f}"
        return f"cosine {cosine}; same label {same} ({quality['samples']} samples)"
    recall = ", ".join(f"{size} {share:.3f}" for size, share in quality["recall"].items())
    precision = ", ".join(f"{size} {share:.3f}" for size, share in quality["precision"].items())
    return f"{quality['found']} boxes; recall {recall}; precision {precision}"


def _processor() -> str:
    """The processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "an unknown processor"


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""
