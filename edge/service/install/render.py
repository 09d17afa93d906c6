"""The shipped files, made out for one machine: where the program is, and whose service it is."""

from __future__ import annotations

import re
from typing import Final

PROGRAM: Final = "/opt/edge/bin/edge"
"""The program in the shipped units."""
USER: Final = "edge"
"""The user in the shipped units, and its group."""

_PROGRAM = re.compile(rf"{re.escape(PROGRAM)}(?=\s)")
_USER = re.compile(rf"^(User|Group)={USER}$", re.MULTILINE)
_EXEC = re.compile(r"^ExecStart=(?P<program>\S+(?: -m edge)?) ", re.MULTILINE)
_RUN_AS = re.compile(r"^User=(?P<user>\S+)$", re.MULTILINE)


def unit(text: str, program: str, user: str) -> str:
    """A unit for this program and user.

    Args:
        text: as it is shipped.
        program: absolute path of the command ``edge``, or of an interpreter with ``-m edge``.
        user: its group has the same name.
    """
    return _USER.sub(rf"\1={user}", _PROGRAM.sub(lambda _: program, text))


def system_file(text: str, user: str) -> str:
    """A file for sysusers or tmpfiles, for this user; those for udev name none."""
    lines = []
    for line in text.splitlines(keepends=True):
        if line.startswith("u "):
            line = line.replace(f"u {USER} ", f"u {user} ", 1)  # noqa: PLW2901 - one line, in two forms
        elif line.startswith("d "):
            line = line.replace(f" {USER} {USER} ", f" {user} {user} ")  # noqa: PLW2901 - as above
        lines.append(line)
    return "".join(lines)


def like(shipped: str, installed: str) -> str:
    """A shipped unit, made out as an installed one was: whatever differs then has another reason."""
    program, user = _EXEC.search(installed), _RUN_AS.search(installed)
    return unit(shipped, program["program"] if program else PROGRAM, user["user"] if user else USER)
