"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge.errors import EdgeError

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at; the same for every run.
        level: ``warn`` works but not as it should, ``fail`` keeps the daemon from its work.
        what: what was found, one clause.
        hint: what to do about it; never empty unless ``ok``.
    """

    check: str
    level: Level
    what: str
    hint: str = ""


def failed(check: str, error: EdgeError) -> Finding:
    """An error as a finding."""
    what = f"{error.what}: {error.subject}" if error.subject else error.what
    return Finding(check, "fail", what, error.hint or "see docs/operating.md")
