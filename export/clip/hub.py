"""Finds a model's folder: a local one as it is, anything else by name on the Hugging Face hub.

What comes from the hub lands in its client's own cache, so a second export needs no network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from edge.errors import ExportError
from edge.vision.manifest import Source
from export import frameworks
from export.clip.sides import Place, Provenance, Say

UNKNOWN_LICENSE: Final = "LicenseRef-unknown"
_SMALL: Final = ("*.json", "*.txt", "*.model", "*.md", "*_Dense/*")
_WEIGHTS: Final = ("*.safetensors", "*.bin", "*.pt")
_SPDX: Final = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "cc-by-4.0": "CC-BY-4.0",
    "bsd-3-clause": "BSD-3-Clause",
}


def find(name: str, say: Say) -> Place:
    """A model's folder.

    Args:
        name: a folder, or a name on the hub such as ``openai/clip-vit-base-patch32``.
        say: told before anything is fetched.

    Raises:
        ExportError: there is no such folder or name, or the hub can't be reached.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return Place(folder, folder.resolve().name)
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise ExportError("no such folder", subject=name, hint="neither can it be a name on the hub")
    say(f"fetching {name} from the hub")
    fetched = _fetched(name)
    return Place(fetched, name, fetched.name[:12])


def _fetched(name: str) -> Path:
    """A snapshot in the hub client's cache: small files and one form of the weights."""
    frameworks.prepare()
    hub = frameworks.imported("huggingface_hub")
    errors = frameworks.imported("huggingface_hub.errors")
    unreachable = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError, TimeoutError)
    try:
        folder = Path(hub.snapshot_download(name, allow_patterns=[*_SMALL, "*.safetensors"]))
        if not any(folder.rglob("*.safetensors")):
            folder = Path(hub.snapshot_download(name, allow_patterns=[*_SMALL, "*.bin"]))
    except errors.GatedRepoError as error:
        raise ExportError(
            "model may only be fetched by those who accepted its terms", subject=name,
            hint="accept them on the hub and log in with `hf auth login`",
        ) from error  # fmt: skip
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise ExportError(
            "no such folder, and no such model on the hub", subject=name, hint="check the spelling"
        ) from error
    except (*unreachable, errors.HfHubHTTPError, OSError) as error:
        raise ExportError(
            "no such folder here, and the model hub can't be reached", subject=name,
            hint="fetch the model on a machine with a network and give its folder",
        ) from error  # fmt: skip
    return folder


def provenance(place: Place, license_id: str) -> Provenance:
    """Name, version, licence and weights of a folder; ``license_id`` (SPDX) goes before the folder's own."""
    weights = weight_files(place.folder)
    digests = {path: sha256(path) for path in weights}
    version = place.revision or digests[weights[0]][:12]
    license_id = license_id or declared_license(place.folder)
    origin = f"https://huggingface.co/{place.name}" if place.revision else ""
    sources = tuple(
        Source(
            name=place.name, version=version, file=str(path.relative_to(place.folder)), sha256=digest,
            license=license_id, origin=origin,
        )
        for path, digest in digests.items()
    )  # fmt: skip
    return Provenance(place.name, version, license_id, sources)


def weight_files(folder: Path) -> list[Path]:
    """Files with weights, safetensors where there are any.

    Raises:
        ExportError: there are none.
    """
    for pattern in _WEIGHTS:
        found = sorted(folder.rglob(pattern))
        if found:
            return found
    raise ExportError(
        "folder has no weights", subject=str(folder), hint="model.safetensors or pytorch_model.bin is wanted"
    )


def declared_license(folder: Path) -> str:
    """What the model card in a folder says, as SPDX; :data:`UNKNOWN_LICENSE` where it says nothing."""
    card = folder / "README.md"
    lines = card.read_text("utf-8", "replace").splitlines() if card.is_file() else []
    if lines[:1] != ["---"]:
        return UNKNOWN_LICENSE
    for line in lines[1:]:
        key, _, value = line.partition(":")
        if key == "license":
            plain = value.strip().strip("\"'").lower()
            return _SPDX.get(plain, f"LicenseRef-{plain}" if plain else UNKNOWN_LICENSE)
        if line == "---":
            break
    return UNKNOWN_LICENSE


def sha256(path: Path) -> str:
    """Of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tensors_of(folder: Path) -> dict[str, Any]:
    """Every tensor of a folder's weight files, as torch tensors.

    Raises:
        ExportError: a file can't be read as weights alone.
    """
    found: dict[str, Any] = {}
    for path in _only_here(weight_files(folder), folder):
        found |= read_tensors(path)
    return found


def _only_here(paths: Iterable[Path], folder: Path) -> list[Path]:
    return [path for path in paths if path.parent == folder]


def read_tensors(path: Path) -> dict[str, Any]:
    """Tensors of one file, safetensors or torch's own; code in the latter isn't run.

    Raises:
        ExportError: it is damaged, or holds more than weights.
    """
    torch, safetensors = frameworks.imported("torch"), frameworks.imported("safetensors")
    try:
        if path.suffix == ".safetensors":
            return dict(frameworks.imported("safetensors.torch").load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, safetensors.SafetensorError) as error:
        raise _unreadable(path, error) from error
    except frameworks.imported("pickle").UnpicklingError as error:
        raise _unreadable(path, error) from error
    if not isinstance(content, dict):
        raise ExportError("file holds no state dict", subject=str(path))
    return content


def _unreadable(path: Path, error: Exception) -> ExportError:
    reason = str(error).strip().partition("\n")[0]
    return ExportError("weights can't be read", subject=str(path), hint=reason)
