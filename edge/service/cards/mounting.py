"""A card by its device: mounted read-only for as long as it is needed."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.errors import IntakeError, UsageError

OPTIONS: Final = "ro,nosuid,nodev,noexec"
_TIMEOUT: Final = 60.0


def is_device(path: Path) -> bool:
    """Whether a path is a block device, such as ``/dev/sdb1``."""
    try:
        return stat.S_ISBLK(path.stat().st_mode)
    except OSError:
        return False


@contextmanager
def mounted(device: Path, options: str = OPTIONS) -> Iterator[Path]:
    """The folder where a device is mounted, read-only, while the block lasts.

    Raises:
        UsageError: only root may mount.
        IntakeError: it can't be mounted, or not unmounted.
    """
    if os.geteuid() != 0:
        raise UsageError(
            "only root may mount", subject=str(device), hint="use sudo, or give the card's folder"
        )
    with tempfile.TemporaryDirectory(prefix="edge-card-") as folder:
        _call(["mount", "-o", options, "--", str(device), folder], f"{device} can't be mounted")
        try:
            yield Path(folder)
        finally:
            _call(["umount", "--", folder], f"{device} can't be unmounted")


def _call(command: Sequence[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise IntakeError(what, subject=command[0], hint=str(error)) from error
    if done.returncode:
        raise IntakeError(what, hint=done.stderr.strip() or f"{command[0]} ended with {done.returncode}")
