"""What an image's path says of it: its deployment, and maybe its time."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from edge.interchange.types import BadValue
from edge.settings import IntakeSettings

_TIME = re.compile(IntakeSettings.model_fields["time_pattern"].default)


def deployment_of(media: str, depth: int) -> str:
    """The first folders of an image's path.

    Raises:
        BadValue: it has not so many.
    """
    folders = [part for part in media.replace("\\", "/").split("/")[:-1] if part not in ("", ".")]
    if len(folders) < max(depth, 1):
        raise BadValue(
            "deployment", media, "a deployment, or a folder in the image's path (or --deployment NAME)"
        )
    return "/".join(folders[: max(depth, 1)])


def time_in(media: str) -> str:
    """A time that the file's name shows, in ISO form without a zone; nothing if it shows none."""
    found = _TIME.search(PurePosixPath(media.replace("\\", "/")).name)
    if found is None:
        return ""
    part = found.groupdict()
    date, clock = f"{part['year']}-{part['month']}-{part['day']}", f"{part['hour']}:{part['minute']}"
    return f"{date}T{clock}:{part['second'] or '00'}"
