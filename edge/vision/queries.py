"""The text tower as the device uses it: opened at the first text, tested, and let go again."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from edge.errors import BundleError, ProviderError
from edge.vision.manifest import Manifest
from edge.vision.selftest import check, floor_of, load_golden
from edge.vision.text import TextTower, Vectors, verify_text


class Texts:
    """Texts to embeddings; holds the model only between the first text and :meth:`release`.

    Thread-safe. It runs on the CPU whatever the images run on: texts are few.

    Args:
        bundle: the folder.
        manifest: of the bundle.
        threads: inside one run.
    """

    def __init__(self, bundle: Path, manifest: Manifest, threads: int) -> None:
        self._bundle = bundle
        self._manifest = manifest
        self._threads = threads
        self._tower: TextTower | None = None
        self._lock = threading.Lock()
        self._damage = ""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: (len(texts), dimension) float32, each of length 1.

        Raises:
            BundleError: the text model is missing, damaged or fails its self-test.
            ProviderError: it failed to run.
        """
        with self._lock:
            if self._tower is None:
                self._tower = self._open()
                self._damage = ""  # it works: whoever copied the bundle again needn't be told any more
            tower = self._tower
        return tower.embed(texts)

    def release(self) -> None:
        """Let go of the model and its memory; the next text opens it again."""
        with self._lock:
            self._tower = None

    @property
    def damage(self) -> str:
        """What :meth:`look` found wrong with the files; empty if nothing, or once they have been used."""
        return self._damage

    def look(self) -> None:
        """Compare the files with the manifest, without opening them; :attr:`damage` has what is wrong.

        Labels come from the cache as a rule, so that a damaged text model would be found by the first query.
        Images need none of it: it is no reason not to start.
        """
        try:
            verify_text(self._bundle, self._manifest.text)
        except BundleError as error:
            self._damage = str(error)
        else:
            self._damage = ""

    def _open(self) -> TextTower:
        tower = TextTower(self._bundle, self._manifest, threads=self._threads)
        golden = load_golden(self._bundle, self._manifest, ("text",))["text"]
        try:
            check(tower.model, golden, floor_of(self._manifest, "text"))
        except ProviderError as error:
            # The CPU is the reference: if even it differs, the file is at fault.
            raise BundleError(
                "text model fails its self-test", subject=str(tower.model.path), hint=str(error)
            ) from error
        return tower
