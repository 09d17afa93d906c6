"""Pictures that are sent: too large, broken, no pictures, several; clear answers, and nothing is left."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from edge.testing import torn

SENT = {"Content-Type": "application/octet-stream"}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int = 30_000) -> bytes:
    """A PNG of a few hundred kilobytes that would be gigabytes."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes(1 + 3 * side)) for _ in range(200)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (64, 48), (255, 0, 0, 128)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("path", ["/api/search", "/api/classify"])
@pytest.mark.parametrize("name", ["pdf", "text", "torn", "bomb", "nothing", "zip"])
def test_what_is_no_picture_is_told_so(
    searching: TestClient, photo: bytes, no_files: Path, path: str, name: str
) -> None:
    """422, with a sentence that a person understands; the next picture is looked at."""
    data = {
        "pdf": b"%PDF-1.7\n" + bytes(5000),
        "text": b"a cat, honestly " * 100,
        "torn": torn(photo),
        "bomb": bomb(),
        "nothing": b"",
        "zip": b"PK\x03\x04" + bytes(200),
    }[name]
    answer = searching.post(path, content=data, headers=SENT)
    assert answer.status_code == 422
    said = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert said["status"] == 422
    assert len(said["title"]) > 10
    assert "Traceback" not in answer.text
    assert searching.post(path, content=photo, headers=SENT).status_code == 200
    assert not list(no_files.iterdir())


def test_forms_and_bodies_are_both_taken(searching: TestClient, photo: bytes, no_files: Path) -> None:
    """Also pictures of other kinds, whatever they say that they are; the answers are the same."""
    by_body = searching.post("/api/search", content=photo, headers={"Content-Type": "image/jpeg"})
    by_form = searching.post("/api/search", files={"picture": ("../../etc/x.exe", photo, "text/html")})
    assert by_body.status_code == by_form.status_code == 200
    assert by_body.json() == by_form.json()
    assert searching.post("/api/search", files={"picture": ("a.png", _png())}).status_code == 200
    assert not list(no_files.iterdir())


def test_a_picture_over_the_limit(searching: TestClient) -> None:
    """Refused by its stated length, before it is read; and by what comes, where none is stated."""
    large = bytes(3_000_000)

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(large), 100_000):
            yield large[start : start + 100_000]

    for content in (large, pieces()):
        answer = searching.post("/api/classify", content=content, headers=SENT)
        assert answer.status_code == 413
        assert answer.json()["title"] == "too large"
        assert answer.headers["connection"] == "close"


def test_a_large_picture_in_a_form_stays_in_memory(searching: TestClient, no_files: Path) -> None:
    """Starlette alone would write what is over a megabyte to a file."""
    answer = searching.post("/api/classify", files={"picture": ("a.jpg", bytes(1_900_000))})
    assert answer.status_code == 422
    assert not list(no_files.iterdir())


@pytest.mark.parametrize("kind", ["application/json", "text/html", "application/pdf"])
def test_bodies_of_other_kinds_are_small(searching: TestClient, kind: str) -> None:
    """64 KB; and where a picture is expected, they aren't one."""
    headers = {"Content-Type": kind}
    assert searching.post("/api/classify", content=bytes(70_000), headers=headers).status_code == 413
    assert searching.post("/api/classify", content=b"{}", headers=headers).status_code == 415


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x\r\n\r\n\r\n--x--",
        b"--x\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nabc",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + bytes(70_000) + b"\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 100 + b"--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="a"; filename="1"\r\n\r\n1\r\n' * 2 + b"--x--\r\n",
    ],
    ids=["empty", "cut", "nameless", "endless", "long-field", "many-fields", "two-files"],
)
def test_broken_forms_are_the_senders_fault(searching: TestClient, body: bytes) -> None:
    """400 or 422, never 500."""
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = searching.post("/api/classify", content=body, headers=headers)
    assert answer.status_code in (400, 422)


def test_too_many_pixels(searching: TestClient) -> None:
    """The limit is web.upload_pixels; nothing is decoded."""
    out = io.BytesIO()
    Image.new("L", (2000, 1500)).save(out, "JPEG")
    answer = searching.post("/api/search", content=out.getvalue(), headers=SENT)
    assert answer.status_code == 422
    assert "pixels" in answer.text
