"""A folder of pictures, a state folder, and runs over them with toy models that see coloured spots."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from edge.service.collecting.home import Collection, open_collection
from edge.service.collecting.index import Wish, index
from edge.service.collecting.summary import Summary, Told
from edge.settings import Settings
from tests.vision import toy

NAME = "toys"
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def picture(number: int, colour: tuple[int, int, int] = RED, kind: str = "JPEG") -> bytes:
    """A picture that is another for each number: a spot of a colour, somewhere."""
    scene = toy.scene((8 * (number % 6), 8 * (number // 6 % 6), colour))
    scene[63, :32] = [[(number >> bit & 1) * 40] * 3 for bit in range(32)]
    how: dict[str, Any] = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    buffer = io.BytesIO()
    Image.fromarray(scene).save(buffer, kind, **how)
    return buffer.getvalue()


@dataclass(frozen=True)
class Shelf:
    """Where it all lies.

    Attributes:
        root: the pictures.
        settings: with the state folder and the toy models.
    """

    root: Path
    settings: Settings

    @classmethod
    def at(cls, folder: Path, **vision: Any) -> Shelf:
        """A shelf with nothing in it."""
        root = folder / "pictures"
        root.mkdir(parents=True, exist_ok=True)
        bundle = toy.save_bundle(folder / "toy")
        settings = Settings.model_validate(
            {
                "state": folder / "state",
                "vision": {"bundle": str(bundle), "workers": 2, **vision},
                "store": {"low_water": 0},
            }
        )
        return cls(root, settings)

    def put(self, file: str, data: bytes) -> Path:
        """Write a file."""
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def run(
        self,
        *,
        stop: threading.Event | None = None,
        told: Told = lambda _progress: None,
        **wish: Any,
    ) -> Summary:
        """Index the folder."""
        wanted = replace(Wish(self.root, NAME), **wish)
        return index(self.settings, wanted, stop=stop or threading.Event(), told=told)

    def open(self) -> Collection:
        """The collection, for reading."""
        return open_collection(self.settings, NAME)

    def named(self, name: str) -> list[str]:
        """Paths by which a collection's pictures go."""
        with open_collection(self.settings, name) as collection:
            return [row[0] for row in collection.database.execute("SELECT file FROM media ORDER BY file")]

    def images(self) -> dict[str, tuple[str, ...]]:
        """Content by the file that names it, with all the files that have it."""
        with self.open() as collection:
            rows = collection.database.execute("SELECT file, media_id FROM media ORDER BY file")
            return {file: collection.copies(media_id) for file, media_id in rows}

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything on record that doesn't depend on when and how often it was run."""
        with self.open() as collection:
            return {name: collection.database.execute(sql) for name, sql in _LASTING.items()}


_LASTING = {
    "media": "SELECT media_id, file, deployment, taken, time_source, camera, bytes, width, height, "
    "detections, bundle, night FROM media ORDER BY media_id",
    "files": "SELECT folder, name, size, state, reason, media_id FROM files ORDER BY folder, name",
    "observations": "SELECT * FROM observations ORDER BY media_id, kind",
    "embeddings": "SELECT media_id, ordinal, kind, box, bundle, vector FROM embeddings "
    "ORDER BY media_id, ordinal",
}
