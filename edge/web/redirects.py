"""Where a person is sent on to: never off this page."""

from __future__ import annotations


def local(target: str) -> str:
    """Where to go on, if that is on this page; else the beginning.

    Browsers take backslashes for slashes and pass over tabs and line ends, so all of that is refused.
    """
    fine = target.startswith("/") and target[1:2] not in ("/", "\\")
    return target if fine and target.isprintable() and "\\" not in target else "/"
