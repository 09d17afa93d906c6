"""What ``edge doctor`` says of machines that are well, and of those that aren't."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edge.delivery.broker import LocalBroker, free_port
from edge.delivery.connection import Connection, Outgoing
from edge.delivery.messages import BrokerHealth, Health, encode
from edge.delivery.waker import Waker
from edge.errors import EdgeError, ProviderError
from edge.intake.mounts import Mount, Mounts
from edge.resources import shipped_units
from edge.service.checks import folders, installation, models
from edge.service.checks.broker import check_broker, try_broker
from edge.service.checks.finding import Finding
from edge.service.checks.folders import check_drop, check_state
from edge.service.checks.installation import check_daemon, check_database, check_unit, drift
from edge.service.checks.machine import check_clock, check_inotify, is_synchronised, judge_clock
from edge.service.checks.models import check_bundle, check_labels, check_runtime
from edge.service.doctor import CHECKS, diagnose
from edge.service.report import HEALTH_FILE
from edge.settings import MqttSettings, Settings, StoreSettings, VisionSettings
from edge.store.database import DATABASE, open_database
from edge.store.files import StateLock
from edge.store.outbox import Outbox
from edge.vision.providers import CPU, CUDA, OPENVINO, TENSORRT
from edge.vision.session import Chain, Model, UnusableError
from tests.delivery.helpers import eventually, needs_mosquitto
from tests.vision import toy
from tests.vision.bench import Bench


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """State and drop folder are there, delivery is off."""
    for name in ("state", "drop"):
        (tmp_path / name).mkdir()
    return Settings(
        device="ridge-01",
        state=tmp_path / "state",
        drop=tmp_path / "drop",
        mqtt=MqttSettings(enabled=False),
        store=StoreSettings(low_water=0),
        vision=VisionSettings(providers=(CPU,)),
    )


def _levels(findings: Iterable[Finding]) -> dict[str, str]:
    """Level of each check, the last where it has several."""
    return {finding.check: finding.level for finding in findings}


def _one(findings: Iterable[Finding], check: str) -> Finding:
    """The finding that isn't ok; there must be one, and it must say what to do."""
    (found,) = [finding for finding in findings if finding.check == check and finding.level != "ok"]
    assert found.hint
    return found


def test_an_error_ends_only_its_own_check(settings: Settings) -> None:
    """What one check trips over becomes its finding, and the others go on."""

    def trips(_: Settings) -> Iterator[Finding]:
        yield Finding("a", "ok", "so far")
        raise EdgeError("it broke", subject="thing", hint="mend it")

    def fails(_: Settings) -> Iterator[Finding]:
        yield Finding("b", "ok", "so far")
        raise PermissionError(errno.EACCES, "not yours", "/x")

    def works(_: Settings) -> Iterator[Finding]:
        yield Finding("c", "ok", "fine")

    found = list(diagnose(settings, {"a": trips, "b": fails, "c": works}))
    assert [f.check for f in found] == ["a", "a", "b", "b", "c"]
    assert [f.level for f in found] == ["ok", "fail", "ok", "fail", "ok"]
    assert (found[1].what, found[1].hint) == ("it broke: thing", "mend it")
    assert "not yours" in found[3].what


def test_a_machine_that_is_well(settings: Settings, tmp_path: Path) -> None:
    """Nothing fails, every check says something, and nothing is left in the state folder."""
    bundle = toy.save_bundle(tmp_path / "toy")
    settings = settings.model_copy(
        update={"vision": settings.vision.model_copy(update={"bundle": str(bundle)})}
    )
    found = list(diagnose(settings))
    assert "fail" not in _levels(found).values()
    assert {"daemon", "state folder", "database", "drop folder", "inotify", "clock", "labels"} <= set(
        _levels(found)
    )
    assert set(_levels(found)) >= set(CHECKS) - {"unit"}
    assert list(settings.state.iterdir()) == []


