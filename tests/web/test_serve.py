"""The page as a process: where it listens, for whom, how long it waits, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

import pytest
import uvicorn

from edge.web.app import make_app
from edge.web.patient import Connections, protocol
from tests.delivery.certificates import Authority, needs_openssl
from tests.web.record import TOKEN, bearer, fill, settings

ELSEWHERE = "127.0.0.3"
"""An address that a request can come from and that isn't the server's."""
Start = Callable[..., "Page"]


class Page:
    """A running ``edge web``."""

    def __init__(self, process: subprocess.Popen[str], host: str) -> None:
        self.process = process
        self.host = host
        assert process.stderr is not None
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line)
            if "http://" in line or "https://" in line:
                self.port = int(line.rstrip().rstrip("/").rpartition(":")[2])
                return
        raise AssertionError("".join(lines))

    def ask(
        self, path: str, *, source: str = "127.0.0.1", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One GET from an address: status, headers, body."""
        connection = HTTPConnection(self.host, self.port, timeout=60, source_address=(source, 0))
        with closing(connection):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def open(self) -> socket.socket:
        """A connection."""
        return socket.create_connection((self.host, self.port), timeout=60)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start pages over a small record; they are ended at the end."""
    with _starting(tmp_path) as begin:
        yield begin


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page for this machine, which tests leave as it is."""
    with _starting(tmp_path_factory.mktemp("shared")) as begin:
        yield begin(EDGE_WEB__UPLOAD_BYTES="2000000", EDGE_WEB__NICE="7")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page that asks for the token, which tests leave as it is."""
    with _starting(tmp_path_factory.mktemp("guarded")) as begin:
        yield begin("127.0.0.2", EDGE_WEB__TOKEN=TOKEN, EDGE_WEB__CLIENT_CONNECTIONS="4")


@contextmanager
def _starting(folder: Path) -> Iterator[Start]:
    fill(folder / "state").database.close()
    (folder / "edge.toml").write_text(f'state = "{folder / "state"}"\ndrop = "{folder / "drop"}"\n')
    pages: list[Page] = []

    def begin(host: str = "127.0.0.1", **environment: str) -> Page:
        pages.append(Page(_process(folder, "--host", host, "--port", "0", **environment), host))
        return pages[-1]

    yield begin
    for page in pages:
        page.process.kill()
        page.process.wait()
        assert page.process.stderr is not None
        page.process.stderr.close()


def _process(folder: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edge", "web", "--config", str(folder / "edge.toml"), *options]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("EDGE_", "NOTIFY_"))}
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**kept, **environment}, cwd=folder
    )


def _refused(folder: Path, *options: str, **environment: str) -> tuple[int, str]:
    with _process(folder, *options, **environment) as process:
        _, said = process.communicate(timeout=100)
    return process.returncode, said


def test_from_another_address_only_with_the_token(guarded: Page) -> None:
    """The server listens on one address and is asked from another: refused, refused, answered."""
    for path in ("/api/registrations", "/api/health", "/metrics", "/api/openapi.json"):
        status, headers, body = guarded.ask(path, source=ELSEWHERE)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert b"Red_Fox" not in body
        assert guarded.ask(path, source=ELSEWHERE, Authorization="Bearer wrong-wrong-wrong")[0] in (401, 429)
    status, _, body = guarded.ask("/api/registrations", **bearer())
    assert status == 200
    assert len(json.loads(body)["registrations"]) == 3
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", guarded.port), timeout=10)


def test_a_port_that_is_taken(shared: Page, tmp_path: Path) -> None:
    """Said in one line, with what to do; the one that has it goes on."""
    (tmp_path / "edge.toml").write_text(f'state = "{tmp_path / "state"}"\n')
    code, said = _refused(tmp_path, "--port", str(shared.port))
    assert code == 1
    assert "port is in use" in said
    assert "--port" in said
    assert shared.ask("/api/health")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order(start: Start, number: signal.Signals) -> None:
    """0, also while browsers hold connections: one idle, one live, one in the middle of a request."""
    page = start()
    with page.open() as idle, page.open() as live, page.open() as halfway:
        for one, path in ((idle, b"/api/health"), (live, b"/live")):
            one.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert one.recv(100).startswith(b"HTTP/1.1 200")
        if number == signal.SIGTERM:  # this one costs all of the patience
            halfway.sendall(
                b"POST /api/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc"
            )
        page.process.send_signal(number)
        assert page.process.wait(60) == 0


def test_systemd_is_told(tmp_path: Path, start: Start) -> None:
    """READY once it listens, WATCHDOG while it lives, STOPPING at the end."""
    address = tmp_path / "notify"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(str(address))
        listener.settimeout(60)
        page = start(NOTIFY_SOCKET=str(address), WATCHDOG_USEC="3000000")
        told = [listener.recv(200).decode() for _ in range(3)]
        assert told == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
        page.process.terminate()
        while "STOPPING=1" not in told:
            told.append(listener.recv(200).decode())
        assert page.process.wait(60) == 0


@needs_openssl
def test_https(start: Start, tmp_path: Path) -> None:
    """With a certificate nothing but https is spoken, and the cookie is for it alone."""
    authority = Authority(tmp_path).found()
    certificate, key = authority.issue("page")
    page = start(EDGE_WEB__CERT_FILE=str(certificate), EDGE_WEB__KEY_FILE=str(key), EDGE_WEB__TOKEN=TOKEN)
    trusted = ssl.create_default_context(cafile=authority.ca)
    with closing(HTTPSConnection("127.0.0.1", page.port, context=trusted, timeout=60)) as connection:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/login", body=f"token={TOKEN}", headers=form)
        answer = connection.getresponse()
        assert answer.status == 303
        assert "__Host-edge_session" in str(answer.headers["set-cookie"])
    with pytest.raises((HTTPException, OSError)):
        page.ask("/api/health", **bearer())


def test_it_stands_back(shared: Page) -> None:
    """The process gives way to the daemon, with all its threads."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, shared.process.pid) == max(own, 7)


