"""The topics of one device."""

from __future__ import annotations

import zlib
from typing import Final

_UNFIT: Final = {ord(char): f"%{ord(char):02X}" for char in "%+#/$\0"}
"""Characters with a meaning in topics; a folder that cameras write to may well be called ``cam#1``."""


def level(name: str) -> str:
    """A name as one level of a topic; what MQTT gives a meaning to is percent-encoded."""
    return name.translate(_UNFIT) or "%"


class Topics:
    """Where a device publishes and listens.

    Args:
        prefix: in front of everything, such as ``edge/v1``.
        device: name of the machine, usable as one level of a topic.
        homeassistant: prefix of Home Assistant's discovery.
    """

    def __init__(self, prefix: str, device: str, homeassistant: str = "homeassistant") -> None:
        base = f"{prefix}/{device}"
        self.base: Final = base
        self.status: Final = f"{base}/status"
        self.cursor: Final = f"{base}/cursor"
        self.health: Final = f"{base}/health"
        self.commands: Final = f"{base}/command/+"
        self.discovery: Final = f"{homeassistant}/device/{discovery_id(device)}/config"
        self.birth: Final = f"{homeassistant}/status"

    def registration(self, deployment: str) -> str:
        """The change log of a deployment."""
        return f"{self.base}/registration/{level(deployment)}"

    def snapshot(self, deployment: str) -> str:
        """Pictures of a deployment."""
        return f"{self.base}/snapshot/{level(deployment)}"

    def compact(self, deployment: str) -> str:
        """Closed registrations of a deployment in the compact form."""
        return f"{self.base}/compact/{level(deployment)}"

    def command(self, name: str) -> str:
        """Where a command is asked for."""
        return f"{self.base}/command/{name}"

    def command_of(self, topic: str) -> str | None:
        """The command that a topic asks for, or None."""
        head = f"{self.base}/command/"
        return topic[len(head) :] if topic.startswith(head) else None


def discovery_id(name: str) -> str:
    """A name as an id that Home Assistant takes: letters, digits, ``_`` and ``-``.

    Other characters become ``_``, and a checksum of the name keeps such ids apart.
    """
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "_" for char in name)
    return plain if plain == name and name else f"{plain}-{zlib.crc32(name.encode(errors='replace')):08x}"
