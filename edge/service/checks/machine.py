"""The machine: inotify's limits and the clock."""

from __future__ import annotations

import ctypes
import os
import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import edge
from edge.intake.inotify import Watches
from edge.service.checks.finding import Finding
from edge.settings import Settings

LIMITS: Final = Path("/proc/sys/fs/inotify")
_QUEUE: Final = 4096
_ADJTIMEX_SIZE: Final = 256  # struct timex is 208 bytes on 64-bit Linux
_SYNCHRONISED: Final = 16_000_000  # microseconds of possible error, adjtimex(2) and systemd agree
_HINT: Final = "echo fs.inotify.{name}={value} | sudo tee /etc/sysctl.d/60-edge.conf; sudo sysctl --system"


def check_inotify(settings: Settings, limits: Path = LIMITS) -> Iterator[Finding]:
    """Whether every folder below the drop folder can be watched; without, the scans find files later."""
    watches = Watches()
    try:
        if settings.drop.is_dir():
            watches.add("", settings.drop)
        exhausted = watches.limit_reached
    finally:
        watches.close()
    if exhausted:
        hint = _HINT.format(name="max_user_instances", value=512)
        yield Finding("inotify", "warn", "no watch could be made; files are found by scans only", hint)
        return
    most, queue = _limit(limits, "max_user_watches"), _limit(limits, "max_queued_events")
    folders = sum(1 for _ in os.walk(settings.drop))
    if most is not None and folders > most // 2:
        hint = _HINT.format(name="max_user_watches", value=max(65_536, 4 * folders))
        yield Finding("inotify", "warn", f"{folders} folders to watch, at most {most} for all programs", hint)
    elif queue is not None and queue < _QUEUE:
        hint = _HINT.format(name="max_queued_events", value=16_384)
        yield Finding("inotify", "warn", f"a queue of {queue} events; bursts will need scans", hint)
    else:
        room = "unknown" if most is None else most
        yield Finding("inotify", "ok", f"{folders} folders to watch, limit {room}")


def check_clock(_settings: Settings) -> Iterator[Finding]:
    """The device's clock: never earlier than the program's installation, and kept right by somebody."""
    yield judge_clock(time.time(), Path(edge.__file__).stat().st_mtime, synchronised=is_synchronised())


def judge_clock(now: float, installed: float, *, synchronised: bool | None) -> Finding:
    """What to say of a clock.

    Args:
        now: what it shows, seconds since 1970.
        installed: when the program was put here by the same clock.
        synchronised: what the kernel says; None if it can't be asked.
    """
    shown = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if now < installed:
        hint = "set it: sudo timedatectl set-time, or NTP; only times without EXIF and reports depend on it"
        return Finding("clock", "warn", f"{shown} is before this program was installed", hint)
    if synchronised is False:
        hint = "fine in the field if it has a battery; else: sudo timedatectl set-ntp true"
        return Finding("clock", "warn", f"{shown}, not synchronised", hint)
    return Finding("clock", "ok", f"{shown}, {'synchronised' if synchronised else 'as far as can be told'}")


def is_synchronised() -> bool | None:
    """Whether something keeps the kernel's clock right (adjtimex(2)); None if it can't be asked."""
    buffer = ctypes.create_string_buffer(_ADJTIMEX_SIZE)
    if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
        return None
    _modes, _offset, _frequency, error = struct.unpack_from("@Illl", buffer)
    return bool(error < _SYNCHRONISED)


def _limit(limits: Path, name: str) -> int | None:
    try:
        return int((limits / name).read_text())
    except (OSError, ValueError):
        return None