@contextmanager
def _served(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server in this process, with little patience; the port."""
    monkeypatch.setattr("edge.web.patient.HEAD_SECONDS", 0.3)
    monkeypatch.setattr("edge.web.patient.READ_SECONDS", 0.3)
    counted = protocol(Connections(16, 16))
    app = make_app(settings(state))
    config = uvicorn.Config(
        app, http=counted, ws="none", log_config=None, timeout_keep_alive=1, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(60)


@pytest.mark.parametrize("before", [b"", b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"])
def test_a_head_that_never_ends_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    """A byte now and then holds a connection for seconds, not for ever; also after an answer."""
    with (
        _served(tmp_path / "state", monkeypatch) as port,
        socket.create_connection(("127.0.0.1", port)) as slow,
    ):
        slow.settimeout(0.05)
        slow.sendall(before + b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
        assert _ended(slow)


def _ended(slow: socket.socket) -> bool:
    """Send a byte now and then until the other side has enough."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            slow.sendall(b"a")
            if slow.recv(65536) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_one_client_has_so_many_connections(guarded: Page) -> None:
    """The next is told so and closed; another client is served, and so is the first when it lets one go."""
    held = [guarded.open() for _ in range(4)]
    with guarded.open() as fifth:
        assert fifth.recv(200).startswith(b"HTTP/1.1 503")
        assert fifth.recv(200) == b""
    assert guarded.ask("/api/health", source=ELSEWHERE, **bearer())[0] == 200
    for one in held:
        one.close()
    for _ in range(100):
        try:
            status = guarded.ask("/api/health", **bearer())[0]
        except ConnectionError:  # it was refused before all of it was sent
            status = 503
        if status == 200:
            return
        time.sleep(0.1)
    raise AssertionError(status)


def test_an_upload_that_is_much_too_large_gets_an_answer(shared: Page) -> None:
    """A browser that sends before it reads still reads what was wrong, and nothing of it is kept."""
    piece = bytes(1 << 20)
    with shared.open() as sender:
        sender.sendall(
            b"POST /api/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
            + f"Content-Length: {20 * len(piece)}\r\n\r\n".encode()
        )
        for _ in range(20):
            sender.sendall(piece)
        answer = b""
        while data := sender.recv(65536):
            answer += data
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"at most 2 MB are taken" in answer


def test_nobody_gets_a_hundred_megabytes_in_without_a_token(guarded: Page) -> None:
    """Refused before the body is read."""
    with guarded.open() as sender:
        sender.sendall(
            b"POST /api/classify HTTP/1.1\r\nHost: 127.0.0.2\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: 104857600\r\nExpect: 100-continue\r\n\r\n"
        )
        assert sender.recv(4096).startswith(b"HTTP/1.1 401")


_HOST = b"Host: 127.0.0.1\r\n"
_NO_REQUESTS = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "version": b"GET / HTTP/9.9\r\n\r\n",
    "no host": b"GET /api/health HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /api/health HTTP/1.1\r\n" + _HOST + b"Host: evil.example\r\n\r\n",
    "long head": b"GET /api/health HTTP/1.1\r\n" + _HOST + b"X: " + b"a" * 40_000 + b"\r\n\r\n",
    "negative": b"POST /api/classify HTTP/1.1\r\n" + _HOST + b"Content-Length: -5\r\n\r\n",
    "two lengths": b"POST /api/classify HTTP/1.1\r\n"
    + _HOST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "proxy": b"GET http://evil.example/api/health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
}


def test_requests_that_are_none(shared: Page) -> None:
    """4xx or an end; the page goes on."""
    for name, request in _NO_REQUESTS.items():
        with shared.open() as sender:
            try:
                sender.sendall(request)
                sender.shutdown(socket.SHUT_WR)
                answer = sender.recv(4096)
            except OSError:
                answer = b""
        assert not answer or answer.startswith(b"HTTP/1.1 4"), name
        assert shared.ask("/api/health")[0] == 200
