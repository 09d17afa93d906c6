"""What indexing a folder costs: pictures a second against a plain loop, memory, and coming back to a folder.

``python -m benchmarks.collection`` takes about four minutes on two idle cores; ``--files`` says how many
pictures there are, ``--known`` how many files lie unchanged. The pictures are the trap images of the shared
test data (``EDGE_SHARED``, by default ``../shared``), each copy with some bytes of its own behind its end.

- indexing: ``edge index`` with two workers against one thread that reads, looks, stores and commits picture
  by picture, with the same models; the same without looking for animals (``--whole``). Each in a process of
  its own, in turns; the median of the turns' ratios is printed. Opening models and sealing aren't counted.
- coming back: a run over a folder in which nothing has changed, against walking it with stat.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from edge.intake.types import Candidate, FileStat
from edge.service.collecting.home import BUNDLE, FINISHED, ROOT, WHOLE, folder_of
from edge.service.collecting.index import Wish, index
from edge.service.collecting.summary import Progress
from edge.service.looker import embedded
from edge.service.memory import tame_malloc
from edge.settings import Settings, StoreSettings, VisionSettings
from edge.store.database import Database, open_database
from edge.store.ledger import Fate, Ledger, Stat
from edge.store.media import MediaRow, MediaStore
from edge.vision.bundles import find_bundle
from edge.vision.labels import load_label_set
from edge.vision.manifest import bundle_sha256
from edge.vision.pipeline import Vision

ROUNDS = 7
NAME = "bench"
MAX_PIXELS = 120_000_000


def settings_in(state: Path) -> Settings:
    """Two workers, a state folder of one's own, and no reserve on the disk."""
    return Settings(state=state, vision=VisionSettings(workers=2), store=StoreSettings(low_water=0))


def replicate(root: Path, target: Path, number: int, first: int) -> None:
    """Real images, each copy a content of its own."""
    images = sorted(p for p in root.rglob("*") if p.suffix.lower() == ".jpg")
    for i in range(first, first + number):
        source = images[i % len(images)]
        path = target / source.parent.name / f"{i:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes() + i.to_bytes(4, "big"))


def ours(folder: Path, state: Path, *, whole: bool) -> dict[str, float]:
    """The product; seconds that it looked, and CPU seconds of that."""
    processor: dict[str, float] = {}

    def told(progress: Progress) -> None:
        processor.setdefault(progress.phase, time.process_time())

    summary = index(settings_in(state), Wish(folder, NAME, whole=whole), stop=threading.Event(), told=told)
    spent = processor["sealing"] - processor["looking"]
    return {"seconds": summary.looking, "images": summary.looked, "processor": spent}


def plain(folder: Path, state: Path) -> dict[str, float]:
    """One thread, one picture after the other, each committed."""
    tame_malloc()
    settings = settings_in(state).vision.model_copy(update={"snapshots": False})
    bundle = find_bundle(settings.bundle)
    vision = Vision.open(bundle, load_label_set(settings.labels), settings, state / "cache")
    sha256 = bundle_sha256(bundle)
    files = sorted(folder.rglob("*.jpg"))
    with closing(open_database(state)) as database:
        store = MediaStore(database)
        begun, used = time.perf_counter(), time.process_time()
        for path in files:
            data = path.read_bytes()
            sight = vision.see(data, MAX_PIXELS)
            row = media_row(f"sha256:{hashlib.sha256(data).hexdigest()}", path.name, len(data), sha256)
            store.add(MediaRow(**row, embeddings=embedded(sight.embeddings)))
        spent = time.process_time() - used
        return {"seconds": time.perf_counter() - begun, "images": len(files), "processor": spent}


def media_row(media_id: str, file: str, size: int, bundle: str) -> dict[str, Any]:
    """What a row of ``media`` needs besides what was seen."""
    return {
        "media_id": media_id,
        "file": file,
        "deployment": "camera",
        "taken": 0,
        "offset_minutes": 0,
        "time_source": "mtime",
        "clock_ok": True,
        "size": size,
        "width": 1,
        "height": 1,
        "bundle": bundle,
        "received": 0,
    }


