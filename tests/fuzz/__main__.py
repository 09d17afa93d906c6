"""``python -m tests.fuzz --minutes N``: each reader in its turn, with new inputs until its time is up."""

from __future__ import annotations

import argparse
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.fuzz.readers import READERS
from tests.fuzz.target import Target

_TURN = 300
_MEMORY = 6 << 30


def main(arguments: Sequence[str] | None = None) -> int:
    """Hunt; returns the exit code, 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="for each reader")
    parser.add_argument("--only", default="", help="readers whose name has this in it")
    parser.add_argument(
        "--first", type=int, default=1, help="number of the first turn: others give other inputs"
    )
    given = parser.parse_args(arguments)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    found = 0
    for reader in READERS:
        if given.only in reader.name:
            found += _hunt(reader, given.minutes * 60, given.first)
    return 1 if found else 0


def _hunt(reader: Target[Any], seconds: float, number: int) -> int:
    """Try one reader for so long; returns how many different things were found."""
    began, tried, taken = time.monotonic(), 0, 0
    findings: Counter[str] = Counter()
    while time.monotonic() - began < seconds:
        try:
            more, good = reader.hunt(_TURN, number)
            tried, taken = tried + more, taken + good
        except Exception as error:  # noqa: BLE001 - any error is a finding
            findings[f"{type(error).__name__}: {str(error)[:100]}"] += 1
            if findings.total() == 1:
                traceback.print_exc()
        number += 1
    what = "; ".join(f"{text} ({times} times)" for text, times in findings.items()) or "nothing found"
    sys.stdout.write(
        f"{reader.name}: {tried} inputs, {taken} taken, {time.monotonic() - began:.0f} s: {what}\n"
    )
    sys.stdout.flush()
    return len(findings)


if __name__ == "__main__":
    sys.exit(main())
