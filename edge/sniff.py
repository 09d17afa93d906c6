"""What a file that isn't JPEG really is, by its first bytes."""

from __future__ import annotations

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"II*\0", "a TIFF or raw image"),
    (b"MM\0*", "a TIFF or raw image"),
    (b"\0\0\0\x0cjP  \r\n", "a JPEG 2000 image"),
    (b"\0\0\0\x0cJXL \r\n", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\x1a\x45\xdf\xa3", "a Matroska video"),
    (b"\0\x05\x16\x07", "macOS metadata (AppleDouble)"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"\xff\xd8", "a damaged JPEG image"),
)
_RIFF = {b"WEBP": "a WebP image", b"AVI ": "an AVI video", b"WAVE": "sound (WAV)"}
_BOXES = {
    b"heic": "a HEIC image",
    b"heix": "a HEIC image",
    b"mif1": "a HEIF image",
    b"avif": "an AVIF image",
    b"crx ": "a raw image",
}
_HTML = (b"<!doctype html", b"<html")
_SAMPLE = 512


def name_of(data: bytes) -> str:
    """A name for people, with its article."""
    for start, name in _STARTS:
        if data.startswith(start):
            return name
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], "RIFF data")
    if data[4:8] == b"ftyp":
        return _BOXES.get(data[8:12], "an MP4 or MOV video")
    return _text(data[:_SAMPLE].lstrip(b"\xef\xbb\xbf \t\r\n")) or "unknown data"


def _text(sample: bytes) -> str:
    if sample[:14].lower().startswith(_HTML):
        return "an HTML page"
    if sample.startswith(b"<?xml"):
        return "an XML document"
    if sample and all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in sample):  # noqa: PLR2004 - ASCII
        return "text"
    return ""
