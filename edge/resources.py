"""Files that come with the product besides bundles and label sets."""

from __future__ import annotations

from pathlib import Path

from edge.errors import EdgeError

_PACKAGE = Path(__file__).resolve().parent


def default_configuration() -> str:
    """The commented default configuration.

    Raises:
        EdgeError: the installation lacks it.
    """
    for folder in (_PACKAGE / "_data" / "configs", _PACKAGE.parent / "configs"):
        path = folder / "edge.toml"
        if path.is_file():
            return path.read_text("utf-8")
    raise EdgeError(
        "installation is incomplete", subject="configs/edge.toml", hint="install the package again"
    )
