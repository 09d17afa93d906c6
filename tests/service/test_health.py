"""The health message, put together from what is on record."""

from __future__ import annotations

from pathlib import Path

from edge.delivery.state import PublisherState
from edge.intake.reconcile import WatchState
from edge.service.health import Gauges, HealthDesk
from edge.settings import Settings
from edge.store.requests import Reprocessing, Which
from edge.vision.pipeline import VisionInfo
from edge.vision.providers import CPU
from edge.vision.selftest import ProviderReport
from tests.service.corrected import Corrigible
from tests.service.outcomes import examined, seen


def _gauges() -> Gauges:
    report = ProviderReport((CPU,), CPU, (), {})
    return Gauges(
        watch=WatchState(drop_present=True),
        publisher=PublisherState("connected", "ok", "", 0.0, 0, 0, 0, 1, (), commands=True),
        backlog=0,
        processed=0,
        duplicates=0,
        set_aside=0,
        disk_full=False,
        vision=VisionInfo("starter", "1", "ab" * 32, "europe", "cd" * 32, 3, 384, ("en",), report),
    )


def test_images_in_line_to_be_looked_at_again_are_counted(tmp_path: Path) -> None:
    """Who asked for it sees how far it is; 0 once all are done."""
    desk = Corrigible.at(tmp_path)
    desk.record(*(seen(examined(f"i{n}", n)) for n in range(3)))
    health = HealthDesk(Settings(state=tmp_path), desk.database, _gauges)
    assert health.make().intake.reprocess == 0
    line = Reprocessing(desk.database)
    line.add(Which())
    assert health.make().intake.reprocess == 3
    while (again := line.next()) is not None:
        line.done(again.media_id)
    assert health.make().intake.reprocess == 0
