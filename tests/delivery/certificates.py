"""A CA, a broker's and a device's certificates, made with the openssl program where a test needs them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


@dataclass(frozen=True)
class Authority:
    """One CA in a folder; ``ca`` is its certificate."""

    folder: Path
    name: str = "ca"

    @property
    def ca(self) -> Path:
        """Its certificate."""
        return self.folder / f"{self.name}.pem"

    def found(self) -> Authority:
        """Make key and certificate; returns itself."""
        files = ["-keyout", str(self.folder / f"{self.name}.key"), "-out", str(self.ca)]
        _openssl("req", "-x509", *_KEY, *files, "-subj", f"/CN=test {self.name}", "-days", "2")
        return self

    def issue(self, name: str, *, address: str = "IP:127.0.0.1", days: int = 2) -> tuple[Path, Path]:
        """A certificate and its key; ``days`` below 0 make one that has expired."""
        key, request, certificate = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        _openssl("req", *_KEY, "-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}")
        extension = self.folder / f"{name}.ext"
        extension.write_text(f"subjectAltName={address}\n")
        signer = ["-CA", str(self.ca), "-CAkey", str(self.folder / f"{self.name}.key"), "-CAcreateserial"]
        what = ["-in", str(request), "-out", str(certificate), "-extfile", str(extension)]
        _openssl("x509", "-req", *what, *signer, "-days", str(days))
        return certificate, key


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
