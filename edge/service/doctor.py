"""``edge doctor``: is everything as the daemon needs it? Looks only; each finding says what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from edge.errors import EdgeError
from edge.service.checks.broker import check_broker
from edge.service.checks.finding import Finding, failed
from edge.service.checks.folders import check_drop, check_state
from edge.service.checks.installation import check_daemon, check_database, check_unit
from edge.service.checks.machine import check_clock, check_inotify
from edge.service.checks.models import check_bundle, check_labels, check_runtime
from edge.settings import Settings

Check = Callable[[Settings], Iterator[Finding]]

CHECKS: Final[dict[str, Check]] = {
    "daemon": check_daemon,
    "state folder": check_state,
    "drop folder": check_drop,
    "database": check_database,
    "inotify": check_inotify,
    "clock": check_clock,
    "onnxruntime": check_runtime,
    "labels": check_labels,
    "bundle": check_bundle,
    "broker": check_broker,
    "unit": check_unit,
}
"""In the order in which they are told; the name is that of an error that ends a check."""


def diagnose(settings: Settings, checks: dict[str, Check] | None = None) -> Iterator[Finding]:
    """Look at everything, one finding after the other as they come; an error in one check ends only that."""
    for name, check in (CHECKS if checks is None else checks).items():
        try:
            yield from check(settings)
        except EdgeError as error:
            yield failed(name, error)
        except OSError as error:
            what = f"can't be looked at: {error}"
            yield Finding(name, "fail", what, "ask as the service's user, or as root")
