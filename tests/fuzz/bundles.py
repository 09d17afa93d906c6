"""Readers of model bundles and of what is kept beside them: manifests, golden samples, tokenizers, caches."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from edge.errors import VisionError
from edge.vision.bundles import list_bundles, verify_bundle
from edge.vision.labels import Label, LabelSet
from edge.vision.manifest import MANIFEST, load_manifest
from edge.vision.prompts import cached_label_vectors
from edge.vision.selftest import load_golden
from edge.vision.text import TextTower
from tests.fuzz.damage import damaged
from tests.fuzz.target import Target
from tests.fuzz.texts import DEEP, deep_json, long_number
from tests.vision import toy

_FOLDER = Path(tempfile.mkdtemp(prefix="edge-fuzz-"))
_BUNDLE = toy.save_bundle(_FOLDER / "toy")
_GOOD = (_BUNDLE / MANIFEST).read_bytes()
_LABELS = LabelSet(
    name="two", labels=(Label(label="a", prompts=("red",)), Label(label="b", prompts=("green",)))
)


def _manifest(text: bytes) -> None:
    folder = _FOLDER / "damaged"
    if not folder.exists():
        shutil.copytree(_BUNDLE, folder)
    (folder / MANIFEST).write_bytes(text)
    list_bundles((_FOLDER,))
    verify_bundle(folder)


def _with(name: str, key: str, use: Callable[[], object]) -> Callable[[bytes], None]:
    """A file of the bundle in another form, with a manifest that vouches for it."""
    good = (_BUNDLE / name).read_bytes()

    def read(data: bytes) -> None:
        (_BUNDLE / name).write_bytes(data)
        old, new = (hashlib.sha256(content).hexdigest().encode() for content in (good, data))
        (_BUNDLE / MANIFEST).write_bytes(_GOOD.replace(old, new))
        try:
            use()
        finally:
            (_BUNDLE / name).write_bytes(good)
            (_BUNDLE / MANIFEST).write_bytes(_GOOD)

    assert key.encode() in _GOOD
    return read


def _golden() -> None:
    load_golden(_BUNDLE, load_manifest(_BUNDLE), ("detector", "visual", "text"))


def _tokenizer() -> None:
    TextTower(_BUNDLE, load_manifest(_BUNDLE)).embed(["red fox", ""])


def _npz(**arrays: object) -> bytes:
    out = io.BytesIO()
    np.savez(out, **{name: np.asarray(value) for name, value in arrays.items()})  # type: ignore[arg-type]  # arrays
    return out.getvalue()


def _cache(data: bytes) -> None:
    """A damaged cache is one that isn't there."""
    folder = _FOLDER / "cache"
    path = folder / f"prompts-{'c' * 16}-{_LABELS.sha256()[:16]}.npz"
    folder.mkdir(exist_ok=True)
    path.write_bytes(data)
    vectors = cached_label_vectors(
        _LABELS, "c" * 64, folder, lambda texts: np.eye(3, dtype=np.float32)[: len(texts)]
    )
    assert vectors.shape[0] == 2
    assert vectors.dtype == np.float32


_TOML_WORDS = [
    b"[",
    b"]",
    b"=",
    b'"',
    b"\n",
    b"1e400",
    b"nan",
    b"-1",
    b"../../x",
    b"\0",
    b"true",
    b"[[sources]]\n",
]
_ZIP_WORDS = [
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"\xff\xff\xff\xff",
    b"\x93NUMPY",
    b"'descr': '|O'",
    b"(9" + b"9" * 15,
]
_KEY = f"{'c' * 64}:{_LABELS.sha256()}"
_REFUSALS = (VisionError,)
_NEST = st.one_of(DEEP.map(deep_json), DEEP.map(long_number)).map(lambda value: b"name = " + value)

TARGETS: list[Target[Any]] = [
    Target("manifests", st.one_of(damaged([_GOOD], _TOML_WORDS), _NEST), _manifest, _REFUSALS),
    Target(
        "golden samples",
        st.one_of(damaged([(_BUNDLE / "golden.npz").read_bytes()], _ZIP_WORDS), st.binary(max_size=60)),
        _with("golden.npz", "golden", _golden),
        _REFUSALS,
    ),
    Target(
        "tokenizers",
        st.one_of(
            damaged([(_BUNDLE / "tokenizer.json").read_bytes()], [b"{", b"}", b"null", b'"']),
            DEEP.map(deep_json),
        ),
        _with("tokenizer.json", "tokenizer", _tokenizer),
        _REFUSALS,
    ),
    Target(
        "kept embeddings of labels",
        damaged(
            [_npz(key=_KEY, vectors=np.eye(2, 3, dtype=np.float32)), _npz(key=_KEY, vectors=["a", "b"])],
            _ZIP_WORDS,
        ),
        _cache,
        (),
    ),
]
