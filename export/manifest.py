"""The one writer of bundles' manifests, and of their folders: whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from edge.errors import ExportError
from edge.vision.manifest import MANIFEST, Parts, Source, load_parts, verify_files
from export.sources import PinnedFile

_UNSAID = {"variants": [], "clean": "none"}
"""Defaults that a manifest doesn't say: older ones can't, and their identity is their bytes."""


def check_out(out: Path) -> None:
    """Whether a bundle may be put there; asked before anything that takes long.

    Raises:
        ExportError: ``out`` is something else than a bundle's folder, or can't be written.
    """
    if out.exists() and not (out / MANIFEST).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ExportError("not a bundle, so it isn't replaced", subject=str(out), hint="choose another --out")
    there = next(path for path in (out.absolute().parent, *out.absolute().parent.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ExportError("can't write here", subject=str(there), hint="choose another --out")


@contextmanager
def bundle_folder(out: Path) -> Iterator[Path]:
    """A folder to build in, which takes the place of ``out`` if everything went well.

    It lies beside ``out``, so that the last step is a rename. Whatever ends the block early, an error or
    Ctrl-C, leaves ``out`` as it was and nothing beside it.

    Raises:
        ExportError: ``out`` is something else than a bundle's folder, or can't be written, or the disk is
            full.
    """
    check_out(out)
    out = out.resolve()  # a link stays and what it leads to is replaced; ".." never passes through what moves
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise ExportError("can't write here", subject=str(out.parent), hint=str(error)) from error
    try:
        with disk_errors(out):
            yield building
        building.chmod(0o755)  # mkdtemp's folders are for their maker only
        _put(building, out)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def disk_errors(out: Path) -> Iterator[None]:
    """What the system says against reading or writing files, as this product's error.

    Raises:
        ExportError: the disk is full, or a file can't be read or written.
    """
    try:
        yield
    except OSError as error:
        where = str(error.filename2 or error.filename or out)  # of a copy that fails, where it should go
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ExportError(
                "disk is full; nothing was kept", subject=where, hint="TMPDIR says where scratch files go"
            ) from error
        hint = error.strerror or str(error)
        raise ExportError(
            "file can't be read or written; nothing was kept", subject=where, hint=hint
        ) from error


def _put(building: Path, out: Path) -> None:
    """Move a finished folder to its place; the one that was there goes when the new one is in."""
    old = building.with_name(f"{building.name}.old")
    try:
        if out.exists():
            os.replace(out, old)  # noqa: PTH105 - Path.replace is the same call
        building.rename(out)
    except OSError as error:
        raise ExportError(
            "finished bundle can't be put in place", subject=str(out), hint=str(error)
        ) from error
    finally:
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)
        elif old.exists():  # whatever came between, a signal too: the old one is all there is
            old.rename(out)


def write_manifest(folder: Path, manifest: Parts) -> None:
    """Write ``manifest.toml`` and read it back: what the device will read has to be what was meant.

    Args:
        folder: with the files.
        manifest: of a whole bundle or of some parts of one.

    Raises:
        BundleError: a file differs from what the manifest says of it.
        ExportError: the manifest can't be expressed in TOML without loss.
    """
    content = _said(manifest.model_dump(mode="json", exclude_none=True))
    (folder / MANIFEST).write_text(tomli_w.dumps(content, multiline_strings=True), "utf-8")
    if load_parts(folder).model_dump() != manifest.model_dump():
        raise ExportError("manifest changes when it is written", subject=str(folder / MANIFEST))
    verify_files(folder, manifest)


def _said(content: dict[str, Any]) -> dict[str, Any]:
    """A manifest's tables without the defaults that aren't said."""
    return {
        key: _said(value) if isinstance(value, dict) else value
        for key, value in content.items()
        if not (key in _UNSAID and value == _UNSAID[key])
    }


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
