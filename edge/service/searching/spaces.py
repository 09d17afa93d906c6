"""Which bundle answers: the configured one, or the one that has seen more until that has caught up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from edge.errors import SearchError
from edge.service.searching.eyes import Space
from edge.settings import Settings
from edge.store.database import Database
from edge.store.reembedding import is_complete
from edge.store.searching import StoredSpace, embedded_count, is_collection, stored_spaces
from edge.vision.bundles import find_bundle, list_bundles
from edge.vision.manifest import bundle_sha256, load_manifest


class Chosen(NamedTuple):
    """A bundle to answer with.

    Attributes:
        bundle: its folder.
        sha256: its identity.
        note: what there is to say about the choice; empty if it goes without saying.
        not_compared: images that only other bundles embedded.
    """

    bundle: Path
    sha256: str
    note: str = ""
    not_compared: int = 0


def choose(database: Database, settings: Settings, *, only: bool) -> Chosen:
    """The bundle whose space is searched.

    The configured one, once it has embedded as many images as any other; until then, while images are
    embedded anew in the background, the one with most images whose bundle is still on this machine.

    Args:
        database: with the embeddings.
        settings: name the bundle; others are looked for by name where it would be.
        only: the configured one, whatever has been embedded.

    Raises:
        BundleError: there is no such bundle, or its manifest can't be understood.
    """
    folders = (settings.state / "models",)
    configured = find_bundle(settings.vision.bundle, folders)
    sha256 = bundle_sha256(configured)
    spaces = stored_spaces(database)
    own = _images(spaces, sha256)
    larger = [space for space in spaces if space.media_count > own]
    chosen = Chosen(configured, sha256)
    if larger and not only and not is_complete(database, sha256):
        installed = {e.sha256: e.path for e in list_bundles(folders) if not e.problem and not e.missing}
        usable = (space for space in larger if space.sha256 in installed)
        for space in islice(usable, 1):
            note = _until(space, load_manifest(configured).name, own)
            chosen = Chosen(installed[space.sha256], space.sha256, note)
    if len(spaces) > 1 or not own:
        missing = embedded_count(database) - _images(spaces, chosen.sha256)
        chosen = chosen._replace(not_compared=max(0, missing))
    return chosen


def _images(spaces: Sequence[StoredSpace], sha256: str) -> int:
    return next((space.media_count for space in spaces if space.sha256 == sha256), 0)


def _until(space: StoredSpace, configured: str, own: int) -> str:
    return (
        f"searching with bundle {space.name} ({space.media_count} images): "
        f"{configured}, which is configured, has embedded {own} of them so far"
    )


def nothing_to_compare(database: Database, space: Space) -> SearchError:
    """The error where no image was embedded by the bundle that is asked."""
    others = embedded_by(database)
    if not others:
        first = (
            "`edge index` brings pictures into it" if is_collection(database) else "start `edge run` first"
        )
        return SearchError("nothing to search yet: no image has been embedded", hint=first)
    return SearchError(
        f"no image was embedded by bundle {space.name}", subject=space.sha256[:12], hint=others
    )


def embedded_by(database: Database) -> str:
    """Which bundles the images on record were embedded by, and what to do; empty if there are none."""
    found = [f"{s.media_count} by {s.name or 'a bundle'} {s.sha256[:12]}" for s in stored_spaces(database)]
    return f"embedded: {', '.join(found)}; give --bundle the folder of that one" if found else ""
