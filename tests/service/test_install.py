"""The service installed into a root, looked at by systemd's own checker, and removed again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.errors import EdgeError, UsageError
from edge.resources import shipped_units
from edge.service.checks.installation import check_unit
from edge.service.install import render
from edge.service.install.steps import Step, Target, install_steps, take, uninstall_steps
from edge.settings import Settings

PROGRAM = "/srv/field/bin/edge"


def _target(root: Path, *, gpu: bool = False, user: str = "edge") -> Target:
    return Target(root=root, program=PROGRAM, user=user, gpu=gpu)


def _install(target: Target) -> list[Step]:
    return list(take(list(install_steps(target, enable=False, live=False))))


def _tree(root: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(root)): (path.read_text("utf-8"), path.stat().st_mode & 0o777)
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def umask() -> Iterator[None]:
    """As strict as an administrator's may be."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_everything_is_where_it_belongs(tmp_path: Path) -> None:
    """Units, user, folders, rule and a configuration, readable for systemd whatever the umask."""
    _install(_target(tmp_path))
    tree = _tree(tmp_path)
    assert sorted(tree) == [
        "etc/edge/edge.toml",
        "etc/systemd/system/edge-backup.service",
        "etc/systemd/system/edge-backup.timer",
        "etc/systemd/system/edge-import@.service",
        "etc/systemd/system/edge-web.service",
        "etc/systemd/system/edge.service",
        "etc/sysusers.d/edge.conf",
        "etc/tmpfiles.d/edge.conf",
        "etc/udev/rules.d/90-edge-import.rules",
    ]
    assert {mode for _, mode in tree.values()} == {0o644}
    assert (tmp_path / "etc/systemd").stat().st_mode & 0o777 == 0o755


def test_units_start_this_program_as_this_user(tmp_path: Path) -> None:
    """No line names another program or user than the given ones."""
    _install(_target(tmp_path, user="camtrap"))
    text = "".join(text for text, _ in _tree(tmp_path / "etc/systemd").values())
    assert "/opt/edge" not in text
    assert text.count(f"={PROGRAM} ") == 4
    assert {line for line in text.splitlines() if line.startswith(("User=", "Group="))} == {
        "User=camtrap",
        "Group=camtrap",
    }
    assert "u camtrap - " in (tmp_path / "etc/sysusers.d/edge.conf").read_text()
    assert (
        "d /var/lib/edge/drop 2770 camtrap camtrap -" in (tmp_path / "etc/tmpfiles.d/edge.conf").read_text()
    )


def test_second_time_does_nothing(tmp_path: Path) -> None:
    """Every file is as it should be; the configuration is the user's from then on."""
    _install(_target(tmp_path))
    (tmp_path / "etc/edge/edge.toml").write_text("# mine\n")
    before = _tree(tmp_path)
    steps = _install(_target(tmp_path))
    assert {step.action for step in steps} == {"same", "keep", "skip"}
    assert _tree(tmp_path) == before


def test_upgrade_replaces_what_changed_and_drop_ins_follow_the_machine(tmp_path: Path) -> None:
    """Own drop-ins of the user are never touched."""
    _install(_target(tmp_path, gpu=True))
    units = tmp_path / "etc/systemd/system"
    own = units / "edge.service.d" / "override.conf"
    own.write_text("[Service]\nMemoryMax=1G\n")
    (units / "edge.service").write_text("[Service]\n")
    steps = _install(_target(tmp_path))
    done = {(step.action, Path(step.subject).name) for step in steps}
    assert {("write", "edge.service"), ("remove", "gpu.conf")} <= done
    assert own.exists()
    assert not (units / "edge.service.d" / "gpu.conf").exists()


def test_what_is_masked_stays_masked(tmp_path: Path) -> None:
    """Whoever wants no import when a card is put in doesn't get it back with an upgrade."""
    rule = tmp_path / "etc/udev/rules.d/90-edge-import.rules"
    rule.parent.mkdir(parents=True)
    rule.symlink_to(os.devnull)
    steps = {step.subject: step.action for step in _install(_target(tmp_path))}
    assert (steps[str(rule)], rule.readlink()) == ("keep", Path(os.devnull))


def test_planning_writes_nothing(tmp_path: Path) -> None:
    """The steps are what a dry run shows."""
    steps = list(install_steps(_target(tmp_path), enable=True, live=True))
    assert list(tmp_path.iterdir()) == []
    runs = [step.subject for step in steps if step.action == "run"]
    assert runs == [
        "systemd-sysusers /etc/sysusers.d/edge.conf",
        "systemd-tmpfiles --create /etc/tmpfiles.d/edge.conf",
        "udevadm control --reload",
        "systemctl daemon-reload",
        "systemctl enable --now edge.service edge-backup.timer",
    ]


