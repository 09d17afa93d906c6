"""``edge import`` as it is called: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.toy_site import image


def _edge(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGE_")}
    environment |= {"EDGE_STORE__LOW_WATER": "0"}
    command = [sys.executable, "-m", "edge", "import", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Three images on a card that says whose it is."""
    folder = tmp_path / "card"
    (folder / "DCIM" / "100EDGE").mkdir(parents=True)
    (folder / "edge-card.toml").write_text('deployment = "cam-07"\n')
    for number in range(3):
        (folder / f"DCIM/100EDGE/IMG_{number:04}.JPG").write_bytes(image(number))
    return folder


def test_import_tells_numbers_in_json(card: Path, tmp_path: Path) -> None:
    """First everything is new, then everything is known; a dry run before says the same and does nothing."""
    drop = tmp_path / "drop"
    drop.mkdir()
    for options, new, known in ((("--dry-run",), 3, 0), ((), 3, 0), ((), 0, 3)):
        done = _edge(card, "--drop", drop, "--json", *options)
        said = json.loads(done.stdout)
        assert (done.returncode, said["new"], said["known"], said["complete"]) == (0, new, known, True)
        assert said["deployment"] == "cam-07"
    assert len(list((drop / "cam-07").rglob("*.JPG"))) == 3


def test_incomplete_import_ends_with_1_and_says_why(card: Path, tmp_path: Path) -> None:
    """Whoever wipes the card on success keeps what couldn't be taken."""
    (tmp_path / "drop").mkdir()
    (card / "DCIM/100EDGE/IMG_0009.JPG").write_bytes(bytes(65 * 1024 * 1024))
    done = _edge(card, "--drop", tmp_path / "drop")
    assert done.returncode == 1
    assert "1 refused" in done.stdout
    assert "DCIM/100EDGE/IMG_0009.JPG: larger than" in done.stdout
    assert "can be taken out" not in done.stdout


def test_nothing_to_import_is_not_called_safe(tmp_path: Path) -> None:
    """An empty mount point is no card whose images are all safe."""
    (tmp_path / "drop").mkdir()
    (tmp_path / "empty").mkdir()
    done = _edge(tmp_path / "empty", "--drop", tmp_path / "drop", "--deployment", "cam-07")
    assert done.returncode == 0
    assert "there are no images in" in done.stdout
    assert "can be taken out" not in done.stdout


def test_wrong_calls_end_with_2(tmp_path: Path) -> None:
    """No such card, or nobody says whose it is; with --only-cards a stick is left alone."""
    (tmp_path / "drop").mkdir()
    (tmp_path / "stick").mkdir()
    assert _edge(tmp_path / "none", "--drop", tmp_path / "drop").returncode == 2
    assert _edge(tmp_path / "stick", "--drop", tmp_path / "drop").returncode == 2
    done = _edge(tmp_path / "stick", "--drop", tmp_path / "drop", "--only-cards")
    assert (done.returncode, "left alone" in done.stdout) == (0, True)


@pytest.mark.slow
def test_device_is_mounted_read_only_and_unmounted(tmp_path: Path) -> None:
    """A file system in a loop device; its bytes are the same afterwards; not every kernel knows FAT."""
    mkfs, losetup = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin"), shutil.which("losetup")
    if os.geteuid() != 0 or mkfs is None or losetup is None:
        pytest.skip("needs root, e2fsprogs and losetup")
    (tmp_path / "drop").mkdir()
    (tmp_path / "content").mkdir()
    (tmp_path / "content" / "a.JPG").write_bytes(image(1))
    disk = tmp_path / "card.img"
    disk.write_bytes(bytes(4 * 1024 * 1024))
    subprocess.run([mkfs, "-q", "-d", tmp_path / "content", disk], check=True, capture_output=True)
    found = subprocess.run([losetup, "--find", "--show", disk], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"no loop device: {found.stderr.strip()}")
    device = found.stdout.strip()
    try:
        before = disk.read_bytes()
        done = _edge(device, "--drop", tmp_path / "drop", "--deployment", "cam-07")
        assert (done.returncode, "can be taken out" in done.stdout) == (0, True), done.stderr
        assert disk.read_bytes() == before
        assert device not in Path("/proc/mounts").read_text()
    finally:
        subprocess.run([losetup, "--detach", device], check=True)
    assert (tmp_path / "drop/cam-07/a.JPG").read_bytes() == image(1)
