"""What an export measured, for programs: ``report.json``; and the writing of all of it.

The form of ``report.json`` is ``docs/schemas/export/report.json``. People read ``report.md``
(:mod:`export.report_text`), with pictures where matplotlib is installed (:mod:`export.plots`).
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from edge.vision.manifest import PARTS, ModelFile
from export import plots
from export.evaluation import Provenance
from export.findings import Findings
from export.gate import Choice, Measured, Tried
from export.measure import plain
from export.report_text import markdown
from export.visits import Visits

SCHEMA = "edge.export-report/1"
PICTURES = "report"
_LIBRARIES = (
    "edge-camera-trap", "onnx", "onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "numpy",
    "opencv-python-headless", "torch", "transformers", "open-clip-torch", "ultralytics", "tokenizers",
)  # fmt: skip
_MOST_SENSITIVE = 50
_MOST_SKIPPED = 50


def write(folder: Path, found: Findings) -> None:
    """Write ``report.json``, ``report.md`` and the pictures into a bundle's folder.

    Raises:
        ExportError: a picture can't be drawn or written.
    """
    content = summary(folder, found)
    content["plots"], content["plots_missing"] = plots.draw(folder / PICTURES, found)
    (folder / "report.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (folder / "report.md").write_text(markdown(content), "utf-8")


def summary(folder: Path, found: Findings) -> dict[str, Any]:
    """The report as plain values, without the pictures."""
    return {
        "schema": SCHEMA,
        "bundle": found.manifest.name,
        "version": found.manifest.version,
        "license": found.manifest.license,
        "sources": [source.model_dump() for source in found.manifest.sources],
        "machine": _machine(found.threads),
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
        "seconds": round(found.seconds, 1),
        "precision_asked": found.request.precision,
        "labels": found.request.labels,
        "images": found.evaluation.kind,
        "calibration": found.calibration.kind,
        "material": {
            "calibration": _material(found.calibration),
            "evaluation": _material(found.evaluation),
        },
        "floors": found.request.floors.model_dump(),
        "difference_from_framework": {name: plain(v) for name, v in found.differences.items()},
        "parts": {
            name: _part(folder, found, name, section)
            for name in PARTS
            if (section := getattr(found.manifest, name)) is not None
        },
        "refused": [
            f"{choice.part} for {choice.target}: {tried}"
            for choice in found.choices
            for tried in choice.tried
            if tried.lacking
        ],
        "visits": None if found.visits is None else _visits(found.visits),
    }


def _machine(threads: int) -> dict[str, Any]:
    return {
        "processor": processor(),
        "system": platform.machine(),
        "cores": os.cpu_count() or 1,
        "threads": threads,
        "python": platform.python_version(),
    }


def _material(from_where: Provenance) -> dict[str, Any]:
    """Counts and reasons; of very many reasons the first."""
    content = asdict(from_where)
    content["skipped"] = [asdict(skipped) for skipped in from_where.skipped[:_MOST_SKIPPED]]
    content["skipped_count"] = len(from_where.skipped)
    return content


def _part(folder: Path, found: Findings, name: Any, section: ModelFile) -> dict[str, Any]:
    """One graph: its files, and how each of them was decided on."""
    choices = [choice for choice in found.choices if choice.part == name]
    main = next((choice for choice in choices if choice.target == found.request.main()), None)
    main = main or (choices[0] if choices else None)
    return {
        "precision": section.precision,
        "bytes": (folder / section.file).stat().st_size,
        "reference_bytes": found.reference_bytes.get(name),
        "unquantised": list(section.unquantised),
        "unquantised_why": section.unquantised_why,
        **({} if main is None else _measured(main.chosen)),
        "targets": [_choice(choice) for choice in choices],
    }


def _measured(measured: Measured) -> dict[str, Any]:
    """Quality and cost; the cosines of single samples are for the histogram only."""
    quality = None if measured.quality is None else plain(measured.quality)
    if quality is not None:
        quality.pop("cosines", None)
    cost = plain(measured.cost)
    return {"quality": quality, "cost": {**cost, "speedup": plain(measured.cost.speedup)}}


def _choice(choice: Choice) -> dict[str, Any]:
    return {
        "target": choice.target,
        "speed_judged": choice.judged,
        "chosen": choice.chosen.candidate.precision,
        "tried": [_tried(tried, choice.chosen) for tried in choice.tried],
        "sensitivity": [
            {"node": node, "loss": plain(loss)} for node, loss in choice.sensitivity[:_MOST_SENSITIVE]
        ],
    }


def _tried(tried: Tried, chosen: Measured) -> dict[str, Any]:
    candidate = tried.measured.candidate
    return {
        "precision": candidate.precision,
        "chosen": tried.measured is chosen,
        "passed": not tried.lacking,
        "lacking": list(tried.lacking),
        "unquantised": list(candidate.unquantised),
        "why": candidate.why,
        **_measured(tried.measured),
    }


def _visits(visits: Visits) -> dict[str, Any]:
    content: dict[str, Any] = {name: getattr(visits, name) for name in _COUNTS}
    content["by_deployment"] = {
        name: {key: getattr(part, key) for key in _COUNTS} for name, part in visits.by_deployment.items()
    }
    content["differences"] = [plain(difference) for difference in visits.differences]
    return content


_COUNTS = ("images", "reference", "lost", "added", "relabelled", "recounted")


def processor() -> str:
    """The processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines: Sequence[str] = info.read_text("utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.processor() or "an unknown processor"


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""