def test_uninstall_keeps_data_unless_purged(tmp_path: Path) -> None:
    """What was installed is gone, configuration and images stay; with purge they go too."""
    _install(_target(tmp_path, gpu=True))
    image = tmp_path / "var/lib/edge/drop/cam/IMG.JPG"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"x")
    (tmp_path / "etc/systemd/system/other.service").write_text("")
    steps = [s for s in uninstall_steps(_target(tmp_path), purge=False, live=False) if s.action != "run"]
    list(take(steps))
    assert sorted(_tree(tmp_path)) == [
        "etc/edge/edge.toml",
        "etc/systemd/system/other.service",
        "var/lib/edge/drop/cam/IMG.JPG",
    ]
    list(take(uninstall_steps(_target(tmp_path), purge=True, live=False)))
    assert sorted(_tree(tmp_path)) == ["etc/systemd/system/other.service"]


@pytest.mark.parametrize("program", ["edge", "/home/me/.venv/bin/edge", "/tmp/x/edge", "/opt/my edge/edge"])  # noqa: S108 - what is refused
def test_program_that_the_service_could_not_start_is_refused(program: str) -> None:
    """Home folders are hidden from it, and spaces end a program's name."""
    with pytest.raises(UsageError):
        Target(program=program).check()


@pytest.mark.parametrize("user", ["root", "", "a b", "x" * 40, "Ünder"])
def test_user_that_is_none_is_refused(user: str) -> None:
    """Nor may the service be root's."""
    with pytest.raises(UsageError, match="not a user"):
        Target(user=user).check()


def test_failed_command_ends_it(tmp_path: Path) -> None:
    """With what the command said; what comes after isn't done."""
    after = Step("write", str(tmp_path / "after"))
    with pytest.raises(EdgeError, match="command ended with"):
        list(take([Step("run", "ls /no/such/folder"), after]))
    assert not (tmp_path / "after").exists()
    assert [s.action for s in take([Step("run", "ls /no/such/folder", must=False)])] == ["run"]


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize(
    "unit", ["edge.service", "edge-backup.timer", "edge-backup.service", "edge-import@sdb1.service"]
)
def test_systemd_accepts_what_was_installed(tmp_path: Path, unit: str, *, gpu: bool) -> None:
    """``systemd-analyze verify`` of the installed root has nothing to say."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    _install(_target(tmp_path, gpu=gpu))
    for name in (PROGRAM, "/bin/mkdir", "/bin/mount", "/bin/umount", "/bin/rmdir"):
        program = tmp_path / name.lstrip("/")
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    for target in ("sysinit", "basic", "shutdown", "multi-user", "timers", "time-sync", "time-set"):
        (tmp_path / f"etc/systemd/system/{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    command = [analyze, "verify", "--man=no", "--recursive-errors=no", f"--root={tmp_path}", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_doctor_finds_no_drift_in_what_was_installed(tmp_path: Path) -> None:
    """Rendered for another program and user it is still this version's; a changed setting is told."""
    _install(_target(tmp_path, user="camtrap"))
    units = tmp_path / "etc/systemd/system"
    settings = Settings(drop=tmp_path / "d", state=tmp_path / "s")
    assert {f.level for f in check_unit(settings, (units,))} == {"ok"}
    unit = units / "edge.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=60", "WatchdogSec=600"))
    (found,) = [f for f in check_unit(settings, (units,)) if f.level != "ok"]
    assert "WatchdogSec" in found.what
    assert "edge service install" in found.hint


def test_rendering_twice_is_rendering_once() -> None:
    """A unit made out like an installed one is the installed one."""
    for source in shipped_units().values():
        text = source.read_text("utf-8")
        once = render.unit(text, PROGRAM, "camtrap")
        if "ExecStart=" in text:
            assert render.like(text, once) == once
        assert render.unit(text, render.PROGRAM, render.USER) == text


def test_command_shows_every_step_and_does_nothing_in_a_dry_run(tmp_path: Path) -> None:
    """Anybody may look; the program is the running one's."""
    root = tmp_path / "root"
    command = [sys.executable, "-m", "edge", "service", "install", "--root", str(root), "--program", PROGRAM]
    done = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, check=True)
    assert f"write  {root}/etc/systemd/system/edge.service" in done.stdout
    assert "nothing was done" in done.stdout
    assert not root.exists()
    subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"ExecStart={PROGRAM} run" in (root / "etc/systemd/system/edge.service").read_text()


def test_only_root_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody else is told how."""
    from edge.cli.services import _insist_on_root  # noqa: PLC0415 - beside what it tests

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="sudo, or look first"):
        _insist_on_root(Path("/"), dry_run=False)
    _insist_on_root(Path("/"), dry_run=True)
    _insist_on_root(Path("/mnt"), dry_run=False)
