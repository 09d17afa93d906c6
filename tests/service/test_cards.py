"""A card into the drop folder: whole files, each content once, nothing written on the card."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import IntakeError, StoreBusyError, UsageError
from edge.service.cards import copying as module
from edge.service.cards.card import deployment_of, is_card, label_of, survey
from edge.service.cards.copying import Copying, Result
from edge.service.cards.mounting import is_device, mounted


def _card(folder: Path, number: int = 3) -> Path:
    images = folder / "DCIM" / "100EDGE"
    images.mkdir(parents=True)
    for i in range(1, number + 1):
        (images / f"IMG_{i:04}.JPG").write_bytes(b"\xff\xd8" + bytes([i]) * 1000)
    os.utime(images / "IMG_0001.JPG", ns=(10**18, 10**18))
    return folder


def _unknown(_media_id: str) -> bool:
    return False


def _copying(card: Path, drop: Path, is_known: Callable[[str], bool] = _unknown) -> Copying:
    drop.mkdir(exist_ok=True)
    return Copying(card, drop, "cam-07", is_known, max_bytes=10_000)


def _run(copying: Copying) -> Result:
    return copying.run(survey(copying.card))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_everything_is_copied_with_its_times(tmp_path: Path) -> None:
    """Same bytes, same folders below the camera's, same time of change, and nothing else."""
    card, drop = _card(tmp_path / "card"), tmp_path / "drop"
    result = _run(_copying(card, drop))
    assert (result.new, result.known, result.refused, result.complete) == (3, 0, [], True)
    assert _files(drop / "cam-07") == _files(card)
    assert (drop / "cam-07/DCIM/100EDGE/IMG_0001.JPG").stat().st_mtime_ns == 10**18


def test_second_import_knows_everything(tmp_path: Path) -> None:
    """By content: also what was renamed on the card, or touched."""
    card, drop = _card(tmp_path / "card"), tmp_path / "drop"
    _run(_copying(card, drop))
    before = _files(drop)
    os.utime(card / "DCIM/100EDGE/IMG_0002.JPG")
    result = _run(_copying(card, drop))
    assert (result.new, result.known, result.complete) == (0, 3, True)
    assert _files(drop) == before


def test_content_on_record_is_not_copied(tmp_path: Path) -> None:
    """What the database has is known, wherever the file went."""
    asked = []

    def known(media_id: str) -> bool:
        asked.append(media_id)
        return len(asked) == 2

    result = _run(_copying(_card(tmp_path / "card"), tmp_path / "drop", known))
    assert (result.new, result.known) == (2, 1)
    assert all(media_id.startswith("sha256:") and len(media_id) == 71 for media_id in asked)


def test_name_that_is_taken_by_another_image_goes_beside(tmp_path: Path) -> None:
    """Cameras begin to count anew on a formatted card: nothing is overwritten, and numbers stay."""
    drop = tmp_path / "drop"
    _run(_copying(_card(tmp_path / "card"), drop))
    second = _card(tmp_path / "second")
    (second / "DCIM/100EDGE/IMG_0001.JPG").write_bytes(b"\xff\xd8another")
    for _ in range(2):
        _run(_copying(second, drop))
    assert (drop / "cam-07/DCIM/100EDGE~2/IMG_0001.JPG").read_bytes() == b"\xff\xd8another"
    assert len(_files(drop)) == 4


