"""Which camera a file is from, and its place in that camera's numbering."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from edge.intake.types import FileNumber
from edge.settings import IntakeSettings

# A counter of four digits is what DCF prescribes; shorter ones are taken for the same.
_SHORTEST_COUNTER = 4
_NUMBER = re.compile(r"(?<!\d)\d{3,8}$", re.ASCII)

# Topic wildcards and separators, and what MQTT 5 (1.5.4) lets a broker refuse in a string.
_FORBIDDEN = re.compile("[+#/\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


def deployment_of(file: str, settings: IntakeSettings) -> str:
    """The camera that a file (path below the drop folder) is from, as one level of an MQTT topic."""
    found = re.match(settings.deployment_pattern, file)
    name = found.groupdict().get("deployment") if found else None
    return topic_level(name or "") or settings.default_deployment


def topic_level(name: str) -> str:
    """A name with everything replaced by ``_`` that a level of an MQTT topic can't hold; may be empty."""
    level = _FORBIDDEN.sub("_", name.strip())
    return f"_{level[1:]}" if level.startswith("$") else level


def file_number(file: str, time_pattern: str) -> FileNumber | None:
    """The running number at the end of a file's name, None if there is none.

    A time in the name isn't a number: digits that belong to one don't count, and it is left out of the
    sequence, so that ``20210531082538-RCNX0031`` and ``20210531082539-RCNX0032`` are of one sequence.
    """
    path = PurePosixPath(file)
    stem = path.stem
    found = _NUMBER.search(stem)
    if found is None:
        return None
    times = re.finditer(time_pattern, stem)
    if any(time.group() and time.end() > found.start() for time in times):
        return None
    before = re.sub(time_pattern, "", stem[: found.start()])
    modulus = 10 ** max(len(found.group()), _SHORTEST_COUNTER)
    return FileNumber(f"{path.parent}/{before}", int(found.group()), modulus)
