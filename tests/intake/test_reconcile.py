"""The watcher's work, step by step, with the clock in the test's hands and real folders."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from edge.errors import StoreError
from edge.intake import FileStat, reconcile
from edge.intake.inotify import Watches
from edge.settings import IntakeSettings
from tests.intake.fakes import Clock, Desk

LOCAL = "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
SETTINGS = IntakeSettings(settle=2.0, settle_network=10.0, scan_interval=60.0)

MakeDesk = Callable[..., Desk]


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """An empty drop folder."""
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A mount table with one local disk."""
    path = tmp_path / "mountinfo"
    path.write_text(LOCAL)
    return path


@pytest.fixture
def make(drop: Path, table: Path) -> Iterator[MakeDesk]:
    """Makes reconcilers whose watches are closed afterwards."""
    made: list[Desk] = []

    def make_one(settings: IntakeSettings = SETTINGS) -> Desk:
        made.append(Desk(drop, settings, table))
        return made[-1]

    yield make_one
    for desk in made:
        desk.watches.close()


@pytest.fixture
def desk(make: MakeDesk) -> Desk:
    """One that has scanned an empty folder."""
    one = make()
    assert one.step() == []
    assert one.work.state().scanned
    return one


def _put(path: Path, data: bytes = b"x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _remembered(desk: Desk) -> int:
    """Everything that the settling of files keeps in its structures."""
    held = vars(desk.work._settling).values()
    return sum(len(one) for one in held if isinstance(one, dict | list))


def _deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no hint is heard."""
    monkeypatch.setattr(Watches, "read", lambda _: iter(()))


def test_the_first_scan_finds_all_that_is_there(make: MakeDesk, drop: Path) -> None:
    """At any depth; each stands still before it is handed out."""
    names = ["a.jpg", "cam/b.jpg", "cam/DCIM/100/c.jpg", "cam/video.avi"]
    for name in names:
        _put(drop / name)
    desk = make()
    assert desk.step() == []
    assert desk.step(1.9) == []
    assert desk.step(0.1) == sorted(names)
    assert desk.step(600.0) == []


def test_what_is_found_together_is_handed_out_together(
    make: MakeDesk, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slowly a folder is listed: only what comes together can be put in order of time."""
    for number in range(12):
        _put(drop / f"cam/{number}.jpg")
    desk = make()
    monkeypatch.setattr(Clock, "__call__", _ticking)
    handed = next(files for _ in range(100) if (files := desk.step(0.1)))
    assert len(handed) == 12


def _ticking(clock: Clock) -> float:
    """A clock on a machine so busy that time passes with each look at it."""
    clock.now += 0.01
    return clock.now


def test_hints_find_files_and_folders_between_scans(desk: Desk, drop: Path) -> None:
    """Written, moved in, in new folders, in folders moved in whole."""
    _put(drop / "a.jpg")
    _put(drop / "new/deep/b.jpg")
    _put(drop.parent / "away/in/c.jpg")
    (drop.parent / "away").rename(drop / "away")
    assert desk.settled() == ["a.jpg", "away/in/c.jpg", "new/deep/b.jpg"]
    assert desk.work.state().scans == 1


def test_the_regular_scan_finds_what_no_hint_told(
    desk: Desk, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the interval, not before."""
    _deaf(monkeypatch)
    _put(drop / "cam/a.jpg")
    assert desk.step(58.0) == []
    assert desk.work.state().waiting == 0
    assert desk.step(2.0) == []
    assert desk.step(2.0) == ["cam/a.jpg"]
    assert desk.work.state().scans == 2


def test_what_the_ledger_knows_is_not_handed_out(make: MakeDesk, drop: Path) -> None:
    """By size and mtime: inode and device may change, with a boot or on FAT."""
    _put(drop / "cam/a.jpg")
    desk = make()
    stat = FileStat.of((drop / "cam/a.jpg").stat())
    desk.ledger.settle("cam/a.jpg", stat._replace(inode=1, device=2))
    assert desk.settled() == []
    os.utime(drop / "cam/a.jpg", ns=(1, 1))
    assert desk.step(60.0) == []
    assert desk.step(2.0) == ["cam/a.jpg"]


def test_the_ledger_is_asked_once_per_folder_and_scan(make: MakeDesk, drop: Path) -> None:
    """Never per file, and not about folders without any."""
    for number in range(50):
        _put(drop / f"cam/{number}.jpg")
    desk = make()
    desk.settled()
    assert desk.ledger.asked == [("cam", 50)]


def test_a_large_folder_is_asked_about_in_parts(
    make: MakeDesk, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many files lie there: what is known of all of them is never in memory at once."""
    monkeypatch.setattr(reconcile, "ASKED", 10)
    desk = make()
    for number in range(25):
        path = drop / f"cam/{number}.jpg"
        _put(path)
        if number:
            desk.ledger.settle(f"cam/{number}.jpg", FileStat.of(path.stat()))
    assert desk.settled() == ["cam/0.jpg"]
    assert [number for _, number in desk.ledger.asked] == [10, 10, 5]


def test_nothing_is_remembered_of_files_on_record(make: MakeDesk, drop: Path) -> None:
    """The watcher's memory after a thousand files is that after none, once a scan has seen their fate."""
    desk = make()
    for number in range(1000):
        _put(drop / f"cam/{number}.jpg")
    for name in desk.settled():
        desk.ledger.settle(name, FileStat.of((drop / name).stat()))
    assert desk.work.state().out == 1000
    desk.step(60.0)
    state = desk.work.state()
    assert (state.out, state.waiting, state.watched) == (0, 0, 2)
    assert _remembered(desk) == 0


def test_a_file_is_out_until_the_ledger_knows_it(desk: Desk, drop: Path) -> None:
    """Then it costs no memory any more."""
    _put(drop / "cam/a.jpg")
    assert desk.settled() == ["cam/a.jpg"]
    assert desk.step(60.0) == []
    assert desk.work.state().out == 1
    desk.ledger.settle("cam/a.jpg", FileStat.of((drop / "cam/a.jpg").stat()))
    assert desk.step(60.0) == []
    assert desk.work.state().out == 0


def test_files_and_folders_that_vanish_are_forgotten(desk: Desk, drop: Path) -> None:
    """Those that wait, and those that are out."""
    for name in ("cam/a.jpg", "cam/b.jpg", "gone/c.jpg"):
        _put(drop / name)
    assert len(desk.settled()) == 3
    _put(drop / "cam/d.jpg")
    assert desk.step() == []
    for name in ("cam/d.jpg", "cam/a.jpg"):
        (drop / name).unlink()
    shutil.rmtree(drop / "gone")
    assert desk.step(60.0) == []
    assert (desk.work.state().waiting, desk.work.state().out) == (0, 1)
    assert desk.work.state().watched == 2


def test_a_partial_upload_is_handed_out_again_when_it_is_whole(desk: Desk, drop: Path) -> None:
    """Sixty percent, a pause, the rest."""
    path = drop / "cam/a.jpg"
    _put(path, b"x" * 600)
    assert desk.settled() == ["cam/a.jpg"]
    desk.work.retry("cam/a.jpg", FileStat.of(path.stat()), 300.0)
    assert desk.step(30.0) == []
    with path.open("ab") as file:
        file.write(b"x" * 400)
    assert desk.settled() == ["cam/a.jpg"]
    assert desk.step(300.0) == []


def test_an_aborted_upload_comes_again_when_due(desk: Desk, drop: Path) -> None:
    """At the same version, as often as it is put back."""
    path = drop / "cam/a.jpg"
    _put(path)
    assert desk.settled() == ["cam/a.jpg"]
    for _ in range(3):
        desk.work.retry("cam/a.jpg", FileStat.of(path.stat()), 300.0)
        assert desk.step(299.0) == []
        assert desk.step(1.0) == ["cam/a.jpg"]


def test_unfinished_hidden_and_system_names_are_left_alone(make: MakeDesk, drop: Path) -> None:
    """By scans and by hints; a rename to the final name makes the file appear."""
    left = [".a.jpg", "a.jpg.part", "b.tmp", ".hidden/c.jpg", "lost+found/d.jpg", "@eaDir/e.jpg"]
    for name in left:
        _put(drop / "scanned" / name)
    desk = make()
    desk.step()
    for name in left:
        _put(drop / "hinted" / name)
    assert desk.settled() == []
    (drop / "hinted/a.jpg.part").rename(drop / "hinted/a.jpg")
    assert desk.settled() == ["hinted/a.jpg"]


def test_links_are_not_followed_and_counted(make: MakeDesk, drop: Path) -> None:
    """To files, to folders, in a circle; a pipe neither."""
    _put(drop.parent / "secret.jpg")
    (drop / "cam").mkdir()
    (drop / "cam/loop").symlink_to(drop)
    (drop / "cam/link.jpg").symlink_to(drop.parent / "secret.jpg")
    os.mkfifo(drop / "pipe.jpg")
    desk = make()
    assert desk.settled() == []
    assert desk.work.state().skipped == {"symbolic link": 2, "not a regular file": 1}


def test_a_drop_folder_that_is_itself_a_link_is_followed(tmp_path: Path, drop: Path, table: Path) -> None:
    """It is what was configured."""
    (tmp_path / "link").symlink_to(drop)
    desk = Desk(tmp_path / "link", SETTINGS, table)
    desk.step()
    _put(drop / "cam/a.jpg")
    assert desk.settled() == ["cam/a.jpg"]
    desk.watches.close()


def test_a_name_that_is_no_utf8_is_handed_out_and_known_by_its_printable_form(
    make: MakeDesk, drop: Path
) -> None:
    """In the ledger it is text."""
    folder = Path(os.fsdecode(bytes(drop) + b"/F\xfcchse"))
    _put(folder / "\udce4.jpg")
    desk = make()
    assert desk.settled() == ["F\udcfcchse/\udce4.jpg"]
    desk.ledger.settle("F\\xfcchse/\\xe4.jpg", FileStat.of((folder / "\udce4.jpg").stat()))
    assert desk.step(60.0) == []
    assert desk.work.state().out == 0


def test_waits_for_a_missing_drop_folder_and_finds_it(make: MakeDesk, drop: Path) -> None:
    """Within a second of its coming, with its watches."""
    drop.rmdir()
    desk = make()
    assert desk.step(100.0) == []
    state = desk.work.state()
    assert (state.drop_present, state.scanned) == (False, False)
    _put(drop / "cam/a.jpg")
    assert desk.step(1.0) == []
    assert desk.work.state().drop_present
    assert desk.step(2.0) == ["cam/a.jpg"]
    _put(drop / "cam/b.jpg")
    assert desk.settled() == ["cam/b.jpg"]


def test_recovers_when_the_drop_folder_vanishes_and_comes_back(desk: Desk, drop: Path) -> None:
    """Another folder under the same name, whether its absence was seen or not."""
    for name in ("seen.jpg", "unseen.jpg"):
        shutil.rmtree(drop)
        if name == "seen.jpg":
            desk.step()
            assert not desk.work.state().drop_present
        _put(drop / "cam" / name)
        assert desk.step(1.0) == []
        assert desk.work.state().drop_present
        assert desk.step(2.0) == [f"cam/{name}"]


def test_a_network_mount_is_polled_with_its_own_settling_time(
    make: MakeDesk, drop: Path, table: Path
) -> None:
    """No watches, ten seconds, every interval."""
    table.write_text(LOCAL + f"40 27 0:44 / {drop} rw - nfs4 server:/x rw\n")
    _put(drop / "cam/a.jpg")
    desk = make()
    assert desk.settled() == []
    assert desk.step(8.0) == ["cam/a.jpg"]
    state = desk.work.state()
    assert (state.polling, state.watched, state.unwatched) == (True, 0, 0)
    _put(drop / "cam/b.jpg")
    assert desk.step(40.0) == []
    assert desk.step(10.0) == []
    assert desk.step(10.0) == ["cam/b.jpg"]


def test_a_network_mount_below_the_drop_folder_is_polled_alone(
    make: MakeDesk, drop: Path, table: Path
) -> None:
    """The rest keeps its watches."""
    (drop / "far").mkdir()
    (drop / "near").mkdir()
    table.write_text(LOCAL + f"40 27 0:44 / {drop}/far rw - cifs //nas/x rw\n")
    desk = make()
    desk.step()
    _put(drop / "far/a.jpg")
    _put(drop / "near/b.jpg")
    assert desk.settled() == ["near/b.jpg"]
    assert (desk.work.state().watched, desk.work.state().polling) == (2, False)
    assert desk.step(60.0) == []
    assert desk.step(10.0) == ["far/a.jpg"]


def test_a_mount_brings_a_full_scan(
    desk: Desk, drop: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it is above or below the drop folder; others don't matter."""
    _deaf(monkeypatch)
    _put(drop / "card/a.jpg")
    table.write_text(LOCAL + "40 27 8:1 / /elsewhere rw - vfat /dev/sda1 rw\n")
    desk.work.mounts_changed()
    assert desk.settled() == []
    table.write_text(LOCAL + f"40 27 8:1 / {drop}/card rw - vfat /dev/sda1 rw\n")
    desk.work.mounts_changed()
    assert desk.settled() == ["card/a.jpg"]
    assert desk.work.state().scans == 2


def test_folders_beyond_the_system_s_watch_limit_are_polled(
    desk: Desk, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is to be seen, and over when there is room again."""
    real = Watches.add

    def full(watches: Watches, folder: str, path: Path) -> bool:
        watches.limit_reached = watches.limit_reached or folder != ""
        return real(watches, folder, path) if folder == "" else False

    monkeypatch.setattr(Watches, "add", full)
    (drop / "cam").mkdir()
    desk.step()
    _put(drop / "cam/a.jpg")
    assert desk.settled() == []
    assert desk.step(58.0) == []
    assert desk.step(2.0) == ["cam/a.jpg"]
    state = desk.work.state()
    assert (state.unwatched, state.limit_reached, state.polling) == (1, True, False)
    monkeypatch.setattr(Watches, "add", real)
    desk.step(60.0)
    state = desk.work.state()
    assert (state.unwatched, state.limit_reached, state.watched) == (0, False, 2)


def test_an_unreadable_folder_is_reported_and_the_others_go_on(table: Path) -> None:
    """Until it can be read."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to stop being it")
    base = Path(tempfile.mkdtemp())
    base.chmod(0o755)
    _put(base / "closed/a.jpg")
    _put(base / "open/b.jpg")
    (base / "closed").chmod(0o700)
    shutil.copy(table, base / ".mountinfo")
    os.seteuid(65534)
    try:
        desk = Desk(base, SETTINGS, base / ".mountinfo")
        assert desk.settled() == ["open/b.jpg"]
        assert desk.work.state().unreadable == {"closed": "can't list the folder: Permission denied"}
    finally:
        os.seteuid(0)
    assert desk.step(60.0) == []
    assert desk.step(2.0) == ["closed/a.jpg"]
    assert desk.work.state().unreadable == {}
    desk.watches.close()
    shutil.rmtree(base)


def test_an_overflow_brings_a_full_scan_and_is_counted(
    desk: Desk, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint that tells of lost hints."""
    real = Watches._hint
    monkeypatch.setattr(Watches, "_hint", lambda self, *_: real(self, -1, 0x4000, ""))
    _put(drop / "cam/a.jpg")
    assert desk.step() == []
    _deaf(monkeypatch)
    assert desk.step(2.0) == ["cam/a.jpg"]
    state = desk.work.state()
    assert (state.overflows, state.scans) == (1, 2)


def test_a_scan_that_takes_longer_than_its_interval_comes_to_an_end(
    make: MakeDesk, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow network mount it isn't begun again before it is done."""
    for number in range(20):
        _put(drop / f"{number}/a.jpg")
    desk = make()
    known_in = desk.ledger.known_in

    def slow(folder: str, names: Sequence[str]) -> object:
        desk.clock.now += 7.0
        return known_in(folder, names)

    monkeypatch.setattr(desk.ledger, "known_in", slow)
    for _ in range(25):
        desk.step()
    assert desk.work.state().scanned


def test_idle_until_the_next_thing_is_due(desk: Desk, drop: Path) -> None:
    """Never longer than until the next look at the drop folder."""
    assert desk.work.idle_for() == 1.0
    desk.clock.now += 0.75
    assert desk.work.idle_for() == 0.25
    desk.step(0.25)
    _put(drop / "a.jpg")
    desk.step(0.5)
    desk.step(1.75)
    assert desk.work.idle_for() == 0.25
    assert desk.step(0.25) == ["a.jpg"]


def test_a_failing_ledger_is_not_passed_over(
    make: MakeDesk, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it nothing can be said of any file."""
    _put(drop / "a.jpg")
    desk = make()

    def broken(_: str, __: Sequence[str]) -> object:
        raise StoreError("can't read the ledger")

    monkeypatch.setattr(desk.ledger, "known_in", broken)
    with pytest.raises(StoreError):
        desk.step()
