"""The units: accepted by systemd, tight, and no tighter than the daemon can stand."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from edge.resources import shipped_units
from edge.settings import Settings
from edge.store.database import open_database

SYSTEMD = Path(__file__).resolve().parent.parent / "systemd"
EXPOSURE = re.compile(r"Overall exposure level for \S+: ([\d.]+)")
NEVER = ("network", "time-sync", "time-set")
DISPENSABLE = {
    "mbind",  # OpenBLAS tells where it would like its memory, and doesn't look at the answer
    "fchown",  # SQLite gives new files to the database's owner, only when root runs it
}


@pytest.fixture
def analyze() -> str:
    """The program ``systemd-analyze``."""
    path = shutil.which("systemd-analyze")
    if path is None:
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    return path


def _unit(path: Path) -> dict[str, list[str]]:
    """A unit's settings, each with all its values in order; sections put together."""
    found: dict[str, list[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def _root(folder: Path, *, gpu: bool) -> Path:
    """A root folder with the unit, the program that it starts, and nothing else."""
    units = folder / "etc" / "systemd" / "system"
    (units / "edge.service.d").mkdir(parents=True)
    for name in ("edge.service", "edge-backup.service", "edge-backup.timer", "edge-web.service"):
        shutil.copy(SYSTEMD / name, units)
    if gpu:
        shutil.copy(SYSTEMD / "edge.service.d" / "gpu.conf", units / "edge.service.d")
    program = folder / _unit(SYSTEMD / "edge.service")["ExecStart"][0].split()[0].lstrip("/")
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for target in ("sysinit", "basic", "shutdown", "multi-user", "timers", "time-sync", "time-set"):
        (units / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    return folder


@pytest.mark.fault(22, "verify silent")
@pytest.mark.parametrize("gpu", [False, True])
def test_systemd_accepts_the_unit(analyze: str, tmp_path: Path, *, gpu: bool) -> None:
    """``systemd-analyze verify`` has nothing to say, without and with the drop-in for GPUs."""
    root = _root(tmp_path, gpu=gpu)
    command = [analyze, "verify", "--man=no", "--recursive-errors=no", f"--root={root}", "edge.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_accepts_the_drop_in_for_openvino(analyze: str, tmp_path: Path) -> None:
    """It takes back one setting, the one that a compiler at run time can't live with, and costs little."""
    root = _root(tmp_path, gpu=False)
    units = root / "etc" / "systemd" / "system"
    shutil.copy(SYSTEMD / "edge.service.d" / "openvino.conf", units / "edge.service.d")
    command = [analyze, "verify", "--man=no", "--recursive-errors=no", f"--root={root}", "edge.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert _unit(SYSTEMD / "edge.service.d" / "openvino.conf") == {"MemoryDenyWriteExecute": ["no"]}
    command = [analyze, "security", "--offline=true", "--no-pager", "--threshold=20"]
    done = subprocess.run(
        [*command, str(units / "edge.service")], capture_output=True, text=True, check=False
    )
    found = EXPOSURE.search(done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= 1.5


def test_everything_that_is_compiled_is_kept_in_the_state_folder() -> None:
    """Nothing else is writable: the daemon's caches lie below the state folder, CUDA's is told to."""
    unit, gpu = _unit(SYSTEMD / "edge.service"), _unit(SYSTEMD / "edge.service.d" / "gpu.conf")
    state = f"/var/lib/{unit['StateDirectory'][0]}"
    assert (unit["ProtectSystem"], "ReadWritePaths" in unit) == (["strict"], False)
    assert gpu["Environment"] == [f"CUDA_CACHE_PATH={state}/cache/cuda"]
    assert str(Settings.model_fields["state"].default) == state


@pytest.mark.parametrize("unit", ["edge-backup.service", "edge-backup.timer", "edge-web.service"])
def test_systemd_accepts_what_runs_beside_the_daemon(analyze: str, tmp_path: Path, unit: str) -> None:
    """``systemd-analyze verify`` has nothing to say of the nightly backup, its timer and the page."""
    root = _root(tmp_path, gpu=False)
    command = [analyze, "verify", "--man=no", "--recursive-errors=no", f"--root={root}", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_exposure_of_the_backup_is_lower_still(analyze: str) -> None:
    """It needs no network at all."""
    command = [analyze, "security", "--offline=true", "--no-pager", "--threshold=20"]
    done = subprocess.run(
        [*command, str(SYSTEMD / "edge-backup.service")], capture_output=True, text=True, check=False
    )
    found = EXPOSURE.search(done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= 0.9


def test_exposure_of_the_import(analyze: str) -> None:
    """What reads a card of unknown origin has no network, no rights, and one place to write."""
    command = [analyze, "security", "--offline=true", "--no-pager", "--threshold=20"]
    done = subprocess.run(
        [*command, str(SYSTEMD / "edge-import@.service")], capture_output=True, text=True, check=False
    )
    found = EXPOSURE.search(done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= 1.2


def test_only_mounting_is_done_as_root() -> None:
    """The card is mounted read-only before and unmounted after; whoever reads it is the daemon's user."""
    unit = _unit(SYSTEMD / "edge-import@.service")
    assert unit["ExecStart"] == ["/opt/edge/bin/edge import --only-cards /run/edge-card/%i"]
    assert unit["ExecStartPre"][1] == "+/bin/mount -o ro,nosuid,nodev,noexec /dev/%I /run/edge-card/%i"
    assert all(line.lstrip("-")[0] == "+" for key in ("ExecStartPre", "ExecStopPost") for line in unit[key])
    daemon = _unit(SYSTEMD / "edge.service")
    shared = ("User", "Group", "StateDirectory", "SystemCallFilter", "CapabilityBoundingSet", "ProtectSystem")
    assert {key: unit[key] for key in shared} == {key: daemon[key] for key in shared}


def test_rule_for_cards_starts_the_unit_for_file_systems_of_cameras() -> None:
    """Each line is one match or action list that udev knows, and every jump has its label."""
    text = (SYSTEMD / "90-edge-import.rules").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = [re.findall(r'([A-Z]+(?:\{\w+\})?)(==|!=|\+=|=)"([^"]*)"(?:, |$)', line) for line in lines]
    assert [", ".join(f'{k}{op}"{v}"' for k, op, v in line) for line in pairs] == lines
    assert {v for line in pairs for k, _, v in line if k == "GOTO"} == {"edge_import_end"}
    assert lines[-1] == 'LABEL="edge_import_end"'
    assert ("ENV{SYSTEMD_WANTS}", "+=", "edge-import@%k.service") in pairs[-2]


def test_backup_and_daemon_are_the_same_user_with_the_same_state() -> None:
    """What one makes the other can read, and a backup is only made where one is due."""
    daemon, backup = _unit(SYSTEMD / "edge.service"), _unit(SYSTEMD / "edge-backup.service")
    daemon["SystemCallFilter"].remove("setpriority")  # it has a thread that gives way; a backup has none
    shared = ("User", "Group", "UMask", "StateDirectory", "StateDirectoryMode", "SystemCallFilter")
    assert {key: backup[key] for key in shared} == {key: daemon[key] for key in shared}
    assert backup["ExecStart"] == [daemon["ExecStart"][0].replace("edge run", "edge backup --if-due")]
    assert _unit(SYSTEMD / "edge-backup.timer")["Persistent"] == ["true"]


def test_exposure_of_the_page(analyze: str) -> None:
    """It listens, and is hardened like the daemon; private networks are all that it can speak with."""
    command = [analyze, "security", "--offline=true", "--no-pager", "--threshold=20"]
    done = subprocess.run(
        [*command, str(SYSTEMD / "edge-web.service")], capture_output=True, text=True, check=False
    )
    found = EXPOSURE.search(done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= 1.2


def test_page_is_the_daemons_user_and_stands_back_behind_it() -> None:
    """It writes corrections into the same database, and takes neither cores nor memory from the daemon."""
    daemon, page = _unit(SYSTEMD / "edge.service"), _unit(SYSTEMD / "edge-web.service")
    daemon["SystemCallFilter"].remove("setpriority")  # the page as a whole gives way: Nice=
    shared = (
        "User", "Group", "UMask", "StateDirectory", "StateDirectoryMode", "SystemCallFilter", "ProtectSystem",
        "CapabilityBoundingSet", "NoNewPrivileges", "RestrictAddressFamilies",
    )  # fmt: skip
    assert {key: page[key] for key in shared} == {key: daemon[key] for key in shared}
    assert page["Nice"] == [str(Settings().web.nice)]
    assert int(page["CPUWeight"][0]) < 100
    assert page["MemoryMax"] == ["1G"]


def test_a_missing_token_file_has_a_default() -> None:
    """The page starts without a token, for this machine alone; the credential is the setting's name."""
    unit = _unit(SYSTEMD / "edge-web.service")
    assert unit["LoadCredential"] == ["web__token:/etc/edge/web-token"]
    assert unit["SetCredential"] == ["web__token:\\n"]


def test_verify_would_notice(analyze: str, tmp_path: Path) -> None:
    """The same check refuses a setting that doesn't exist, so its silence means something."""
    root = _root(tmp_path, gpu=False)
    unit = root / "etc" / "systemd" / "system" / "edge.service"
    unit.write_text(unit.read_text().replace("WatchdogSec", "WatchdogSecs"))
    command = [analyze, "verify", "--man=no", "--recursive-errors=no", f"--root={root}", "edge.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "WatchdogSecs" in done.stderr


@pytest.mark.parametrize(("gpu", "most"), [(False, 1.4), (True, 1.7)])
def test_exposure_is_low(analyze: str, tmp_path: Path, *, gpu: bool, most: float) -> None:
    """``systemd-analyze security`` gives a low exposure (an unhardened service has 9.6)."""
    unit = _root(tmp_path, gpu=gpu) / "etc" / "systemd" / "system" / "edge.service"
    command = [analyze, "security", "--offline=true", "--no-pager", "--threshold=20", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = EXPOSURE.search(done.stdout)
    assert found is not None
    assert float(found[1]) <= most


def test_it_waits_for_nothing() -> None:
    """No ordering after the network or the time: the daemon starts without either."""
    text = (SYSTEMD / "edge.service").read_text("utf-8").lower()
    ordering = [
        line for line in text.splitlines() if line.startswith(("after=", "wants=", "requires=", "bindsto="))
    ]
    assert not [line for line in ordering if any(word in line for word in NEVER)]


def test_it_always_comes_back() -> None:
    """However it ends and however often, systemd starts it again; a silent daemon is ended."""
    unit = _unit(SYSTEMD / "edge.service")
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]
    assert (unit["Type"], unit["NotifyAccess"], unit["WatchdogSec"]) == (["notify"], ["main"], ["60"])


def test_a_missing_password_file_has_a_default() -> None:
    """A credential from a file alone would fail the start where there is no password."""
    unit = _unit(SYSTEMD / "edge.service")
    (loaded,) = unit["LoadCredential"]
    (default,) = unit["SetCredential"]
    assert loaded.partition(":")[0] == default.partition(":")[0] == "mqtt__password"


def test_gpu_devices_have_no_wildcards_in_paths() -> None:
    """Wildcards count in the names of device groups only; systemd would look for a path as it stands."""
    allowed = [value.split()[0] for value in _unit(SYSTEMD / "edge.service.d" / "gpu.conf")["DeviceAllow"]]
    assert {"/dev/nvmap", "char-nvidia*", "char-drm"} <= set(allowed)
    assert not [device for device in allowed if device.startswith("/dev/") and set(device) & set("*?[")]


def test_units_come_with_the_package() -> None:
    """What ``edge doctor`` compares with is what lies in this folder."""
    assert {name: path.resolve() for name, path in shipped_units().items()} == {
        name: SYSTEMD / name
        for name in (
            "edge.service",
            "edge.service.d/gpu.conf",
            "edge.service.d/openvino.conf",
            "edge-backup.service",
            "edge-backup.timer",
            "edge-import@.service",
            "edge-web.service",
        )
    }


def test_user_of_the_unit_is_the_one_that_sysusers_makes() -> None:
    """User, group and drop folder agree between the three files."""
    unit = _unit(SYSTEMD / "edge.service")
    user = (SYSTEMD / "edge.sysusers.conf").read_text("utf-8").splitlines()[-1].split()
    assert unit["User"] == unit["Group"] == [user[1]]
    folders = [
        line.split()
        for line in (SYSTEMD / "edge.tmpfiles.conf").read_text("utf-8").splitlines()
        if line.startswith("d ")
    ]
    assert folders[0][1:5] == ["/var/lib/edge", unit["StateDirectoryMode"][0], *unit["User"], *unit["Group"]]


def _expand(analyze: str, names: list[str]) -> set[str]:
    """System calls of groups, groups within groups included."""
    found: set[str] = set()
    for name in names:
        if not name.startswith("@"):
            found.add(name)
            continue
        done = subprocess.run(
            [analyze, "syscall-filter", "--no-pager", name], capture_output=True, text=True, check=True
        )
        lines = (line.strip() for line in done.stdout.splitlines()[1:])
        found |= _expand(analyze, [line for line in lines if line and not line.startswith("#")])
    return found


def _allowed(analyze: str) -> set[str]:
    """What the unit's filter lets through."""
    found = _expand(analyze, ["@default"])
    for value in _unit(SYSTEMD / "edge.service")["SystemCallFilter"]:
        names = _expand(analyze, value.lstrip("~").split())
        found = found - names if value.startswith("~") else found | names
    return found


def _called(trace: Path) -> Iterator[str]:
    for line in trace.read_text("utf-8", "replace").splitlines():
        if (found := re.match(r"^\d+ +([a-z0-9_]+)\(", line)) is not None:
            yield found[1]


@pytest.mark.slow
def test_filter_lets_the_daemon_work(analyze: str, tmp_path: Path) -> None:
    """A whole run makes no system call that the filter denies, but those it can do without."""
    from tests.vision import toy  # noqa: PLC0415 - needs onnx

    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    bundle = toy.save_bundle(tmp_path / "toy")
    drop = tmp_path / "drop" / "cam"
    drop.mkdir(parents=True)
    for number in range(3):
        (drop / f"{number}.JPG").write_bytes(toy.jpeg(toy.scene((8 * number, 24, (255, 0, 0)))))
    trace = tmp_path / "trace"
    daemon = [sys.executable, "-m", "edge", "run", "--drop", str(drop.parent), "--state", str(tmp_path / "s")]
    command = ["strace", "-f", "-qq", "-o", str(trace), *daemon, "--broker", "none", "--until-idle"]
    done = subprocess.run(
        [*command, "--bundle", str(bundle)], capture_output=True, text=True, check=False, timeout=110
    )
    if "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr[-2000:]
    called = set(_called(trace))
    assert {"openat", "fdatasync", "inotify_add_watch"} <= called
    assert called - _allowed(analyze) <= DISPENSABLE


@pytest.mark.slow
def test_filter_lets_the_page_work(analyze: str, tmp_path: Path) -> None:
    """Start, look at a picture, end: no system call that the filter denies, but those it can do without."""
    from tests.vision import toy  # noqa: PLC0415 - needs onnx

    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    bundle = toy.save_bundle(tmp_path / "toy")
    (tmp_path / "edge.toml").write_text(f'state = "{tmp_path / "s"}"\n[vision]\nbundle = "{bundle}"\n')
    open_database(tmp_path / "s").close()
    trace = tmp_path / "trace"
    page = [sys.executable, "-m", "edge", "web", "--config", str(tmp_path / "edge.toml"), "--port", "0"]
    command = ["nice", "-n", "10", "strace", "-f", "-qq", "-I2", "-o", str(trace), *page]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = next((line for line in process.stderr if "http://" in line or "ptrace" in line), "")
            if "ptrace" in said:
                pytest.skip("strace may not trace here")
            data = toy.jpeg(toy.scene((8, 24, (255, 0, 0))))
            request = Request(f"{said.split()[-1]}api/classify", data, {"Content-Type": "image/jpeg"})  # noqa: S310 - http
            with urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
                assert answer.status == 200
        finally:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            for child in map(int, children):
                os.kill(child, signal.SIGTERM)
    assert process.returncode == 0
    called = set(_called(trace))
    assert {"openat", "listen", "accept4"} <= called
    assert called - _allowed(analyze) <= DISPENSABLE


def test_environment_of_the_unit() -> None:
    """One malloc arena, and nothing is told to ONNX Runtime's makers."""
    values = " ".join(_unit(SYSTEMD / "edge.service")["Environment"]).split()
    assert {"MALLOC_ARENA_MAX=1", "ORT_DISABLE_TELEMETRY=1"} <= set(values)
