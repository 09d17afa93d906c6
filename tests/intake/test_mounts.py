"""The mount table: which folders must be polled."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import IntakeError
from edge.intake.mounts import Mount, Mounts, parse_mountinfo, read_mounts

TABLE = r"""
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:44 / /srv/drop rw shared:1 - nfs4 server:/export rw,vers=4.2
41 40 0:45 / /srv/drop/cam\040one rw shared:2 master:3 - cifs //nas/cam rw
42 27 8:1 / /srv/dropped rw - vfat /dev/sda1 rw
43 42 8:2 / /srv/dropped rw - exfat /dev/sdb1 rw
44 27 0:46 / /media/phone rw - fuse.sshfs phone: rw
45 27 8:3 / /media/disk rw - fuseblk /dev/sdc1 rw
nonsense

""".strip("\n")


def _mounts(folder: str) -> Mounts:
    return Mounts(parse_mountinfo(TABLE), folder)


def test_parses_points_and_types_and_leaves_odd_lines_out() -> None:
    """Optional fields may be there or not; blanks are escaped."""
    mounts = parse_mountinfo(TABLE)
    assert mounts[0] == Mount("/", "ext4")
    assert mounts[2] == Mount("/srv/drop/cam one", "cifs")
    assert len(mounts) == 7


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/srv/drop", "nfs4", True),
        ("/srv/drop/cam one/DCIM", "cifs", True),
        ("/srv/drop/cam one more", "nfs4", True),
        ("/srv/dropped/x", "exfat", False),
        ("/media/phone", "fuse.sshfs", True),
        ("/media/disk/DCIM", "fuseblk", False),
        ("/home", "ext4", False),
    ],
)
def test_the_longest_mount_point_decides(path: str, kind: str, network: bool) -> None:
    """Whole parts of the path only; of two mounts on one point the later covers the earlier."""
    mounts = _mounts("/")
    assert (mounts.kind(path), mounts.is_network(path)) == (kind, network)


def test_mounts_elsewhere_make_no_difference() -> None:
    """Only what is above or below the folder counts as a change."""
    other = parse_mountinfo(TABLE + "50 27 0:50 / /media/new rw - tmpfs none rw\n")
    below = parse_mountinfo(TABLE + "50 27 0:50 / /srv/drop/cam2 rw - tmpfs none rw\n")
    assert Mounts(other, "/srv/drop") == _mounts("/srv/drop")
    assert Mounts(below, "/srv/drop") != _mounts("/srv/drop")


def test_reads_this_machine_s_table(tmp_path: Path) -> None:
    """The folder needn't exist."""
    assert read_mounts(tmp_path / "missing").kind(str(tmp_path))


def test_a_table_that_can_t_be_read_is_an_error(tmp_path: Path) -> None:
    """It says which."""
    with pytest.raises(IntakeError, match="can't read the mount table"):
        read_mounts(tmp_path, tmp_path / "missing")
