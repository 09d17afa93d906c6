"""Health as files for other programs, where the settings want them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.delivery.messages import Health, Problem, encode
from edge.service.metrics import exposition
from edge.settings import HealthSettings

_MODE: Final = 0o644


class Postings:
    """Writes the files. One that can't be written is told of in health, and keeps nobody from work.

    Args:
        settings: where they go.
    """

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self._problem: Problem | None = None

    def problems(self) -> tuple[Problem, ...]:
        """Why the last writing failed, if it did."""
        return () if self._problem is None else (self._problem,)

    def write(self, health: Health) -> None:
        """Write every file that is wanted: whole or not at all, for everybody to read."""
        self._problem = None
        for path, data in self._wanted(health):
            try:
                _replace(path, data)
            except OSError as error:
                self._problem = Problem(
                    code="health_file",
                    message=f"{path} can't be written: {error.strerror}",
                    hint="the unit lets the daemon write in /run/edge and /var/lib/edge",
                )

    def _wanted(self, health: Health) -> Iterator[tuple[Path, bytes]]:
        if self._settings.json_file is not None:
            yield self._settings.json_file, encode(health)
        if self._settings.prometheus_file is not None:
            running = health.state != "stopping"
            yield self._settings.prometheus_file, exposition(health, running=running).encode()


def _replace(path: Path, data: bytes) -> None:
    """Temp and rename. No fsync: after a power cut these say nothing anyway, and each would wear the card."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.chmod(_MODE)
        temporary.rename(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
