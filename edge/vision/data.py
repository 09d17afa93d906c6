"""Where files that come with the product lie: beside the package in a wheel, in the repository otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_INSTALLED: Final = _PACKAGE / "_data"
_REPOSITORY: Final = _PACKAGE.parent


def label_folders() -> tuple[Path, ...]:
    """Folders with label sets, in the order in which they are searched."""
    return _existing(_INSTALLED / "configs" / "labels", _REPOSITORY / "configs" / "labels")


def bundle_folders() -> tuple[Path, ...]:
    """Folders with model bundles, in the order in which they are searched."""
    return _existing(_INSTALLED / "models", _REPOSITORY / "models" / "onnx")


def _existing(*folders: Path) -> tuple[Path, ...]:
    return tuple(folder for folder in folders if folder.is_dir())
