"""Sites with toy models and thousands of small images that are all different."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.e2e.site import Site
from tests.soak.material import Picture, stamped
from tests.vision import toy

START = datetime(2026, 5, 4, 6, tzinfo=UTC)
COLOURS = ((255, 0, 0), (255, 0, 0), (0, 255, 0), (255, 0, 0))


def toy_site(folder: Path, port: int | None = None, **settings: dict[str, Any]) -> Site:
    """A site whose models see coloured spots."""
    folder.mkdir(parents=True, exist_ok=True)
    bundle = toy.save_bundle(folder / "toy")
    return Site(folder, port, {"vision": {"bundle": str(bundle)}, **settings}).prepare()


def image(number: int, *, start: datetime = START) -> bytes:
    """One image: a spot that is an animal (three of four) or a person, taken at a time of its own."""
    colour = COLOURS[number % len(COLOURS)]
    plain = toy.jpeg(toy.scene((8 * (number % 6), 8 * (number // 6 % 6), colour)))
    taken = start + timedelta(seconds=97 * number)
    return stamped(Picture(plain.removeprefix(b"\xff\xd8")), taken, f"number {number}")


def images(number: int, cameras: int = 4) -> Iterator[tuple[str, bytes]]:
    """File below the drop folder, and its bytes."""
    for i in range(number):
        yield f"cam-{i % cameras}/IMG_{i // cameras + 1:04}.JPG", image(i)


def deliver(site: Site, files: Iterator[tuple[str, bytes]], number: int | None = None) -> list[str]:
    """Write the next files (all, if no number is given) under a hidden name, then rename; returns names."""
    written = []
    for file, data in files:
        path = site.drop / file
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(data)
        part.rename(path)
        written.append(file)
        if len(written) == number:
            break
    return written