def test_missing_state_folder_is_said_and_not_made(settings: Settings) -> None:
    """Looking doesn't make anything."""
    settings.state.rmdir()
    assert _one(check_state(settings), "state folder").level == "warn"
    assert not settings.state.exists()


def test_durable_writes_are_timed_and_leave_nothing(settings: Settings) -> None:
    """The line says how long one takes; the folder is as empty as before."""
    found = {f.check: f for f in check_state(settings)}
    assert found["fsync"].level in ("ok", "warn")
    assert " ms for a durable write" in found["fsync"].what
    assert list(settings.state.iterdir()) == []


def test_slow_disk_warns(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk whose usual durable write takes longer than 100 ms is worth a warning."""
    monkeypatch.setattr(folders, "_timed_writes", lambda _: iter([0.01, 0.101, 0.3]))
    found = _one(check_state(settings), "fsync")
    assert (found.level, found.what.split(" ms")[0]) == ("warn", "101.0")


def test_disk_that_refuses_a_durable_write_fails(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An I/O error of fsync is a failure, not a crash."""

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    found = _one(check_state(settings), "fsync")
    assert (found.level, "Input/output error" in found.what) == ("fail", True)


def test_too_little_space_fails(settings: Settings) -> None:
    """Below the low-water mark intake pauses, so that is a failure."""
    store = StoreSettings(low_water=1 << 62)
    assert _one(check_state(settings.model_copy(update={"store": store})), "disk space").level == "fail"


@pytest.mark.parametrize(("kind", "level"), [("ext4", "ok"), ("tmpfs", "warn"), ("nfs4", "fail")])
def test_kind_of_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: str, level: str) -> None:
    """A database in memory is lost, one on a network isn't safe."""
    monkeypatch.setattr(
        folders, "read_mounts", lambda path: Mounts([Mount("/", kind)], os.path.realpath(path))
    )
    first = next(check_state(settings))
    assert (first.check, first.level) == ("state folder", level)
    assert kind in first.what


def test_network_mount_of_the_drop_folder_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works, more slowly: the line says that it is polled."""
    monkeypatch.setattr(
        folders, "read_mounts", lambda path: Mounts([Mount("/", "cifs")], os.path.realpath(path))
    )
    (found,) = check_drop(settings)
    assert (found.level, "polled" in found.what) == ("ok", True)


def test_missing_drop_folder_fails(settings: Settings) -> None:
    """Without it there is nothing to do."""
    settings.drop.rmdir()
    assert _one(check_drop(settings), "drop folder").level == "fail"


def test_unreadable_files_in_the_drop_folder_warn(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An uploader whose files the service's user can't read is found out."""
    (settings.drop / "a.JPG").write_bytes(b"x")
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).suffix != ".JPG" and access(path, mode))
    assert "a.JPG" in _one(check_drop(settings), "drop folder").what


def test_inotify_limits_are_compared_with_the_folders(settings: Settings, tmp_path: Path) -> None:
    """Too few watches for the folders there are, or a short queue, each with the command that helps."""
    limits = tmp_path / "limits"
    limits.mkdir()
    for number in range(5):
        (settings.drop / f"cam-{number}").mkdir()
    (limits / "max_user_watches").write_text("10\n")
    (limits / "max_queued_events").write_text("16384\n")
    assert "max_user_watches" in _one(check_inotify(settings, limits), "inotify").hint
    (limits / "max_user_watches").write_text("12\n")
    assert [f.level for f in check_inotify(settings, limits)] == ["ok"]
    (limits / "max_queued_events").write_text("100\n")
    assert "max_queued_events" in _one(check_inotify(settings, limits), "inotify").hint


def test_clock_before_the_installation_warns() -> None:
    """A clock that went back to 2000 is seen without any network."""
    found = judge_clock(946_684_800.0, 1_700_000_000.0, synchronised=True)
    assert (found.level, "2000-01-01" in found.what, bool(found.hint)) == ("warn", True, True)


