"""``edge models show``: what a bundle is, in readable form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from edge.cli.bundle_trials import BundleArgument, bundle_of
from edge.cli.common import ConfigOption, JsonOption, StateOption, configuration, out, write_json
from edge.cli.escaping import escape
from edge.vision.manifest import (
    PARTS,
    Detector,
    ImageInput,
    ModelFile,
    Parts,
    Stored,
    Text,
    Visual,
    bundle_sha256,
    load_parts,
)

_MB: Final = 1e6
_AGPL: Final = (
    "Weights under the AGPL: who hands this bundle on, or lets others use it over a network, has to offer "
    "them the source under the same licence; a commercial licence from the weights' owner lifts that."
)
Row = tuple[str, str]


def show_command(
    bundle: BundleArgument = None,
    *,
    config: ConfigOption = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a bundle is: parts, sizes, preprocessing, classes, licences, what its export measured.

    Examples:
        edge models show

        edge models show starter --json
    """
    settings = configuration(config, state=state).settings
    path = bundle_of(bundle, settings)
    manifest = load_parts(path)
    report = read_report(path)
    if as_json:
        write_json(
            {
                "path": str(path),
                "sha256": bundle_sha256(path),
                "bytes": {name: _size(path, name) for name in manifest.files()},
                "missing": list(manifest.missing()),
                "manifest": manifest.model_dump(mode="json"),
                "report": report,
            }
        )
        return
    for title, rows in _chapters(path, manifest, report):
        table = Table(box=None, show_header=False, title=title, title_justify="left", title_style="bold")
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(escape(name), escape(value))
        out.print(table)


def read_report(path: Path) -> dict[str, Any] | None:
    """What the export measured, or None where that isn't told or can't be read."""
    try:
        found = json.loads((path / "report.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _chapters(path: Path, manifest: Parts, report: dict[str, Any] | None) -> Iterator[tuple[str, list[Row]]]:
    yield manifest.name, list(_head(path, manifest))
    for part in PARTS:
        section = getattr(manifest, part)
        if section is not None:
            yield part, [*_part(path, section), *_measured(report, part)]
    yield (
        "sources",
        [
            (
                f"{source.name} {source.version}",
                f"{source.file}, {source.license}, from {source.origin or '?'}",
            )
            for source in manifest.sources
        ],
    )
    yield "report", list(_report(path, report))


def _head(path: Path, manifest: Parts) -> Iterator[Row]:
    yield "version", manifest.version
    yield "folder", str(path)
    yield "size", f"{sum(_size(path, name) for name in manifest.files()) / _MB:.1f} MB"
    yield "licence", manifest.license
    if "AGPL" in manifest.license:
        yield "", _AGPL
    if manifest.notes:
        yield "notes", manifest.notes
    if manifest.missing():
        yield "missing", f"{', '.join(manifest.missing())}: only parts of a bundle, see edge export bundle"
    cosines = (f"{part} {least:g}" for part, least in manifest.golden.min_cosine.items())
    yield "self-test", f"cosine to the reference at least: {', '.join(cosines)}"


def _part(path: Path, section: Detector | Visual | Text) -> Iterator[Row]:
    yield from _files(path, section)
    if isinstance(section, Detector):
        yield "input", _pixels(section.input)
        yield "decoder", section.decoder
        by_kind: dict[str, list[str]] = {}
        for name in section.classes:
            if name in section.class_map:
                by_kind.setdefault(section.class_map[name], []).append(name)
        for kind, names in by_kind.items():
            yield kind, ", ".join(names)
        t = section.thresholds
        yield "thresholds", f"animal {t.animal:g}, person {t.person:g}, vehicle {t.vehicle:g}, iou {t.iou:g}"
    elif isinstance(section, Visual):
        yield "input", f"{_pixels(section.input)}, crops with a margin of {section.crop_margin:.0%}"
        yield "embedding", f"{section.dimension} numbers, logit scale {section.logit_scale:g}"
    else:
        yield "languages", ", ".join(section.languages)
        yield "texts", f"at most {section.max_tokens} tokens, cleaned: {section.clean}"


def _files(path: Path, section: ModelFile) -> Iterator[Row]:
    yield "file", _stored(path, section)
    for variant in section.variants:
        yield f"for {variant.target}", _stored(path, variant)
    if section.unquantised:
        yield "left in float", section.unquantised_why or ", ".join(section.unquantised)


def _stored(path: Path, stored: Stored) -> str:
    size = _size(path, stored.file) / _MB
    return f"{stored.file}, {stored.precision}, {size:.1f} MB, opset {stored.opset}"


def _pixels(spec: ImageInput) -> str:
    """Size and preprocessing of a graph's input."""
    text = f"{spec.width} x {spec.height} {spec.layout} {spec.dtype}, {spec.resize}, {spec.interpolation}"
    if spec.mean is None or spec.std is None:
        return text
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (spec.mean, spec.std))
    return f"{text}, mean {mean}, std {std}"


def _measured(report: dict[str, Any] | None, part: str) -> Iterator[Row]:
    """What the report says of a part's file: quality, then time against fp32."""
    parts = (report or {}).get("parts")
    found = parts.get(part) if isinstance(parts, dict) else None
    if not isinstance(found, dict):
        return
    quality, cost = found.get("quality"), found.get("cost")
    if isinstance(quality, dict):
        yield "against fp32", ", ".join(_figures(quality))
    if isinstance(cost, dict):
        yield "cost", ", ".join(_figures(cost))


def _figures(values: dict[str, Any], before: str = "") -> Iterator[str]:
    """Numbers with their names; of tables only what is about everything."""
    for name, value in values.items():
        if isinstance(value, dict):
            if isinstance(value.get("all"), int | float):
                yield f"{name} {value['all']:g}"
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{name.replace('_', ' ')} {value:g}"


def _report(path: Path, report: dict[str, Any] | None) -> Iterator[Row]:
    if report is None:
        yield "report", "none, or it can't be read"
        return
    machine, visits = report.get("machine"), report.get("visits")
    if isinstance(machine, dict):
        yield "measured on", ", ".join(str(value) for value in machine.values())
    if isinstance(visits, dict):
        yield "visits", ", ".join(_figures(visits))
    yield "in full", str(path / "report.md")
    plots = sorted((path / "report").glob("*.png")) + sorted((path / "report").glob("*.svg"))
    yield "plots", f"{len(plots)} in {path / 'report'}" if plots else "none"


def _size(path: Path, name: str) -> int:
    file = path / name
    return file.stat().st_size if file.is_file() else 0
