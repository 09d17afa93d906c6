"""Looks at one image in a process of its own, so that what kills it kills nothing else.

Run as ``python -m edge.service.probe BUNDLE FILE MAX_PIXELS PROVIDER CACHE``. It says ``ready`` on standard
output before it touches the image: only what ends it after that is the image's doing. Exit code 0: the image
may be good or bad, and the provider may have failed, but the process lived to tell.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from edge.errors import ImageError, IntakeError, ProviderError
from edge.intake.whole import check
from edge.settings import VisionSettings
from edge.vision.foreign import as_jpeg
from edge.vision.labels import Label, LabelSet
from edge.vision.pipeline import Vision
from edge.vision.session import CPU

OPENING = 240.0
LOOKING = 45.0
_READY = b"ready\n"
_STEP = 1.0


def survives(
    bundle: Path,
    image: Path,
    max_pixels: int,
    beat: Callable[[], None] = lambda: None,
    *,
    provider: str = CPU,
    cache: Path,
) -> bool:
    """Whether a process that looks at this image lives to tell; True if it never came to look.

    Args:
        bundle: of models.
        image: the file.
        max_pixels: larger images are refused.
        beat: called every second meanwhile.
        provider: on which to look, as the daemon does.
        cache: folder with what it has compiled.
    """
    arguments = [str(bundle), str(image), str(max_pixels), provider, str(cache)]
    command = [sys.executable, "-m", "edge.service.probe", *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as probe:
        try:
            return not _is_ready(probe.stdout, beat) or _ends_well(probe, beat)
        finally:
            probe.kill()


def _is_ready(output: IO[bytes] | None, beat: Callable[[], None]) -> bool:
    deadline = time.monotonic() + OPENING
    while output is not None and time.monotonic() < deadline:
        beat()
        if select.select([output], [], [], _STEP)[0]:
            line = output.readline()
            if line in (_READY, b""):
                return line == _READY
    return False


def _ends_well(probe: subprocess.Popen[bytes], beat: Callable[[], None]) -> bool:
    deadline = time.monotonic() + LOOKING
    while time.monotonic() < deadline:
        beat()
        try:
            return probe.wait(_STEP) == 0
        except subprocess.TimeoutExpired:
            continue
    return False


def main(arguments: list[str]) -> int:
    """Open the bundle and look at the image; what is said of it doesn't matter here."""
    bundle, image, max_pixels = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    settings = VisionSettings(providers=(arguments[3],), workers=1)
    two = LabelSet(name="probe", labels=(Label(label="a", prompts=("a",)), Label(label="b", prompts=("b",))))
    vision = Vision.open(bundle, two, settings, Path(arguments[4]))
    sys.stdout.write(_READY.decode())
    sys.stdout.flush()
    try:
        data = as_jpeg(image.read_bytes(), max_pixels)
        check(data, max_pixels)
        vision.see(data, max_pixels)
    except (OSError, IntakeError, ImageError, ProviderError) as error:
        sys.stderr.write(f"{error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
