"""Looks at one image in a process of its own, so that what kills it kills nothing else.

Run as ``python -m edge.service.probe BUNDLE FILE MAX_PIXELS``. Exit code 0: the image may be good or bad,
but the process lived to tell.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from edge.errors import ImageError
from edge.settings import VisionSettings
from edge.vision.labels import Label, LabelSet
from edge.vision.pipeline import Vision

TIMEOUT = 45.0


def survives(bundle: Path, image: Path, max_pixels: int) -> bool:
    """Whether a process that looks at this image lives to tell."""
    command = [sys.executable, "-m", "edge.service.probe", str(bundle), str(image), str(max_pixels)]
    try:
        finished = subprocess.run(command, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return False
    return finished.returncode == 0


def main(arguments: list[str]) -> int:
    """Open the bundle and look at the image; what vision says of it doesn't matter here."""
    bundle, image, max_pixels = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    two = LabelSet(name="probe", labels=(Label(label="a", prompts=("a",)), Label(label="b", prompts=("b",))))
    with tempfile.TemporaryDirectory() as cache:
        vision = Vision.open(bundle, two, VisionSettings(snapshots=True), Path(cache))
        try:
            vision.see(image.read_bytes(), max_pixels)
        except ImageError as error:
            sys.stderr.write(f"{error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
