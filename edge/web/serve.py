"""The server's life: listen, tell systemd, serve, end in order."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from edge.errors import ConfigError, WebError
from edge.service.memory import tame_malloc
from edge.service.notify import notify, watchdog_interval
from edge.settings import Settings, WebSettings
from edge.web.app import make_app
from edge.web.context import Context
from edge.web.patient import Connections, protocol

log = logging.getLogger("edge.web")

_KEEP_ALIVE: Final = 15
_GRACE: Final = 3
_HEAD_BYTES: Final = 16 * 1024
_STUCK: Final = 20
"""A search that takes so many times as long as anybody waits for it hangs."""


def serve(settings: Settings, *, listening: Callable[[str], None] = lambda _url: None) -> None:
    """Serve the page until SIGTERM or SIGINT.

    Args:
        settings: all of them.
        listening: told the page's address when it can be asked.

    Raises:
        ConfigError: it would listen beyond this machine without a token, its address isn't this machine's, or
            the certificate can't be used.
        WebError: the port is taken.
    """
    web = settings.web
    check_reach(web)
    with bound(web) as listener:
        app = make_app(settings)
        server = _Server(_config(app, web), app.state.context, lambda: listening(_url(web, listener)))
        tame_malloc()
        _stand_back(web.nice)
        server.run([listener])
    _end(app.state.context)


def _stand_back(nice: int) -> None:
    """Let others go first; under systemd the unit has seen to it, and nothing but the unit may."""
    if os.getpriority(os.PRIO_PROCESS, 0) >= nice:
        return
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    except PermissionError:
        log.warning("web.nice = %d: the unit's Nice= counts here, and it is lower", nice)


def check_reach(web: WebSettings) -> None:
    """Make sure that whoever can reach the page is meant to.

    Raises:
        ConfigError: others can, and there is no token; or the host isn't known.
    """
    if web.token is None and not all(a.is_loopback for a in _addresses(web)):
        raise ConfigError(
            "without a token the page is for this machine only",
            subject=f"web.host = {web.host}",
            hint="give one: EDGE_WEB__TOKEN, or /etc/edge/web-token under systemd; or web.host = 127.0.0.1",
        )


@contextmanager
def bound(web: WebSettings) -> Iterator[socket.socket]:
    """A socket that listens.

    Raises:
        ConfigError: the address isn't this machine's, or the port is for root.
        WebError: the port is taken.
    """
    family = socket.AF_INET6 if _addresses(web)[0].version == 6 else socket.AF_INET  # noqa: PLR2004 - IPv6
    subject = f"{web.host} port {web.port}"
    try:
        listener = socket.create_server((web.host, web.port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            hint = "another program listens there, perhaps another `edge web`: choose with --port"
            raise WebError("port is in use", subject=subject, hint=hint) from error
        raise ConfigError(
            "the page can't listen there", subject=subject, hint=error.strerror or ""
        ) from error
    try:
        yield listener
    finally:
        listener.close()


def _addresses(web: WebSettings) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(web.host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        hint = "write an address of this machine, such as 127.0.0.1 or 0.0.0.0 for all"
        raise ConfigError("no such host", subject=f"web.host = {web.host}", hint=hint) from error
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _config(app: FastAPI, web: WebSettings) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=protocol(Connections(web.connections, web.client_connections)),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=web.connections,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
        h11_max_incomplete_event_size=_HEAD_BYTES,
        ssl_certfile=web.cert_file,
        ssl_keyfile=web.key_file,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        subject = f"{web.cert_file}, {web.key_file}"
        raise ConfigError("the certificate can't be used", subject=subject, hint=str(error)) from error
    return config


class _Server(uvicorn.Server):
    """Uvicorn's, which tells systemd how it is and takes a signal for a reason to end, not for an error."""

    def __init__(self, config: uvicorn.Config, context: Context, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._context = context
        self._listening = listening
        interval = watchdog_interval()
        if interval is not None:
            config.callback_notify = self._alive
            config.timeout_notify = max(1, int(interval / 3))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        notify("READY=1")
        self._listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Have what sends without end stop, then end."""
        self._context.stopping.set()
        notify("STOPPING=1")
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in order at the first signal; a second Ctrl-C ends at once."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.should_exit = True
        self._context.stopping.set()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    async def _alive(self) -> None:
        if self._context.work.busy_for < _STUCK * self._context.settings.web.patience:
            notify("WATCHDOG=1")


def _url(web: WebSettings, listener: socket.socket) -> str:
    scheme = "https" if web.cert_file else "http"
    port = listener.getsockname()[1]
    host = f"[{web.host}]" if ":" in web.host else web.host
    return f"{scheme}://{host}:{port}/"


def _end(context: Context) -> None:
    """Don't wait for a model run that nobody waits for; nothing is lost by it."""
    if not context.work.ended(_GRACE):
        logging.shutdown()
        os._exit(0)
