"""What a file's name alone decides."""

from __future__ import annotations

from pathlib import PurePosixPath

IMAGES = frozenset({".jpg", ".jpeg", ".jpe"})
PICTURES = IMAGES | {".jfif", ".mpo", ".png", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp"}
"""What people's own folders hold besides cameras' files, and can be read."""
UNFINISHED = (".part", ".filepart", ".tmp", ".crdownload")

# Made by file systems and file servers, not by cameras; some can't be read by anyone but root.
SYSTEM_FOLDERS = frozenset({"lost+found", "System Volume Information", "$RECYCLE.BIN", "@eaDir"})

_VIDEO = frozenset(
    {".avi", ".mp4", ".mov", ".m4v", ".mkv", ".mpg", ".mpeg", ".mts", ".wmv", ".3gp", ".asf", ".webm"}
)
_IMAGE = frozenset(
    {".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".heic", ".heif", ".avif", ".jp2", ".jxl"}
    | {".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2"}
)
_SOUND = frozenset({".wav", ".mp3", ".flac", ".ogg", ".m4a"})


def classify_name(file: str) -> str | None:
    """Why a file isn't taken for an image, for people; None if it is one by its name."""
    suffix = PurePosixPath(file).suffix.lower()
    if suffix in IMAGES:
        return None
    if suffix in _VIDEO:
        return "videos aren't supported"
    if suffix in _SOUND:
        return "sound isn't supported"
    if suffix in _IMAGE:
        return f"not a JPEG image: {suffix[1:].upper()} isn't supported"
    return f"not an image: {suffix}" if suffix else "not an image: the name has no extension"


def classify_picture(file: str) -> str | None:
    """As `classify_name`, for folders that people have filled, where a picture may be of any usual kind."""
    suffix = PurePosixPath(file).suffix.lower()
    if suffix in PICTURES:
        return None
    if suffix in _IMAGE:
        return f"{suffix[1:].upper()} isn't supported, JPEG would be"
    return classify_name(file)


def unfinished(name: str) -> bool:
    """Whether a name (without folder) says that its file is hidden, or still being written."""
    return name[:1] == "." or name.lower().endswith(UNFINISHED)


def passed_over(name: str) -> bool:
    """Whether a folder (name without its parents) is hidden, or isn't for images."""
    return name[:1] == "." or name in SYSTEM_FOLDERS
