"""Which file system a folder is on, from the kernel's own table."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from edge.errors import IntakeError

MOUNTINFO = Path("/proc/self/mountinfo")

# Others write to these without this kernel's knowing, so inotify stays silent.
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "glusterfs", "beegfs", "davfs"}
    | {"ncpfs", "coda", "ocfs2", "gfs2", "gpfs", "virtiofs", "vboxsf", "vmhgfs", "drvfs", "fuse"}
)
_ESCAPE = re.compile(r"\\([0-7]{3})")
_POINT, _OPTIONAL = 4, 6


class Mount(NamedTuple):
    """One mounted file system: where, and of what type."""

    point: str
    kind: str


class Mounts:
    """The mounts that decide over one folder and everything below it.

    Args:
        table: of all mounts, in the kernel's order; of two on one point the later covers the earlier.
        folder: absolute path, links resolved.
    """

    def __init__(self, table: Iterable[Mount], folder: str) -> None:
        uncovered = {m.point: m for m in table if _holds(m.point, folder) or _holds(folder, m.point)}
        self._by_length = sorted(uncovered.values(), key=lambda m: (-len(m.point), m.point))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mounts) and self._by_length == other._by_length

    __hash__ = None  # type: ignore[assignment]  # compared, never used as a key

    def kind(self, path: str) -> str:
        """Type of the file system that a path is on: the longest mount point above it; empty if unknown."""
        return next((m.kind for m in self._by_length if _holds(m.point, path)), "")

    def is_network(self, path: str) -> bool:
        """Whether changes can happen on that file system without this kernel's knowing.

        Every FUSE file system counts, but not ``fuseblk``, which is a local disk.
        """
        kind = self.kind(path)
        return kind in _NETWORK or kind.startswith("fuse.")


def read_mounts(folder: Path, table: Path = MOUNTINFO) -> Mounts:
    """The mounts around a folder, which need not exist.

    Raises:
        IntakeError: the kernel's table can't be read.
    """
    try:
        text = table.read_bytes()
    except OSError as error:
        raise IntakeError(f"can't read the mount table: {error.strerror}", subject=str(table)) from error
    return Mounts(parse_mountinfo(os.fsdecode(text)), os.path.realpath(folder))


def parse_mountinfo(text: str) -> list[Mount]:
    """Mounts from the text of ``/proc/self/mountinfo`` (proc_pid_mountinfo(5)); odd lines are left out."""
    mounts = []
    for line in text.split("\n"):
        fields = line.split(" ")
        if "-" in fields[_OPTIONAL:]:
            separator = fields.index("-", _OPTIONAL)
            mounts.append(Mount(_unescape(fields[_POINT]), "".join(fields[separator + 1 : separator + 2])))
    return mounts


def _unescape(field: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), field)


def _holds(folder: str, path: str) -> bool:
    return folder in ("/", path) or path.startswith(f"{folder}/")
