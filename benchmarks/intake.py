"""What intake costs per file, against the least that the work could cost.

``python -m benchmarks.intake`` takes about half a minute; ``--files`` says how many files the backlog has.
Ratios are paired: both sides are timed in turns, and the median of the turns' ratios is printed.

- examine: against opening the file with Pillow and asking it for EXIF.
- load: against reading the file and hashing it.
- scan: the first full scan of a backlog, watches and ledger included, against walking it with stat.
- memory: of a backlog that is handed out and has no fate yet, per file.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from edge.intake import Candidate, FileStat, examine, load
from edge.intake.inotify import Watches
from edge.intake.reconcile import Reconciler
from edge.settings import IntakeSettings

SETTINGS = IntakeSettings()
NOW_MS = 1_800_000_000_000
ORIGINAL, EXIF_IFD = 0x9003, 0x8769
TURNS = 7


class EmptyLedger:
    """Knows no file."""

    def known_in(self, folder: str, names: Sequence[str]) -> Mapping[str, FileStat]:
        """Nothing."""
        del folder, names
        return {}


def seconds(work: Callable[[], object]) -> float:
    """Duration of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def paired(title: str, ours: Callable[[], object], theirs: Callable[[], object], calls: int) -> None:
    """Prints our time per call and the median ratio of ours to theirs."""
    turns = [(seconds(ours), seconds(theirs)) for _ in range(TURNS)]
    each = statistics.median(mine for mine, _ in turns) / calls
    ratio = statistics.median(mine / other for mine, other in turns)
    print(f"{title}: {each * 1e6:.1f} us each, ratio {ratio:.2f}")


def trap_image(path: Path) -> Candidate:
    """An image of a camera's size, with EXIF."""
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[ORIGINAL] = "2024:06:01 12:00:00"
    out = io.BytesIO()
    Image.effect_noise((2048, 1536), 40).convert("RGB").save(out, "JPEG", quality=85, exif=exif)
    path.write_bytes(out.getvalue())
    return Candidate(path.parent, path.name, FileStat.of(path.stat()))


def pillow_exif(path: Path) -> object:
    """The same field by way of Pillow."""
    with Image.open(path) as image:
        return image.getexif().get_ifd(EXIF_IFD).get(ORIGINAL)


def walk(folder: Path) -> int:
    """Stat of every file below a folder."""
    found = 0
    for base, _, names in os.walk(folder):
        for name in names:
            found += os.stat(f"{base}/{name}").st_size >= 0  # noqa: PTH116 - the least that it could cost
    return found


def scan(folder: Path) -> Reconciler:
    """A first full scan, to its end."""
    watches = Watches()
    work = Reconciler(folder, SETTINGS, EmptyLedger(), watches, clock=time.monotonic)
    while not work.state().scanned:
        work.step()
    watches.close()
    return work


def backlog(folder: Path, files: int) -> None:
    """Empty files in folders of 1,000, as cameras make them."""
    for number in range(files):
        path = folder / f"cam-{number // 20_000}/DCIM/{number // 1000:03}EK113"
        if number % 1000 == 0:
            path.mkdir(parents=True)
        (path / f"IMG_{number:06}.JPG").touch()


def memory(folder: Path, files: int) -> float:
    """Bytes that each file costs while it is out."""
    now = 0.0
    watches = Watches()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    work = Reconciler(folder, SETTINGS, EmptyLedger(), watches, clock=lambda: now)
    handed = len(work.step())
    now = SETTINGS.settle
    while handed < files:
        handed += len(work.step())
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    watches.close()
    return used / files


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=120_000)
    files: int = parser.parse_args().files
    with tempfile.TemporaryDirectory() as name:
        image = trap_image(Path(name) / "IMG_0001.JPG")
        size = image.stat.size / 1e6
        many = range(200)
        paired(
            "examine / Pillow EXIF",
            lambda: [examine(image, SETTINGS, NOW_MS) for _ in many],
            lambda: [pillow_exif(image.path) for _ in many],
            len(many),
        )
        paired(
            f"load / read + SHA-256, {size:.1f} MB",
            lambda: [load(image, SETTINGS) for _ in many],
            lambda: [hashlib.sha256(image.path.read_bytes()).hexdigest() for _ in many],
            len(many),
        )
        drop = Path(name) / "drop"
        backlog(drop, files)
        paired(f"full scan / walk with stat, {files} files", lambda: scan(drop), lambda: walk(drop), files)
        print(f"memory while out: {memory(drop, files):.0f} bytes per file")


if __name__ == "__main__":
    main()
