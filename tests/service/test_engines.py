"""Engines are built in a process of their own, while systemd is told that all is well."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.service import engines
from edge.service.engines import main, prepare
from edge.settings import VisionSettings
from edge.vision.manifest import bundle_sha256
from edge.vision.providers import CPU, CUDA, TENSORRT, cache_of
from edge.vision.selftest import NoProviderError, Refusal, Why
from tests.vision import toy

ALL = VisionSettings(providers=("tensorrt", "cuda", "cpu"), workers=2)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A toy bundle."""
    return toy.save_bundle(tmp_path / "toy")


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where systemd listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def _child(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"import sys; {code}")


def _prepare(bundle: Path, code: str, *available: str, longest: float = 30.0) -> dict[str, str]:
    return prepare(
        bundle, ALL, bundle.parent, available, threading.Event(), command=_child(code), longest=longest
    )


def test_builder_gets_bundle_provider_cache_threads_and_workers(bundle: Path, tmp_path: Path) -> None:
    """The child opens the bundle as the daemon will."""
    code = f"open({str(tmp_path / 'said')!r}, 'w').write(repr(sys.argv[1:]))"
    assert _prepare(bundle, code, TENSORRT, CPU) == {}
    assert (tmp_path / "said").read_text() == repr([str(bundle), TENSORRT, str(tmp_path), "1", "2"])


def test_systemd_is_told_while_it_builds(bundle: Path, manager: socket.socket) -> None:
    """The start may take longer, and what is done is shown."""
    assert _prepare(bundle, "import time; time.sleep(0.1)", TENSORRT, CPU) == {}
    said = manager.recv(1000).decode()
    assert "EXTEND_TIMEOUT_USEC=90000000" in said
    assert "STATUS=building engines for tensorrt" in said


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('first'); print('out of memory'); sys.exit(1)", "out of memory"),
        ("import os; os.kill(os.getpid(), 11)", "signal 11"),
        ("sys.exit(3)", "exit code 3"),
    ],
)
def test_builder_that_fails_refuses_its_provider(bundle: Path, code: str, reason: str) -> None:
    """The daemon lives on, with the reason and the next provider."""
    refused = _prepare(bundle, code, TENSORRT, CPU)
    assert list(refused) == [TENSORRT]
    assert reason in refused[TENSORRT]


def test_builder_that_takes_too_long_is_given_up(bundle: Path) -> None:
    """A build that hangs doesn't keep the daemon from starting for ever."""
    refused = _prepare(bundle, "import time; time.sleep(60)", TENSORRT, CPU, longest=0.0)
    assert "weren't ready" in refused[TENSORRT]


def test_stop_ends_the_build(bundle: Path, tmp_path: Path) -> None:
    """SIGTERM during a build is obeyed at once."""
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    begun = time.monotonic()
    prepare(bundle, ALL, tmp_path, (TENSORRT,), stop, command=_child("import time; time.sleep(60)"))
    assert time.monotonic() - begun < 20


def test_nothing_is_built_for_providers_that_build_nothing(bundle: Path) -> None:
    """Where TensorRT isn't installed, or comes after what is, there is no child."""
    assert _prepare(bundle, "sys.exit(1)", CUDA, CPU) == {}
    after = VisionSettings(providers=("cuda", "tensorrt"))
    failing = _child("sys.exit(1)")
    assert prepare(bundle, after, bundle, (CUDA, TENSORRT), threading.Event(), command=failing) == {}


def test_built_once_for_each_version(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines that are there aren't built again, until another ONNX Runtime is installed."""
    folder = cache_of(tmp_path, TENSORRT, bundle_sha256(bundle))
    assert folder is not None
    folder.mkdir(parents=True)
    (folder / "built").write_text(engines._versions())
    assert _prepare(bundle, "sys.exit(1)", TENSORRT, CPU) == {}
    monkeypatch.setattr(engines, "installed_runtimes", lambda: {"onnxruntime-gpu": "9.9"})
    assert list(_prepare(bundle, "sys.exit(1)", TENSORRT, CPU)) == [TENSORRT]


def test_child_says_why_it_failed(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A provider that isn't there fails with its reason on standard output; one that works leaves none."""
    assert main([str(bundle), TENSORRT, str(tmp_path), "1", "1"]) == 1
    assert "not in the installed" in capsys.readouterr().out
    assert main([str(bundle), CPU, str(tmp_path), "1", "1"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("why", ["unsuited", "unusable"])
def test_child_refuses_nothing_that_needs_nobody(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: Why
) -> None:
    """Files or libraries that aren't TensorRT's are no failed build: the daemon tells what they are."""

    def refuse(*_: object, **__: object) -> None:
        raise NoProviderError((TENSORRT,), (Refusal(TENSORRT, "isn't for it", why),))

    monkeypatch.setattr(engines, "open_tested", refuse)
    assert main([str(bundle), TENSORRT, str(tmp_path), "1", "1"]) == 0
    assert list(tmp_path.rglob("built")) == []
