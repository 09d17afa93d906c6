"""HTTP connections with an end to patience.

Uvicorn waits for ever for a request that was begun, and for a client that doesn't read its answer. Here a
connection has so many seconds to send a request's head and to go on reading, and one client has so many
connections.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from edge.web.hosts import client_key

HEAD_SECONDS: Final = 10.0
READ_SECONDS: Final = 30.0
_SPARE: Final = 16
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class Connections:
    """How many there are, of everybody and of each client.

    Args:
        most: in all; a few more may say that there are too many.
        of_client: of one client.
    """

    def __init__(self, most: int, of_client: int) -> None:
        self._most = most + _SPARE
        self._of_client = of_client
        self._clients: Counter[str] = Counter()

    def begin(self, client: str) -> bool:
        """Count one more; False if there are too many, and it isn't counted."""
        if self._clients[client] >= self._of_client or self._clients.total() >= self._most:
            return False
        self._clients[client] += 1
        return True

    def end(self, client: str) -> None:
        """Count one less."""
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]


class Patient(H11Protocol):
    """One connection; counted where its class says."""

    counts: ClassVar[Connections]

    _counted: str | None = None
    _head: asyncio.TimerHandle | None = None
    _reader: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Count it; one too many is told so."""
        super().connection_made(transport)
        key = client_key(self.client[0] if self.client else "")
        if not self.counts.begin(key):
            transport.write(_BUSY)
            transport.close()
            return
        self._counted = key
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self._cancel()
        if self._counted is not None:
            self.counts.end(self._counted)
            self._counted = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that isn't whole keeps the clock running."""
        if self._counted is None:
            return
        super().data_received(data)
        self._await_head()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._await_head()

    def pause_writing(self) -> None:
        """The client doesn't read as fast as it is sent to."""
        super().pause_writing()
        self._reader = self.loop.call_later(READ_SECONDS, self._give_up)

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def _await_head(self) -> None:
        """Keep the clock running while no request is in hand; uvicorn's own stops at the first byte."""
        in_hand: Any = self.cycle
        if in_hand is not None and not in_hand.response_complete:
            if self._head is not None:
                self._head.cancel()
                self._head = None
        elif self._head is None:
            patience = HEAD_SECONDS if in_hand is None else self.timeout_keep_alive + HEAD_SECONDS
            self._head = self.loop.call_later(patience, self._give_up)

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()

    def _cancel(self) -> None:
        for timer in (self._head, self._reader):
            if timer is not None:
                timer.cancel()


def protocol(connections: Connections) -> type[Patient]:
    """A protocol for uvicorn whose connections are counted here."""
    return type("CountedPatient", (Patient,), {"counts": connections})
