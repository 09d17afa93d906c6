"""The installed unit under a real systemd, as PID 1 of a container of its own (systemd-nspawn, root).

``edge service install --root`` makes the image; the host's ``/usr`` and this interpreter are mounted into it
read-only. A script inside asks systemd what became of the unit, drops images, kills the daemon, and powers
the machine off.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.faults.toy_site import image
from tests.vision import toy

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

SOURCE = Path(__file__).resolve().parents[2]
_LINKS = ("bin", "sbin", "lib", "lib64")
_FOLDERS = (
    "usr",
    "etc",
    "var/lib",
    "run",
    "tmp",
    "proc",
    "sys",
    "dev",
    "root",
    "home",
    "opt/python",
    "opt/site",
)
_USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
_PROGRAM = """#!/bin/sh
export PYTHONPATH=/opt/src:/opt/site PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH=/opt/python/lib
exec /opt/python/bin/{python} -m edge "$@"
"""
_PROBE = """[Unit]
Description=asks what became of edge, and ends the machine
After=edge.service
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/sh /opt/probe.sh
[Install]
WantedBy=multi-user.target
"""
_SCRIPT = """
show() { systemctl show edge.service -p ActiveState -p SubState -p NRestarts -p Result; }
states() { setpriv --reuid=edge --regid=edge --clear-groups /opt/edge/bin/edge status --json; }
wait_for() { for i in $(seq 20); do "$@" && return 0; sleep 1; done; return 1; }
processed() { states | grep -q "\\"processed\\": $1"; }
active() { [ "$(systemctl is-active edge.service)" = active ] && [ "$(main)" != "$1" ]; }
main() { systemctl show edge.service -p MainPID --value; }
mkdir -p /results
wait_for active 0; show > /results/ready
mkdir -p /var/lib/edge/drop/cam-1
cp /opt/images/0.JPG /opt/images/1.JPG /var/lib/edge/drop/cam-1/
chown -R edge:edge /var/lib/edge/drop
wait_for processed 2
states > /results/first.json
grep -E 'NoNewPrivs|Seccomp:|CapEff|CapBnd|Uid' /proc/$(main)/status > /results/sandbox
ls -ld /var/lib/edge /var/lib/edge/drop /run/edge > /results/folders
cat /run/edge/edge.prom > /results/metrics
before=$(main)
kill -9 $before
wait_for active $before
cp /opt/images/2.JPG /var/lib/edge/drop/cam-1/; chown edge:edge /var/lib/edge/drop/cam-1/2.JPG
wait_for processed 3
states > /results/second.json
show > /results/restarted
printf 'three-otters-and-a-lynx\\n' > /etc/edge/web-token; chmod 600 /etc/edge/web-token
paged() { systemctl show edge-web.service -p MainPID --value; }
up() { [ "$(systemctl is-active edge-web.service)" = active ] && [ "$(paged)" != "$1" ]; }
ask() { curl -s -m 60 -o /dev/null -w "%{http_code}\\n" "$@"; }
bearer="Authorization: Bearer three-otters-and-a-lynx"
systemctl start edge-web.service; wait_for up 0
here=http://127.0.0.1:8640
jpeg="Content-Type: image/jpeg"
{ ask $here/api/registrations; ask -H "$bearer" $here/api/registrations
ask -H "$bearer" "$here/api/search?q=red"
ask -H "$bearer" -H "$jpeg" --data-binary @/opt/images/0.JPG $here/api/classify; } > /results/page
grep -E 'NoNewPrivs|Seccomp:|CapEff|CapBnd|Uid' /proc/$(paged)/status > /results/page-sandbox
cut -d' ' -f19 /proc/$(paged)/stat > /results/page-nice
was=$(paged); kill -9 $was; sleep 22; wait_for up $was; ask -H "$bearer" $here/api/health >> /results/page
systemctl stop edge-web.service; systemctl show edge-web.service -p Result > /results/page-stopped
systemctl start edge-backup.service; systemctl show edge-backup.service -p Result > /results/backup
ls /var/lib/edge/backups >> /results/backup
systemctl stop edge.service; show > /results/stopped
"""


def _image(root: Path) -> None:
    """A system: nothing but what systemd needs, and the service as ``edge service install`` leaves it."""
    for name in (*_FOLDERS, "opt/edge/bin", "opt/src", "opt/images"):
        (root / name).mkdir(parents=True)
    for name in _LINKS:
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc/os-release").write_text("ID=edge-test\n")
    (root / "etc/machine-id").write_text("")
    (root / "etc/passwd").write_text(_USERS)
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    shutil.copy("/etc/ld.so.cache", root / "etc/ld.so.cache")
    program = root / "opt/edge/bin/edge"
    program.write_text(_PROGRAM.format(python=Path(sys.executable).resolve().name))
    program.chmod(0o755)
    toy.save_bundle(root / "opt/toy")
    for number in range(3):
        (root / f"opt/images/{number}.JPG").write_bytes(image(number))
    command = [
        sys.executable,
        "-m",
        "edge",
        "service",
        "install",
        "--root",
        str(root),
        "--no-gpu",
        "--enable",
    ]
    subprocess.run([*command, "--program", "/opt/edge/bin/edge"], check=True, capture_output=True)
    (root / "etc/edge/edge.toml").write_text(
        'device = "real"\n[mqtt]\nenabled = false\nhealth_interval = 1.0\n[intake]\nsettle = 0.2\n'
        '[vision]\nbundle = "/opt/toy"\n[store]\nlow_water = 0\n'
        '[health]\nprometheus_file = "/run/edge/edge.prom"\n'
    )
    (root / "opt/probe.sh").write_text(_SCRIPT)
    (root / "etc/systemd/system/probe.service").write_text(_PROBE)
    subprocess.run(
        ["systemctl", f"--root={root}", "enable", "probe.service"], check=True, capture_output=True
    )


def _boot(root: Path) -> str:
    """Let the machine run until it ends itself; what its console showed."""
    binds = {"/usr": "/usr", sys.base_prefix: "/opt/python", sysconfig.get_path("purelib"): "/opt/site"}
    mounts = [f"--bind-ro={source}:{target}" for source, target in binds.items()]
    mounts += [
        f"--bind-ro={SOURCE / name}:/opt/src/{name}" for name in ("edge", "configs", "models", "systemd")
    ]
    container = ["systemd-nspawn", "--quiet", f"--directory={root}", "--private-network", "--register=no"]
    command = [*container, "--keep-unit", *mounts, "--boot", "systemd.unit=multi-user.target"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=240,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout + done.stderr


def _journal(root: Path, unit: str = "edge") -> str:
    command = ["journalctl", f"--directory={root}/var/log/journal", "-u", unit, "--no-pager", "-o", "cat"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _shown(root: Path, name: str) -> dict[str, str]:
    lines = (root / "results" / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def _status(root: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "results" / name).read_text())
    return found


def _check_page(root: Path) -> None:
    """Refused without the token that systemd hands over, answered with it; back after SIGKILL."""
    journal = _journal(root, "edge-web")
    assert (root / "results/page").read_text().split() == ["401", "200", "200", "200", "200"], journal
    sandbox = dict(line.split(":", 1) for line in (root / "results/page-sandbox").read_text().splitlines())
    assert (sandbox["NoNewPrivs"].strip(), sandbox["Seccomp"].strip()) == ("1", "2")
    assert {int(sandbox[name], 16) for name in ("CapEff", "CapBnd")} == {0}
    assert (root / "results/page-nice").read_text().strip() == "10"
    assert _shown(root, "page-stopped") == {"Result": "success"}, journal


@pytest.mark.fault(22, "installed unit under a real systemd: ready, seccomp on, restarted after SIGKILL")
def test_installed_service_under_a_real_systemd(tmp_path: Path) -> None:
    """It becomes ready in its sandbox, works, comes back after SIGKILL, makes a backup, stops in order."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if shutil.which("systemd-nspawn") is None:
        pytest.skip("systemd-nspawn is not installed (Debian: systemd-container)")
    root = tmp_path / "machine"
    _image(root)
    console = _boot(root)
    if not (root / "results").is_dir():
        pytest.skip(f"no machine can be started here: {console[-500:]}")
    journal = _journal(root)
    ready = _shown(root, "ready")
    assert (ready["ActiveState"], ready["SubState"]) == ("active", "running"), journal
    assert _status(root, "first.json")["files"]["processed"] == 2, journal
    sandbox = dict(line.split(":", 1) for line in (root / "results/sandbox").read_text().splitlines())
    assert (sandbox["NoNewPrivs"].strip(), sandbox["Seccomp"].strip()) == ("1", "2")
    assert {int(sandbox[name], 16) for name in ("CapEff", "CapBnd")} == {0}
    assert sandbox["Uid"].split()[0] not in ("0", "65534")
    assert "edge_up 1" in (root / "results/metrics").read_text()
    restarted = _shown(root, "restarted")
    assert (restarted["ActiveState"], restarted["NRestarts"]) == ("active", "1"), journal
    assert _status(root, "second.json")["files"]["processed"] == 3, journal
    _check_page(root)
    backup = (root / "results/backup").read_text()
    assert "Result=success" in backup
    assert ".db" in backup
    stopped = _shown(root, "stopped")
    assert (stopped["ActiveState"], stopped["Result"]) == ("inactive", "success"), journal
    folders = (root / "results/folders").read_text()
    assert "drwx--x--x" in folders
    assert "drwxrws---" in folders