def measured(variant: str, folder: Path) -> dict[str, float]:
    """One variant in a process of its own, with a state folder of its own."""
    with tempfile.TemporaryDirectory() as state:
        command = [sys.executable, "-m", "benchmarks.collection", "--variant", variant, str(folder), state]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def indexing(images: Path, files: int, work: Path) -> None:
    """Pictures a second, in turns, and the most memory that each took."""
    rates: dict[str, list[float]] = {"ours": [], "whole": [], "plain": []}
    processor: dict[str, list[float]] = {"ours": [], "whole": [], "plain": []}
    memory = dict.fromkeys(rates, 0.0)
    each = max(1, files // ROUNDS)
    for turn in range(ROUNDS):
        folder = work / "pictures"
        replicate(images, folder, each, turn * each)
        order = list(rates) if turn % 2 else list(reversed(rates))
        for variant in order:
            found = measured(variant, folder)
            rates[variant].append(found["images"] / found["seconds"])
            processor[variant].append(found["processor"] / found["images"])
            memory[variant] = max(memory[variant], found["rss"])
        shutil.rmtree(folder)
    for variant, seen in rates.items():
        each_ms = statistics.median(processor[variant]) * 1e3
        print(
            f"{variant}: {statistics.median(seen):.1f} images/s, {each_ms:.1f} ms of CPU time an image, "
            f"{memory[variant] / 1e6:.0f} MB at most"
        )
    for variant in ("ours", "whole"):
        ratios = [a / b for a, b in zip(rates[variant], rates["plain"], strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}, {ROUNDS} turns, {each} images each"
        print(f"{variant} / plain, images/s: {statistics.median(ratios):.2f} ({spread})")
        ratios = [a / b for a, b in zip(processor[variant], processor["plain"], strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"{variant} / plain, CPU time: {statistics.median(ratios):.2f} ({spread})")


def coming_back(known: int, work: Path) -> None:
    """A run over files that haven't changed, against the least that it could cost."""
    folder, state = work / "known", work / "state"
    for number in range(known):
        path = folder / f"cam-{number // 20_000}/{number // 1000:03}/{number:06}.jpg"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.touch()
    settings = settings_in(state)
    put_on_record(settings, folder)
    turns = []
    for _ in range(ROUNDS):
        mine = seconds(lambda: index(settings, Wish(folder, NAME), stop=threading.Event()))
        turns.append((mine, seconds(lambda: walk(folder))))
    again = statistics.median(mine for mine, _ in turns)
    ratio = statistics.median(mine / other for mine, other in turns)
    print(f"coming back to {known} unchanged files: {again:.2f} s, {ratio:.2f} times walking with stat")


def put_on_record(settings: Settings, folder: Path) -> None:
    """Every file, as if it had been indexed."""
    bundle = find_bundle(settings.vision.bundle)
    with closing(open_database(folder_of(settings, NAME))) as database, database.transaction():
        for key, value in ((ROOT, folder.resolve().as_uri()), (WHOLE, "0"), (BUNDLE, "b"), (FINISHED, "1")):
            database.remember(key, value)
        _fill(database, folder, bundle_sha256(bundle))


def _fill(database: Database, folder: Path, sha256: str) -> None:
    store, fates = MediaStore(database), []
    for number, path in enumerate(sorted(folder.rglob("*.jpg"))):
        stat = FileStat.of(path.stat())
        candidate = Candidate(folder, path.relative_to(folder).as_posix(), stat)
        media_id = f"sha256:{number:064x}"
        store.add(MediaRow(**media_row(media_id, candidate.file, 0, sha256)))
        fates.append(Fate(candidate.file, Stat(*stat), "processed", "", media_id))
    Ledger(database).settle(fates, now=0)


def seconds(work: Callable[[], object]) -> float:
    """Duration of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def walk(folder: Path) -> int:
    """Stat of every file below a folder."""
    found = 0
    for base, _, names in os.walk(folder):
        for name in names:
            found += os.stat(f"{base}/{name}").st_size >= 0  # noqa: PTH116 - the least that it could cost
    return found


def run_variant(variant: str, folder: Path, state: Path) -> None:
    """In a child: run one, and print what it took."""
    found = plain(folder, state) if variant == "plain" else ours(folder, state, whole=variant == "whole")
    found["rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(found))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2100)
    parser.add_argument("--known", type=int, default=100_000)
    parser.add_argument("--variant", nargs=3, metavar=("NAME", "DIR", "STATE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.variant:
        run_variant(given.variant[0], Path(given.variant[1]), Path(given.variant[2]))
        return
    root = Path(os.environ.get("EDGE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    with tempfile.TemporaryDirectory() as work:
        coming_back(given.known, Path(work))
        if (root / "data" / "trap-images").is_dir():
            indexing(root / "data" / "trap-images", given.files, Path(work))
        else:
            print(
                "indexing: skipped: needs real images; set EDGE_SHARED to a folder that has data/trap-images"
            )


if __name__ == "__main__":
    main()