@pytest.mark.parametrize(("synchronised", "level"), [(True, "ok"), (False, "warn"), (None, "ok")])
def test_synchronisation_of_the_clock(*, synchronised: bool | None, level: str) -> None:
    """Nobody keeping the clock right is worth a warning; not knowing isn't."""
    assert judge_clock(1_800_000_000.0, 1_700_000_000.0, synchronised=synchronised).level == level


def test_kernel_is_asked_about_the_clock(settings: Settings) -> None:
    """The kernel's possible error is read from the right place: ntp_gettime(3) tells the same."""
    answer = (ctypes.c_long * 16)()  # a timeval of two, then the possible error in microseconds
    ctypes.CDLL(None).ntp_gettimex(answer)
    assert is_synchronised() is (answer[2] < 16_000_000)
    assert next(check_clock(settings)).check == "clock"


def test_two_runtimes_fail(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both distributions write one module; which is imported is chance."""
    both = {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1"}
    monkeypatch.setattr(models, "installed_runtimes", lambda: both)
    found = _one(check_runtime(settings), "onnxruntime")
    assert (found.level, "uninstall" in found.hint) == ("fail", True)


def test_no_runtime_fails(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint names the extras."""

    def missing() -> tuple[str, ...]:
        raise ProviderError("ONNX Runtime can't be imported", hint="install one of the extras")

    monkeypatch.setattr(models, "available_providers", missing)
    assert "extras" in _one(diagnose(settings, {"onnxruntime": check_runtime}), "onnxruntime").hint


def test_unused_gpu_warns(settings: Settings, tmp_path: Path) -> None:
    """A machine with a GPU and a runtime that can't use it is told apart from one without a GPU."""
    node, tegra = tmp_path / "nvidiactl", tmp_path / "nv_tegra_release"
    assert [f.level for f in check_runtime(settings, (node,), tegra)] == ["ok"]
    node.touch()
    assert "extra gpu" in _one(check_runtime(settings, (node,), tegra), "onnxruntime").hint
    tegra.touch()
    assert "jetson.md" in _one(check_runtime(settings, (node,), tegra), "onnxruntime").hint


def test_gpu_that_the_settings_leave_out_warns(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runtime could, but wasn't asked."""
    monkeypatch.setattr(models, "available_providers", lambda: (TENSORRT, CUDA, CPU))
    found = _one(check_runtime(settings, (tmp_path,)), "onnxruntime")
    assert "vision.providers" in found.hint


def test_gpu_that_the_user_may_not_open_warns(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The groups that own the device are named."""
    monkeypatch.setattr(models, "available_providers", lambda: (CUDA, CPU))
    monkeypatch.setattr(os, "access", lambda *_: False)
    wanted = settings.model_copy(update={"vision": VisionSettings(providers=("cuda", "cpu"))})
    assert "render" in _one(check_runtime(wanted, (tmp_path,)), "onnxruntime").hint


def _seeing(settings: Settings, bundle: Path, *providers: str) -> Settings:
    return settings.model_copy(
        update={"vision": VisionSettings(bundle=str(bundle), providers=providers or (CPU,))}
    )


def test_bundle_is_tested_on_each_provider_present(settings: Settings, tmp_path: Path) -> None:
    """One line for each provider that is installed, one for the choice, one for the text model."""
    bundle = toy.save_bundle(tmp_path / "toy")
    found = list(check_bundle(_seeing(settings, bundle, CUDA, CPU)))
    assert [(f.check, f.level) for f in found] == [
        ("bundle", "ok"),
        ("self-test", "ok"),
        ("provider", "ok"),
        ("self-test", "ok"),
    ]
    assert found[1].what.startswith("cpu")
    assert found[2].what == "cpu would be used; not cuda: not in the installed ONNX Runtime"


def test_provider_that_fails_its_self_test_warns(settings: Settings, tmp_path: Path) -> None:
    """It is named with the reason, and the one that would be used instead; both are tested."""
    bundle = toy.save_bundle(tmp_path / "toy")
    found = list(check_bundle(_seeing(settings, bundle, CUDA, CPU), Bench(cuda=np.zeros_like, cpu=None)))
    warned = _one(found, "self-test")
    assert (warned.level, "cuda: " in warned.what) == ("warn", True)
    assert any(f.check == "provider" and f.what.startswith("cpu would be used; not cuda") for f in found)


def test_no_provider_that_works_fails(settings: Settings, tmp_path: Path) -> None:
    """The daemon couldn't start."""
    bundle = toy.save_bundle(tmp_path / "toy")
    found = list(check_bundle(_seeing(settings, bundle, CPU), Bench(cpu=np.zeros_like)))
    assert _levels(found)["provider"] == "fail"
    assert "fail" in {f.level for f in found if f.check == "self-test"}


def test_libraries_that_are_missing_warn_if_the_cpu_stands_in(settings: Settings, tmp_path: Path) -> None:
    """A GPU build without its CUDA: images are seen, slowly. TensorRT missing behind CUDA is no matter."""

    class Unloadable(Bench):
        def open(self, path: Path, provider: str, threads: int, chain: Chain) -> Model:
            if provider == self.broken:
                raise UnusableError("installed but can't be used")
            return super().open(path, provider, threads, chain)

        broken = CUDA

    bundle = toy.save_bundle(tmp_path / "toy")
    found = check_bundle(_seeing(settings, bundle, CUDA, CPU), Unloadable(cuda=None, cpu=None))
    assert _one(found, "provider").level == "warn"
    Unloadable.broken = OPENVINO
    found = check_bundle(_seeing(settings, bundle, CUDA, CPU), Unloadable(cuda=None, cpu=None))
    assert _levels(found)["provider"] == "ok"


def test_doctor_builds_no_engines(settings: Settings, tmp_path: Path) -> None:
    """That takes minutes, and the daemon does it."""
    bundle = toy.save_bundle(tmp_path / "toy")
    bench = Bench(tensorrt=None, cpu=None)
    found = list(check_bundle(_seeing(settings, bundle, TENSORRT, CPU), bench))
    assert any("aren't built yet" in f.what for f in found)
    assert any("tensorrt once it is built, until then cpu would be used" in f.what for f in found)
    assert {provider for _, provider, _ in bench.opened} == {CPU}


def test_damaged_bundle_fails(settings: Settings, tmp_path: Path) -> None:
    """A file that isn't the manifest's is named."""
    bundle = toy.save_bundle(tmp_path / "toy")
    with (bundle / "visual.onnx").open("ab") as stream:
        stream.write(b"\0")
    found = _one(diagnose(_seeing(settings, bundle), {"bundle": check_bundle}), "bundle")
    assert (found.level, "visual.onnx" in found.what) == ("fail", True)


def test_label_set_that_is_not_there_fails(settings: Settings) -> None:
    """The hint lists those that are."""
    wanted = settings.model_copy(update={"vision": VisionSettings(labels="atlantis")})
    found = _one(diagnose(wanted, {"labels": check_labels}), "labels")
    assert (found.level, "north-america" in found.hint) == ("fail", True)


def test_no_database_yet_is_fine(settings: Settings) -> None:
    """Before the first start there is none, and none is made."""
    assert [f.level for f in check_database(settings)] == ["ok"]
    assert not (settings.state / DATABASE).exists()


def test_damaged_database_fails(settings: Settings) -> None:
    """Overwritten pages are found by reading, and the database isn't touched."""
    database = open_database(settings.state)
    with database.transaction():
        for number in range(3000):
            database.execute("INSERT INTO meta VALUES (?, ?)", (f"k{number}", "x" * 40))
    database.close()
    path = settings.state / DATABASE
    with path.open("r+b") as stream:
        for page in (5, 9, 14):
            stream.seek(page * 4096)
            stream.write(os.urandom(4096))
    before = path.read_bytes()
    found = _one(diagnose(settings, {"database": check_database}), "database")
    assert (found.level, "damaged" in found.what) == ("fail", True)
    assert path.read_bytes() == before


def test_database_of_another_version_fails(settings: Settings) -> None:
    """It is not opened for writing, so it can't be migrated by accident."""
    database = open_database(settings.state)
    database.execute("PRAGMA user_version = 99")
    database.close()
    assert _one(diagnose(settings, {"database": check_database}), "database").level == "fail"


def test_refused_messages_warn(settings: Settings) -> None:
    """Messages that were set aside wait for a person."""
    database = open_database(settings.state)
    database.execute(
        "INSERT INTO outbox (seq, deployment, registration_id, payload, created) "
        "VALUES (1, 'c', 'r', x'7b', 1)"
    )
    Outbox(database).set_aside(1, "packet_too_large")
    database.close()
    found = list(check_database(settings))
    assert _levels(found)["database"] == "ok"
    assert "1 message" in _one(found, "outbox").what


def test_running_daemon_and_its_complaints(settings: Settings) -> None:
    """A held lock means a daemon; what it says of itself is passed on."""
    assert [f.what for f in check_daemon(settings)] == ["not running"]
    with StateLock(settings.state):
        assert [f.what for f in check_daemon(settings)] == ["running"]
        (settings.state / HEALTH_FILE).write_text(
            '{"problems": [{"code": "unreachable", "message": "broker gone", "hint": "messages are kept"}]}'
        )
        assert "broker gone" in _one(check_daemon(settings), "daemon").what


def test_unit_drift_is_by_setting(settings: Settings, tmp_path: Path) -> None:
    """Comments and order don't matter; each setting that does is named."""
    units = tmp_path / "units"
    units.mkdir()
    assert [f.what for f in check_unit(settings, (units,))] == ["not installed as a service"]
    shipped = shipped_units()["edge.service"].read_text("utf-8")
    (units / "edge.service").write_text("# mine\n" + shipped)
    assert [f.level for f in check_unit(settings, (units,))] == ["ok"]
    changed = shipped.replace("MemoryMax=2G", "MemoryMax=1G").replace("ProtectHome=yes\n", "")
    (units / "edge.service").write_text(changed)
    found = _one(check_unit(settings, (units,)), "unit")
    assert (found.level, "MemoryMax, ProtectHome" in found.what) == ("warn", True)


def test_drift_of_a_repeated_setting() -> None:
    """A setting that may be given several times is compared value by value."""
    assert drift("A=1\nA=2\n", "A=2\nA=1\n") == []
    assert drift("A=1\nA=2\n", "A=1\n") == ["A"]


def test_no_broker_wanted(settings: Settings) -> None:
    """Delivery that is turned off isn't tried."""
    assert [f.level for f in check_broker(settings)] == ["ok"]


def test_password_of_the_service_is_not_asked_for(settings: Settings, tmp_path: Path) -> None:
    """Where only the service gets the password, its word counts; without it the broker stays untried."""
    file = tmp_path / "mqtt-password"
    file.write_text("secret")
    asked = settings.model_copy(update={"mqtt": MqttSettings(username="ridge", port=free_port())})
    found = _one(check_broker(asked, file), "broker")
    assert (found.level, "systemd-run" in found.hint) == ("warn", True)
    with StateLock(settings.state):
        for broker, level in (
            (BrokerHealth(connected=True, reason="ok"), "ok"),
            (BrokerHealth(reason="bad_credentials", detail="no"), "fail"),
        ):
            now = "2026-05-04T03:12:09.000+07:00"
            health = Health(device="d", epoch="e", version="1", at=now, state="ok", since=now, broker=broker)
            (settings.state / HEALTH_FILE).write_bytes(encode(health))
            assert [f.level for f in check_broker(asked, file)] == [level]
    assert _one(check_broker(asked, tmp_path / "none"), "broker").what.startswith("127.0.0.1")


def test_broker_takes_the_test_message() -> None:
    """The broker's own reason code is told."""
    with LocalBroker() as broker:
        found = try_broker(MqttSettings(host=broker.host, port=broker.port), "ridge-01")
    assert found.level == "ok"
    assert "reason code 0x" in found.what


@needs_mosquitto
def test_broker_that_forbids_publishing() -> None:
    """Accepted as a user and refused as a writer: only the PUBACK's reason code tells."""
    rules = {"acl": "user nobody\ntopic read #\n"}
    with LocalBroker("mosquitto", config=["acl_file {folder}/acl"], files=rules) as broker:
        found = try_broker(MqttSettings(host=broker.host, port=broker.port), "ridge-01")
    assert (found.level, "not_authorized" in found.what) == ("fail", True)
    assert "edge/v1/ridge-01/#" in found.hint


@needs_mosquitto
def test_broker_that_wants_a_password() -> None:
    """A refused connection is told as such, with where the password belongs."""
    config = ["allow_anonymous false", "password_file {folder}/users"]
    with LocalBroker("mosquitto", config=config, files={"users": ""}) as broker:
        found = try_broker(MqttSettings(host=broker.host, port=broker.port, username="edge"), "ridge-01")
    assert (found.level, "not_authorized" in found.what) == ("fail", True)
    assert "/etc/edge/mqtt-password" in found.hint


def test_no_broker_there() -> None:
    """Nothing listens: said at once, with what to look at."""
    found = try_broker(MqttSettings(port=free_port()), "ridge-01")
    assert (found.level, "unreachable" in found.what, bool(found.hint)) == ("fail", True, True)


def test_broker_that_says_nothing() -> None:
    """A port that accepts and stays silent doesn't hold the doctor up."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        found = try_broker(MqttSettings(port=mute.getsockname()[1]), "ridge-01", timeout=0.5)
    assert (found.level, "no answer" in found.what) == ("fail", True)


def test_doctor_disturbs_no_daemon() -> None:
    """It comes under a name of its own, so the broker keeps the device's connection."""
    with LocalBroker() as broker, Waker() as waker:
        settings = MqttSettings(host=broker.host, port=broker.port)
        with closing(Connection(settings, "edge-ridge-01", Outgoing("status", b""))) as device:
            device.dial()
            assert eventually(lambda: bool(device.poll(0.05, waker)))
            assert try_broker(settings, "ridge-01").level == "ok"
            assert device.poll(0.3, waker) == []


@pytest.mark.slow
def test_models_leave_nothing_in_the_home_folder(tmp_path: Path) -> None:
    """ONNX Runtime's telemetry (a device id, a database, uploads) doesn't start."""
    bundle = toy.save_bundle(tmp_path / "toy")
    home = tmp_path / "home"
    home.mkdir()
    script = (
        "import sys; from pathlib import Path; from edge.vision.session import Model; "
        f"Model(Path({str(bundle / 'visual.onnx')!r}))"
    )
    kept = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    subprocess.run([sys.executable, "-c", script], check=True, env={**kept, "HOME": str(home)})
    assert [path for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("runtime", ["onnxruntime-gpu", "onnxruntime-openvino"])
def test_runtime_without_its_drop_in_warns(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    """Under the unit alone neither could work; with its drop-in all is well."""
    monkeypatch.setattr(installation, "installed_runtimes", lambda: {runtime: "1.0"})
    shutil.copy(shipped_units()["edge.service"], tmp_path)
    found = _one(check_unit(settings, (tmp_path,)), "unit")
    assert (found.level, runtime in found.what) == ("warn", True)
    name = installation.DROP_INS[runtime]
    (tmp_path / "edge.service.d").mkdir()
    shutil.copy(shipped_units()[name], tmp_path / name)
    assert {f.level for f in check_unit(settings, (tmp_path,))} == {"ok"}


def test_unit_folders_are_systemds() -> None:
    """The administrator's folder comes before the packages'."""
    assert str(installation.UNIT_FOLDERS[0]) == "/etc/systemd/system"