def test_cut_off_import_goes_on_and_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle of a file, no image's name holds less than the image; the next import finishes."""
    card, drop = _card(tmp_path / "card"), tmp_path / "drop"

    def dying(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", dying)
    with pytest.raises(KeyboardInterrupt):
        _run(_copying(card, drop))
    assert [path for path in _files(drop) if path.endswith(".JPG")] == []
    assert all(Path(path).name.startswith(".") for path in _files(drop))
    monkeypatch.undo()
    assert _run(_copying(card, drop)).new == 3
    assert _files(drop / "cam-07") == _files(card)


def test_each_file_is_durable_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fsync comes before rename, and then the folder's."""
    did: list[str] = []
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        kind = "folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "file"
        did.append(f"fsync {kind}")
        real_fsync(descriptor)

    def rename(self: Path, target: Path) -> Path:
        did.append("rename")
        return real_rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    _run(_copying(_card(tmp_path / "card", 1), tmp_path / "drop"))
    assert did[-3:] == ["fsync file", "rename", "fsync folder"]


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    """Not even the camera's folder; the counts are those of the real one, twins on the card included."""
    card, drop = _card(tmp_path / "card"), tmp_path / "drop"
    shutil.copy(card / "DCIM/100EDGE/IMG_0001.JPG", card / "DCIM/100EDGE/IMG_0009.JPG")
    drop.mkdir()
    copying = Copying(card, drop, "cam-07", _unknown, max_bytes=10_000, dry_run=True)
    result = _run(copying)
    assert (result.new, result.known, result.size, list(drop.iterdir())) == (3, 1, 3006, [])


def test_nothing_is_written_on_the_card(tmp_path: Path) -> None:
    """Not even a time of access, where the card's owner asks."""
    card = _card(tmp_path / "card")
    before = {path: path.stat() for path in card.rglob("*.JPG")}
    _run(_copying(card, tmp_path / "drop"))
    for path, status in before.items():
        assert (path.stat().st_atime_ns, path.stat().st_mtime_ns) == (status.st_atime_ns, status.st_mtime_ns)


def test_full_disk_stops_it_with_everything_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reserve isn't touched; what was copied stays."""
    free = iter([5000, 2500])
    monkeypatch.setattr(module, "free_space", lambda _folder: next(free))
    card, drop = _card(tmp_path / "card"), tmp_path / "drop"
    drop.mkdir()
    result = _run(Copying(card, drop, "cam-07", _unknown, max_bytes=10_000, reserve=2000))
    assert (result.new, result.full, result.complete) == (1, True, False)
    assert len(_files(drop)) == 1


def test_what_cannot_be_taken_is_told(tmp_path: Path) -> None:
    """Too large ones are refused with the reason; links, videos and hidden files aren't images."""
    card = _card(tmp_path / "card", 1)
    folder = card / "DCIM" / "100EDGE"
    (folder / "IMG_0002.JPG").write_bytes(b"x" * 10_001)
    (folder / "IMG_0003.JPG").symlink_to("/etc/hostname")
    (folder / "._IMG_0001.JPG").write_bytes(b"x")
    (folder / "IMG_0004.MP4").write_bytes(b"x")
    (card / "System Volume Information").mkdir()
    (card / "System Volume Information" / "IMG.JPG").write_bytes(b"x")
    found = survey(card)
    result = _run(_copying(card, tmp_path / "drop"))
    assert (len(found.images), found.others) == (2, 2)
    assert result.refused == [("DCIM/100EDGE/IMG_0002.JPG", "larger than 10000 bytes")]
    assert (result.new, result.complete) == (1, False)


def test_file_that_changes_is_refused(tmp_path: Path) -> None:
    """A folder that is still written to isn't a card at rest."""
    card = _card(tmp_path / "card", 1)
    found = survey(card)
    (card / "DCIM/100EDGE/IMG_0001.JPG").unlink()
    result = _copying(card, tmp_path / "drop").run(found)
    assert result.refused == [("DCIM/100EDGE/IMG_0001.JPG", "can't be read: No such file or directory")]


def test_two_imports_of_one_camera_do_not_meet(tmp_path: Path) -> None:
    """The second one is refused while the first one runs."""
    card, drop = _card(tmp_path / "card"), tmp_path / "drop"
    copying = _copying(card, drop)
    (drop / "cam-07").mkdir()
    with module._alone(drop / "cam-07"), pytest.raises(StoreBusyError):
        _run(copying)


def test_stopped_import_says_so(tmp_path: Path) -> None:
    """What was copied until then stays; the card isn't safe yet."""
    card, drop = _card(tmp_path / "card"), tmp_path / "drop"
    drop.mkdir()
    looks = iter([False, True])
    copying = Copying(card, drop, "cam-07", _unknown, max_bytes=10_000, stopping=lambda: next(looks))
    result = _run(copying)
    assert (result.new, result.stopped, result.complete) == (1, True, False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_copies_belong_to_whom_the_drop_folder_belongs(tmp_path: Path) -> None:
    """Root copies, the service reads; nobody else does."""
    drop = tmp_path / "drop"
    copying = _copying(_card(tmp_path / "card", 1), drop)
    os.chown(drop, 4321, 4322)
    _run(copying)
    for path in (drop / "cam-07").rglob("*"):
        status = path.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o007) == (4321, 4322, 0)


class TestName:
    """Whose a card is."""

    def test_given_name_counts_most(self, tmp_path: Path) -> None:
        """Then what the card says of itself."""
        (tmp_path / "edge-card.toml").write_text('deployment = "cam-03"')
        assert deployment_of(tmp_path, "cam-09") == "cam-09"
        assert deployment_of(tmp_path, None) == "cam-03"

    @pytest.mark.parametrize("name", ["", "..", "a/b", "+", ".hidden", "lost+found"])
    def test_name_that_is_no_folder_is_refused(self, tmp_path: Path, name: str) -> None:
        """It becomes a folder and a level of a topic."""
        with pytest.raises(UsageError, match="not a deployment's name"):
            deployment_of(tmp_path, name)

    @pytest.mark.parametrize("text", ["deployment = 7", "nothing = 1", "deployment = ", "\xff"])
    def test_bad_file_on_the_card_is_told(self, tmp_path: Path, text: str) -> None:
        """Nothing is guessed instead."""
        (tmp_path / "edge-card.toml").write_text(text, "latin-1")
        with pytest.raises(UsageError, match=r"edge-card\.toml"):
            deployment_of(tmp_path, None)

    @pytest.mark.parametrize(("label", "name"), [("CAM_07", "CAM_07"), ("NO NAME", None), ("", None)])
    def test_label_of_the_file_system(self, tmp_path: Path, label: str, name: str | None) -> None:
        """Udev knows it; a maker's label says nothing of the camera, and a name is asked for."""
        card = tmp_path / "a card"
        (card / "DCIM").mkdir(parents=True)
        table, udev = tmp_path / "mountinfo", tmp_path / "udev"
        point = str(card).replace(" ", "\\040")
        table.write_text(f"1 0 0:1 / / rw - ext4 x rw\n36 1 8:17 / {point} ro - vfat /dev/sdb1 ro\n")
        udev.mkdir()
        (udev / "b8:17").write_text(f"S:disk/x\nE:ID_FS_LABEL={label}\n")
        assert label_of(card / "DCIM", mountinfo=table, udev=udev) == label
        if name is None:
            with pytest.raises(UsageError, match="nothing says which camera"):
                deployment_of(card, None, mountinfo=table, udev=udev)
        else:
            assert deployment_of(card, None, mountinfo=table, udev=udev) == name


def test_stick_with_other_things_is_no_card(tmp_path: Path) -> None:
    """Only what cameras make, or what says that it is one."""
    assert not is_card(tmp_path)
    (tmp_path / "DCIM").mkdir()
    assert is_card(tmp_path)
    with pytest.raises(IntakeError, match="card can't be read"):
        is_card(tmp_path / "none")


def test_only_root_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is no device, and a device needs root."""
    assert not is_device(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="only root may mount"), mounted(Path("/dev/sdz1")):
        pass


def test_device_that_cannot_be_mounted_is_told(tmp_path: Path) -> None:
    """With what mount says."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with pytest.raises(IntakeError, match="can't be mounted"), mounted(tmp_path / "none"):
        pass
