"""A label set in the bundle's space: one vector for each label, computed once and kept on disk.

A label's vector is the mean of its prompts' unit vectors, scaled to length 1 (the prompt ensemble of
Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021).
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edge.errors import DiskFullError, EdgeError, VisionError
from edge.vision.labels import LabelSet
from edge.vision.npz import read_npz
from edge.vision.text import Vectors, unit

Embed = Callable[[Sequence[str]], Vectors]


def label_vectors(labels: LabelSet, embed: Embed) -> Vectors:
    """Embed a label set.

    Args:
        labels: n labels with their prompts.
        embed: texts to (len, d) unit vectors.

    Returns:
        (n, d) float32, each of length 1, in the set's order.
    """
    texts = sorted({prompt for label in labels.labels for prompt in label.prompts})
    place = {text: index for index, text in enumerate(texts)}
    vectors = unit(embed(texts))
    means = [vectors[[place[p] for p in label.prompts]].mean(0) for label in labels.labels]
    return unit(np.stack(means))


def cached_label_vectors(labels: LabelSet, bundle_sha256: str, cache: Path, embed: Embed) -> Vectors:
    """:func:`label_vectors`, computed only if it isn't on disk for this bundle and this set.

    Args:
        labels: the set.
        bundle_sha256: identity of the bundle that ``embed`` belongs to.
        cache: folder for the file; made if missing.
        embed: called only on a miss.

    Raises:
        DiskFullError: there is no space for the file; nothing is left behind.
        VisionError: the cache can't be written.
    """
    key = f"{bundle_sha256}:{labels.sha256()}"
    path = cache / f"prompts-{bundle_sha256[:16]}-{labels.sha256()[:16]}.npz"
    kept = _read(path, key)
    if kept is not None and len(kept) == len(labels.labels):
        return kept
    vectors = label_vectors(labels, embed)
    _write(path, key, vectors)
    return vectors


def _read(path: Path, key: str) -> Vectors | None:
    # A cache that can't be read is one that isn't there.
    try:
        content = read_npz(path)
    except (OSError, ValueError):
        return None
    if str(content.get("key")) != key or "vectors" not in content:
        return None
    vectors = content["vectors"]
    sound = vectors.dtype == np.float32 and vectors.ndim == 2 and np.isfinite(vectors).all()  # noqa: PLR2004  (n, d)
    return vectors if sound else None


def _write(path: Path, key: str, vectors: Vectors) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".prompts-", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as stream:
                np.savez(stream, key=np.array(key), vectors=vectors)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind: type[EdgeError] = DiskFullError if full else VisionError
        raise kind(
            "embeddings of the labels can't be kept", subject=str(path), hint=error.strerror or ""
        ) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
