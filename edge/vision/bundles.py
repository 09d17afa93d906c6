"""Where bundles are: the state folder first, then what came with the product, or any folder by its path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import BundleError, NoBundleError
from edge.vision.data import bundle_folders
from edge.vision.manifest import (
    MANIFEST,
    Manifest,
    Parts,
    bundle_sha256,
    load_manifest,
    load_parts,
    verify_files,
)


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """A bundle that was found.

    Attributes:
        name: by which it can be asked for: its folder's name.
        path: the folder.
        sha256: its identity; empty if the manifest can't be read.
        bytes: size of its files.
        manifest: what it says of itself, or None.
        problem: why it can't be used, or empty.
        missing: parts that it would need to be a bundle; `edge export bundle` joins it with another.
    """

    name: str
    path: Path
    sha256: str
    bytes: int
    manifest: Parts | None
    problem: str = ""
    missing: tuple[str, ...] = ()


def find_bundle(name: str | Path, extra: Sequence[Path] = ()) -> Path:
    """The folder of a bundle.

    Args:
        name: of a bundle, or a folder that holds one.
        extra: folders to search first, e.g. ``models`` in the state folder.

    Raises:
        NoBundleError: there is no such bundle.
    """
    path = Path(name).expanduser()
    if len(path.parts) > 1 or (path / MANIFEST).is_file():
        if (path / MANIFEST).is_file():
            return path
        raise NoBundleError("no model bundle here", subject=str(path), hint=f"the folder has no {MANIFEST}")
    for folder in (*extra, *bundle_folders()):
        if (folder / path / MANIFEST).is_file():
            return folder / path
    known = ", ".join(entry.name for entry in list_bundles(extra)) or "none"
    raise NoBundleError("no such model bundle", subject=str(name), hint=f"installed: {known}")


def list_bundles(extra: Sequence[Path] = ()) -> list[BundleEntry]:
    """Every bundle that can be asked for by name, usable or not; earlier folders win."""
    found: dict[str, BundleEntry] = {}
    for folder in (*extra, *bundle_folders()):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if (path / MANIFEST).is_file() and path.name not in found:
                found[path.name] = _entry(path)
    return sorted(found.values(), key=lambda entry: entry.name)


def verify_bundle(path: Path) -> Manifest:
    """Read a bundle's manifest and compare every file with it.

    Raises:
        BundleError: the manifest can't be understood, a file is missing, or its bytes differ.
    """
    manifest = load_manifest(path)
    verify_files(path, manifest)
    return manifest


def _entry(path: Path) -> BundleEntry:
    try:
        manifest = load_parts(path)
    except BundleError as error:
        return BundleEntry(path.name, path, "", 0, None, str(error))
    sizes = [(path / name).stat().st_size for name in manifest.files() if (path / name).is_file()]
    missing = sorted(name for name in manifest.files() if not (path / name).is_file())
    problem = f"missing: {', '.join(missing)}" if missing else ""
    return BundleEntry(
        path.name, path, bundle_sha256(path), sum(sizes), manifest, problem, manifest.missing()
    )
