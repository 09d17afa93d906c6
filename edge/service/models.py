"""The models that look at images: which they are, opening them, and trying a file in a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edge.intake.types import Candidate
from edge.service.engines import prepare
from edge.service.opening import patience
from edge.service.probe import survives
from edge.settings import Settings
from edge.vision.bundles import find_bundle
from edge.vision.labels import LabelSet, load_label_set
from edge.vision.manifest import Manifest, bundle_sha256, load_manifest
from edge.vision.pipeline import Vision
from edge.vision.session import Runtime


@dataclass(frozen=True, slots=True)
class Models:
    """A bundle and a label set.

    Attributes:
        settings: that name them.
        bundle: the folder.
        manifest, sha256: of the bundle.
        labels: names to choose from.
    """

    settings: Settings
    bundle: Path
    manifest: Manifest
    sha256: str
    labels: LabelSet

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Those that the settings name.

        Raises:
            BundleError: there is no such bundle, or its manifest can't be understood.
            ConfigError: there is no such label set.
        """
        labels = load_label_set(settings.vision.labels)
        bundle = find_bundle(settings.vision.bundle, (settings.state / "models",))
        return cls(settings, bundle, load_manifest(bundle), bundle_sha256(bundle), labels)

    def open(self, runtime: Runtime, stop: threading.Event) -> Vision | None:
        """Open them, building engines first where a provider needs some; None if told to stop meanwhile.

        Raises:
            BundleError, ProviderError, VisionError: they can't be used.
        """
        vision, cache = self.settings.vision, self._cache
        refused = prepare(self.bundle, vision, cache, runtime.available(), stop)
        if stop.is_set():
            return None
        with patience():  # the self-test, and the prompts of a label set that is new
            opened = Vision.open(self.bundle, self.labels, vision, cache, runtime=runtime, banned=refused)
        return None if stop.is_set() else opened

    def trial(self, vision: Vision) -> Callable[[Candidate], bool]:
        """What tells whether a process that looks at a file lives to tell."""
        provider = vision.info().providers.in_use
        limit = self.settings.intake.max_pixels
        return lambda c: survives(self.bundle, c.path, limit, provider=provider, cache=self._cache)

    @property
    def _cache(self) -> Path:
        return self.settings.state / "cache"
