"""File systems that tests may break: ext4 in a file, and a small one in memory."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

import pytest

_EXT4_IOC_SHUTDOWN: Final = 0x8004587D
_NOLOGFLUSH: Final = 2
"""What the journal has in memory is lost too, as with the power."""


@dataclass
class PowerlessDisk:
    """An ext4 whose power can be cut."""

    image: Path
    folder: Path

    def mount(self) -> None:
        """Power on; the journal is replayed."""
        subprocess.run(["mount", "-o", "loop", str(self.image), str(self.folder)], check=True)

    def unmount(self) -> None:
        """Take it away; what the kernel still holds of it is dropped."""
        subprocess.run(["umount", str(self.folder)], check=True)

    def cut(self) -> None:
        """From now on nothing more reaches the disk, and everything that tries gets an error."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NOLOGFLUSH))
        finally:
            os.close(descriptor)


@contextmanager
def powerless_disk(folder: Path, megabytes: int = 128) -> Iterator[PowerlessDisk]:
    """An ext4 that is mounted; skips the test where that isn't possible."""
    for tool in ("mkfs.ext4", "mount", "umount"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a file system")
    disk = PowerlessDisk(folder / "disk.img", folder / "disk")
    disk.folder.mkdir()
    with disk.image.open("wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(disk.image)], check=True)
    try:
        disk.mount()
    except subprocess.CalledProcessError:
        pytest.skip("can't mount a file as a disk here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk.folder)], check=False)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of so many MB in memory; skips the test where that isn't possible."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs root, to mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@contextmanager
def filled(folder: Path, leave: int = 0) -> Iterator[Path]:
    """The disk is full while the block runs, but for ``leave`` bytes; deleting the file frees it.

    With ``leave`` it is never fuller than that, not even for a moment: who writes meanwhile can.
    """
    path = folder / "filling"
    with path.open("wb", buffering=0) as file:
        if leave:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free - leave)
        else:
            _write_until_full(file)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _write_until_full(file: FileIO) -> None:
    with suppress(OSError):
        while True:
            file.write(b"x" * 4096)
