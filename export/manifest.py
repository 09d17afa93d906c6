"""The one writer of bundles' manifests, and of their folders: whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tomli_w

from edge.errors import ExportError
from edge.vision.manifest import MANIFEST, Manifest, Source, load_manifest, verify_files
from export.sources import PinnedFile


@contextmanager
def bundle_folder(out: Path) -> Iterator[Path]:
    """A folder to build in, which takes the place of ``out`` if everything went well.

    It lies beside ``out``, so that the last step is a rename. Whatever ends the block early, an error or
    Ctrl-C, leaves ``out`` as it was and nothing beside it.

    Raises:
        ExportError: ``out`` is something else than a bundle's folder, or can't be written.
    """
    if out.exists() and not (out / MANIFEST).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ExportError("not a bundle, so it isn't replaced", subject=str(out), hint="choose another --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise ExportError("can't write here", subject=str(out.parent), hint=str(error)) from error
    try:
        yield building
        building.chmod(0o755)  # mkdtemp's folders are for their maker only
        _put(building, out)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _put(building: Path, out: Path) -> None:
    """Move a finished folder to its place; the one that was there goes when the new one is in."""
    old = building.with_name(f"{building.name}.old")
    try:
        if out.exists():
            os.replace(out, old)  # noqa: PTH105 - Path.replace is the same call
        building.rename(out)
    except OSError as error:
        if old.exists() and not out.exists():
            old.rename(out)
        raise ExportError(
            "finished bundle can't be put in place", subject=str(out), hint=str(error)
        ) from error
    finally:
        shutil.rmtree(old, ignore_errors=True)


def write_manifest(bundle: Path, manifest: Manifest) -> None:
    """Write ``manifest.toml`` and read it back: what the device will read has to be what was meant.

    Raises:
        BundleError: a file differs from what the manifest says of it.
        ExportError: the manifest can't be expressed in TOML without loss.
    """
    content = manifest.model_dump(mode="json", exclude_none=True)
    (bundle / MANIFEST).write_text(tomli_w.dumps(content, multiline_strings=True), "utf-8")
    if load_manifest(bundle) != manifest:
        raise ExportError("manifest changes when it is written", subject=str(bundle / MANIFEST))
    verify_files(bundle, manifest)


def digest(path: Path) -> str:
    """A file's SHA-256."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def source_of(pinned: PinnedFile) -> Source:
    """What a manifest says of a file that went into a bundle."""
    return Source(
        name=pinned.package.name,
        version=pinned.package.version,
        file=pinned.member,
        sha256=pinned.sha256,
        license=pinned.license,
        origin=pinned.package.registry,
    )
