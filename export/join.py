"""A detector and a classifier from two folders, as one bundle."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ExportError
from edge.vision.manifest import PARTS, Golden, Manifest, Parts, load_parts, verify_files
from edge.vision.providers import GPU, short_name, target_of, unsuited
from export.folder import GOLDEN, LICENSES, NOTICE
from export.manifest import digest, write_manifest
from export.network import PartName

Put = Callable[[Path, Path], object]
REPORTS = "reports"
_OF_DETECTOR: tuple[PartName, ...] = ("detector",)
_OF_CLASSIFIER: tuple[PartName, ...] = ("visual", "text")
_OPERATOR = re.compile(r"\b(AND|OR)\b")


def join(out: Path, detector: Path, classifier: Path, name: str, put: Put = shutil.copyfile) -> Manifest:
    """Write a bundle of one folder's detector and another's classifier.

    Args:
        out: an existing, empty folder.
        detector: folder whose detector is taken.
        classifier: folder whose visual and text parts are taken.
        name: of the bundle.
        put: how a file gets there; a link will do for a folder that is soon thrown away.

    Raises:
        BundleError: a folder has no manifest, or a file differs from it.
        ExportError: a part is missing, or the visual and the text part don't belong together.
    """
    ours, theirs = _checked(detector, _OF_DETECTOR), _checked(classifier, _OF_CLASSIFIER)
    sections = {"detector": ours.detector, "visual": theirs.visual, "text": theirs.text}
    for folder, parts, names in ((detector, ours, _OF_DETECTOR), (classifier, theirs, _OF_CLASSIFIER)):
        for file in _files(parts, names):
            put(folder / file, out / file)
    _write_golden(out / GOLDEN, ((detector, ours, _OF_DETECTOR), (classifier, theirs, _OF_CLASSIFIER)))
    _copy_texts(out, (detector, classifier))
    manifest = Manifest(
        name=name,
        version=_one(ours.version, theirs.version, "+"),
        license=licenses(ours.license, theirs.license),
        notes=" ".join(dict.fromkeys(text for text in (theirs.notes, ours.notes) if text)),
        sources=tuple(dict.fromkeys((*ours.sources, *theirs.sources))),
        golden=Golden(
            file=GOLDEN,
            sha256=digest(out / GOLDEN),
            min_cosine={
                **{part: ours.golden.min_cosine[part] for part in _OF_DETECTOR},
                **{part: theirs.golden.min_cosine[part] for part in _OF_CLASSIFIER},
            },
        ),
        **sections,
    )
    write_manifest(out, manifest)
    return manifest


def held_back(manifest: Manifest) -> list[str]:
    """Providers that one part keeps the others from, in words: the device runs all images' parts on one.

    A detector with a file for TensorRT gains nothing by it beside a classifier that has none.
    """
    said = []
    for provider in sorted(GPU):
        target = target_of(provider)
        parts = {"detector": manifest.detector, "visual": manifest.visual}
        unfit = {name: unsuited(provider, part.stored_for(target)) for name, part in parts.items()}
        if any(unfit.values()) and not all(unfit.values()):
            (good,) = (name for name, why in unfit.items() if not why)
            (reason,) = filter(None, unfit.values())
            short = short_name(provider)
            said.append(f"{short} won't be used, though the {good} part suits it: {reason}")
    return said


def _checked(folder: Path, names: Sequence[PartName]) -> Parts:
    parts = load_parts(folder)
    missing = [name for name in names if getattr(parts, name) is None or name not in parts.golden.min_cosine]
    if missing:
        raise ExportError(
            f"folder has no {' and no '.join(missing)}",
            subject=str(folder),
            hint=f"it has: {', '.join(part for part in PARTS if getattr(parts, part) is not None)}",
        )
    verify_files(folder, parts)
    return parts


def _files(parts: Parts, names: Sequence[PartName]) -> list[str]:
    """Every file of some parts; names have to be plain, so that nothing lands outside the folder."""
    found = [file for name in names for file in getattr(parts, name).files()]
    if "text" in names and parts.text is not None:
        found.append(parts.text.tokenizer)
    for file in found:
        if Path(file).name != file:
            raise ExportError("manifest names a file in another folder", subject=file)
    return found


def _write_golden(out: Path, sides: Sequence[tuple[Path, Parts, Sequence[PartName]]]) -> None:
    content: dict[str, NDArray[Any]] = {}
    for folder, parts, names in sides:
        with np.load(folder / parts.golden.file, allow_pickle=False) as samples:
            content |= {key: samples[key] for key in samples if key.partition(".")[0] in names}
    np.savez_compressed(out, allow_pickle=False, **content)


def licenses(*expressions: str) -> str:
    """SPDX expressions joined with AND; each operand once, and those with OR in brackets."""
    operands: dict[str, None] = {}
    for expression in expressions:
        if " OR " in expression or "(" in expression:
            operands[f"({expression})" if _OPERATOR.search(expression) else expression] = None
        else:
            operands |= dict.fromkeys(part.strip() for part in expression.split(" AND "))
    return " AND ".join(sorted(operands)) if len(operands) > 1 else next(iter(operands)).strip("()")


def _one(first: str, second: str, between: str) -> str:
    return first if first == second else f"{first}{between}{second}"


def _copy_texts(out: Path, folders: Sequence[Path]) -> None:
    """Licences and notices of both; two different texts of one name are both kept."""
    notices: dict[str, None] = {}
    for folder in folders:
        if (folder / NOTICE).is_file():
            notices[(folder / NOTICE).read_text("utf-8").strip()] = None
        for text in sorted((folder / LICENSES).glob("*")):
            _keep_text(out / LICENSES, text)
    if notices:
        (out / NOTICE).write_text("\n\n".join(notices) + "\n", "utf-8")


def _keep_text(folder: Path, text: Path) -> None:
    folder.mkdir(exist_ok=True)
    content = text.read_bytes()
    for number in range(1, 100):
        target = folder / (text.name if number == 1 else f"{text.stem}-{number}{text.suffix}")
        if not target.exists():
            target.write_bytes(content)
            return
        if target.read_bytes() == content:
            return


def keep_reports(out: Path, sides: Mapping[str, Path]) -> None:
    """Copy what each side's export measured to ``reports/<side>``, pictures included."""
    for name, folder in sides.items():
        for source in sorted(
            folder.glob("report*")
        ):  # files, the pictures' folder, and those of a joined side
            target = out / REPORTS / name / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copyfile(source, target)
