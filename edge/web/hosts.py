"""Which names of this machine a browser may have called, and from where a request came.

A page elsewhere can have its own name point to this machine (DNS rebinding), and then its scripts count as
same-origin here. What it can't do is have the browser send another name than its own, so only names that are
known to be this machine's are served. Addresses are no names: nobody can point them elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:\[\]@/\\?#%\s]+)(?::(?P<port>\d{1,5}))?", re.ASCII)


def own_names(extra: Iterable[str]) -> frozenset[str]:
    """Names of this machine, lower case: its host name with and without domains, and those given."""
    host = socket.gethostname().lower().rstrip(".")
    short = host.partition(".")[0]
    given = (name.lower().rstrip(".") for name in extra)
    return frozenset({"localhost", host, short, f"{short}.local", *given} - {""})


def is_own(header: str, names: frozenset[str]) -> bool:
    """Whether a ``Host`` header names this machine.

    Args:
        header: as it came, with or without a port.
        names: of this machine, lower case.
    """
    found = _HOST.fullmatch(header.strip().lower())
    if found is None:
        return False
    name = found["name"].rstrip(".")
    return name in names or address(name.strip("[]")) is not None


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address as it is written, None if it is none; IPv4 in IPv6's clothes is IPv4."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def is_loopback(client: str) -> bool:
    """Whether a peer's address is this machine's own."""
    found = address(client)
    return found is not None and found.is_loopback


def client_key(client: str) -> str:
    """Whom limits count: an IPv4 address, or the /64 of an IPv6 one, of which one machine has all."""
    found = address(client)
    if isinstance(found, ipaddress.IPv6Address) and not found.is_loopback:
        return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found) if found else client
