"""Whose a card is, and which files on it are images. Only looks, and never writes on the card."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from edge.errors import IntakeError, UsageError
from edge.intake.identity import topic_level
from edge.intake.names import classify_name, passed_over, unfinished

ABOUT: Final = "edge-card.toml"
"""A file in the card's top folder that says whose it is: ``deployment = "cam-07"``."""
IMAGES: Final = "DCIM"
"""The folder that the standard for camera file systems (DCF) prescribes."""

# What makers and formatting programs call every card: it says nothing of whose it is.
_COMMON: Final = frozenset(
    {"", "NO NAME", "NO_NAME", "UNTITLED", "NONAME", "SDCARD", "SD CARD", "SD_CARD", "CAMERA", "DCIM", "BOOT"}
    | {"BOOTFS", "ESP", "EFI", "SYSTEM", "DATA", "USB", "DISK", "BLACKVUE", "VOLUME", "NEW VOLUME"}
)
_LARGEST_ABOUT: Final = 65_536
_MOUNTINFO: Final = Path("/proc/self/mountinfo")
_UDEV: Final = Path("/run/udev/data")
_ESCAPE = re.compile(r"\\([0-7]{3})")


class CardFile(NamedTuple):
    """One file: its path below the folder that is imported, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What is on a card.

    Attributes:
        images: by name, JPEGs, sorted by path.
        others: number of files that are no images by name: videos, sound, the camera's own.
        unreadable: folders and files that can't be looked at, with the reason.
    """

    images: tuple[CardFile, ...]
    others: int
    unreadable: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Bytes of all images."""
        return sum(image.size for image in self.images)


def is_card(root: Path) -> bool:
    """Whether a folder is the top of a camera's card: it has images where cameras put them, or says so."""
    return any(entry in (ABOUT, IMAGES) for entry in _names(root))


def survey(root: Path) -> Survey:
    """Look at everything on a card; links are not followed.

    Raises:
        IntakeError: the folder itself can't be listed.
    """
    _names(root)
    images: list[CardFile] = []
    unreadable: list[tuple[str, str]] = []
    others = 0
    for entry in _walk(root, unreadable):
        name = os.path.relpath(entry.path, root)
        if unfinished(entry.name) or classify_name(entry.name) is not None:
            others += name != ABOUT
            continue
        try:
            images.append(CardFile(name, entry.stat(follow_symlinks=False).st_size))
        except OSError as error:
            unreadable.append((name, str(error.strerror)))
    return Survey(tuple(sorted(images)), others, tuple(unreadable))


def deployment_of(root: Path, given: str | None, *, mountinfo: Path = _MOUNTINFO, udev: Path = _UDEV) -> str:
    """The camera that a card is from: as given, else as its ``edge-card.toml`` says, else its label.

    Args:
        root: the card's top folder, or one below it.
        given: on the command line.
        mountinfo: the kernel's table of mounts.
        udev: what udev knows of block devices.

    Raises:
        UsageError: nobody says it, or what they say can't be a folder's name.
    """
    if given is not None:
        return _checked(given, "--deployment")
    if (said := _said(root)) is not None:
        return _checked(said, str(root / ABOUT))
    label = label_of(root, mountinfo=mountinfo, udev=udev)
    if label.upper() in _COMMON:
        what = f"called {label!r}, as many are" if label else "has no name"
        hint = f'give --deployment NAME, or put a file {ABOUT} with deployment = "NAME" on it'
        raise UsageError("nothing says which camera this is from", subject=f"{root} {what}", hint=hint)
    return _checked(label, "the card's label")


def label_of(root: Path, *, mountinfo: Path = _MOUNTINFO, udev: Path = _UDEV) -> str:
    """Label of the file system that is mounted at a folder or right above a DCIM there; empty if unknown."""
    points = {os.path.realpath(root)}
    if root.name == IMAGES:
        points.add(os.path.realpath(root.parent))
    for point, device in _mounts(mountinfo):
        if point in points and (label := _udev_label(udev / f"b{device}")):
            return label
    return ""


def _said(root: Path) -> str | None:
    """What ``edge-card.toml`` says, None without one."""
    about = root / ABOUT
    try:
        with about.open("rb") as file:
            said = tomllib.loads(file.read(_LARGEST_ABOUT).decode()).get("deployment")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError("can't be read", subject=str(about), hint=str(error)) from error
    if not isinstance(said, str):
        raise UsageError("names no deployment", subject=str(about), hint='write: deployment = "cam-07"')
    return said


def _checked(name: str, source: str) -> str:
    """A name that can be a folder in the drop folder and a level of a topic."""
    if not name or name in (".", "..") or name != topic_level(name) or name[0] == "." or passed_over(name):
        hint = "one folder's name: no / + #, not hidden, not empty"
        raise UsageError("not a deployment's name", subject=f"{name!r} from {source}", hint=hint)
    return name


def _names(root: Path) -> list[str]:
    try:
        return os.listdir(root)  # noqa: PTH208 - names are all that is wanted
    except OSError as error:
        hint = f"{error.strerror}: is the card in, and mounted?"
        raise IntakeError("card can't be read", subject=str(root), hint=hint) from error


def _walk(root: Path, unreadable: list[tuple[str, str]]) -> Iterator[os.DirEntry[str]]:
    """Every regular file, folders in order; what can't be listed is noted.

    Without recursion: a card may have folders in folders by the thousand.
    """
    under_way = [_listed(root, "", unreadable)]
    while under_way:
        entry = next(under_way[-1], None)
        if entry is None:
            under_way.pop()
        elif not entry.is_dir(follow_symlinks=False):
            if entry.is_file(follow_symlinks=False):
                yield entry
        elif not passed_over(entry.name):
            under_way.append(_listed(root, os.path.relpath(entry.path, root), unreadable))


def _listed(root: Path, below: str, unreadable: list[tuple[str, str]]) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(root / below) as entries:
            return iter(sorted(entries, key=lambda entry: entry.name))
    except OSError as error:
        unreadable.append((below or ".", str(error.strerror)))
        return iter(())


def _mounts(table: Path) -> list[tuple[str, str]]:
    """Mount points and ``major:minor`` of their devices, the newest first (proc(5))."""
    try:
        lines = table.read_text("utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    fields = (line.split(" ") for line in reversed(lines))
    return [(_ESCAPE.sub(lambda found: chr(int(found[1], 8)), f[4]), f[2]) for f in fields]


def _udev_label(entry: Path) -> str:
    """``ID_FS_LABEL`` in udev's record of a device; udev has replaced what isn't safe."""
    try:
        lines = entry.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition("=")[2] for line in lines if line.startswith("E:ID_FS_LABEL=")), "")
