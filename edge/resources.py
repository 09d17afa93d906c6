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
    return _find("configs/edge.toml").read_text("utf-8")


def shipped_units() -> dict[str, Path]:
    """The systemd units that come with this version: path below ``/etc/systemd/system`` -> file.

    Raises:
        EdgeError: the installation lacks them.
    """
    names = (
        "edge.service",
        "edge.service.d/gpu.conf",
        "edge.service.d/openvino.conf",
        "edge-backup.service",
        "edge-backup.timer",
        "edge-import@.service",
        "edge-web.service",
    )
    return {name: _find(f"systemd/{name}") for name in names}


def shipped_system_files() -> dict[str, Path]:
    """What else belongs to the service: path below ``/etc`` -> file.

    Raises:
        EdgeError: the installation lacks them.
    """
    names = {
        "sysusers.d/edge.conf": "edge.sysusers.conf",
        "tmpfiles.d/edge.conf": "edge.tmpfiles.conf",
        "udev/rules.d/90-edge-import.rules": "90-edge-import.rules",
    }
    return {target: _find(f"systemd/{name}") for target, name in names.items()}


def _find(name: str) -> Path:
    for folder in (_PACKAGE / "_data", _PACKAGE.parent):
        if (folder / name).is_file():
            return folder / name
    raise EdgeError("installation is incomplete", subject=name, hint="install the package again")
