"""Arrays from a file that anybody may have made (NumPy's ``.npz``, a ZIP archive of ``.npy`` files)."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

LARGEST: Final = 1 << 30
"""Bytes that all arrays of a file may take once unpacked: a small file can claim to hold terabytes."""

_UNREADABLE: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, NotImplementedError, RuntimeError,
    MemoryError, OverflowError, SyntaxError, tokenize.TokenError, TypeError, IndexError, AttributeError,
)  # fmt: skip
"""What the readers of ZIP and of arrays raise at damage, beside OSError and ValueError."""


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All arrays of a file, by name. Nothing in it is executed: arrays of Python objects are refused.

    Raises:
        OSError: it can't be opened or read.
        ValueError: it is damaged, is of another kind, or its arrays are too large.
    """
    try:
        with path.open("rb") as stream:
            _check_size(stream)
            with np.load(stream, allow_pickle=False) as content:
                return {name: content[name] for name in content}
    except _UNREADABLE as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _check_size(stream: Any) -> None:
    with zipfile.ZipFile(stream) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > LARGEST:
        raise ValueError(f"its arrays take {size} bytes, at most {LARGEST} are read")
    stream.seek(0)
