"""The cameras, and how each is."""

from __future__ import annotations

from dataclasses import dataclass

from edge.settings import Settings
from edge.store.database import Database
from edge.store.overview import CameraRow, camera_rows


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera.

    Attributes:
        row: what is on record of it.
        zone: the time zone that its clock runs in.
        clock_offset: seconds that are added to what its clock says.
        quiet: ms since its last image was taken, by the device's clock; None without images, or where that
            image's time can't be right.
    """

    row: CameraRow
    zone: str
    clock_offset: float
    quiet: int | None


def cameras(database: Database, settings: Settings, now: int) -> list[Camera]:
    """Every camera that an image came from, by name.

    Args:
        database: any.
        settings: zones and clocks.
        now: the device's time, ms UTC.
    """
    return [_camera(row, settings, now) for row in camera_rows(database)]


def _camera(row: CameraRow, settings: Settings, now: int) -> Camera:
    last = row.last
    return Camera(
        row,
        str(settings.intake.zone(row.deployment)),
        settings.intake.deployment(row.deployment).clock_offset,
        max(0, now - last.taken) if last is not None and last.clock_ok else None,
    )
