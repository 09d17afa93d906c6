"""Engines that a provider has to build before its first image, built in a process of their own.

TensorRT takes minutes for each graph of a bundle. ONNX Runtime may hold Python's lock all that time (1.24
does, 1.31 doesn't), so that nothing in the same process could tell systemd that all is well, and a builder
that runs out of memory or crashes would take the daemon with it. The child opens and tests the bundle as the
daemon will, and leaves the engines in the cache, from which the daemon then opens in seconds.

Run as ``python -m edge.service.engines BUNDLE PROVIDER CACHE THREADS STREAMS``; exit code 1 if the provider
failed, with the reason as the last line of standard output.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO, Final

from edge.service.notify import notify
from edge.settings import VisionSettings
from edge.vision.manifest import bundle_sha256, load_manifest
from edge.vision.providers import BUILDS, cache_of, short_name
from edge.vision.selftest import NoProviderError, open_tested
from edge.vision.session import installed_runtimes

log = logging.getLogger("edge")

LONGEST: Final = 1800.0
"""Seconds after which a build is given up."""
_STEP: Final = 1.0
_TELL: Final = 30.0
_EXTENSION: Final = 90
_MARK: Final = "built"


def prepare(
    bundle: Path,
    settings: VisionSettings,
    cache: Path,
    available: Collection[str],
    stop: threading.Event,
    *,
    command: Sequence[str] = (sys.executable, "-m", "edge.service.engines"),
    longest: float = LONGEST,
) -> dict[str, str]:
    """Build what the preferred provider needs, unless that was done; systemd and the log are told meanwhile.

    Args:
        bundle: of models.
        settings: providers, threads, workers.
        cache: folder for what providers compile.
        available: providers that ONNX Runtime has.
        stop: set to give up at once.
        command: of the child, without its arguments.
        longest: seconds after which it is given up.

    Returns:
        providers that must not be tried in this process, with the reason.
    """
    refused: dict[str, str] = {}
    for provider in settings.providers:
        if provider not in available:
            continue
        if is_built(cache, provider, bundle):
            break
        arguments = [str(bundle), provider, str(cache), str(settings.threads), str(settings.worker_count())]
        reason = _built([*command, *arguments], short_name(provider), stop, longest)
        if not reason:
            break
        refused[provider] = reason
    return refused


def _built(command: Sequence[str], name: str, stop: threading.Event, longest: float) -> str:
    """Run the child to its end; why it failed, or empty."""
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said) as child,
    ):
        try:
            finished = _waited(child, name, stop, longest)
        finally:
            child.kill()
        if not finished:
            return "was stopped" if stop.is_set() else f"its engines weren't ready after {longest:.0f} s"
        return _reason(child.returncode, said)


def _waited(child: subprocess.Popen[bytes], name: str, stop: threading.Event, longest: float) -> bool:
    """Wait for the end of the child; False if it took too long or the daemon is to stop."""
    start = time.monotonic()
    told = 0.0
    while not stop.is_set():
        spent = time.monotonic() - start
        if spent >= longest:
            return False
        status = f"building engines for {name}, which is needed once: {spent:.0f} s"
        notify(f"EXTEND_TIMEOUT_USEC={_EXTENSION}000000\nSTATUS={status}")
        if spent >= told:
            told += _TELL
            log.info(status)
        try:
            child.wait(_STEP)
        except subprocess.TimeoutExpired:
            continue
        return True
    return False


def _reason(code: int, said: IO[bytes]) -> str:
    if code == 0:
        return ""
    if code < 0:
        return f"building its engines ended the process with signal {-code}"
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"building its engines failed with exit code {code}"


def is_built(cache: Path, provider: str, bundle: Path) -> bool:
    """Whether nothing is left to build: engines are there, by what is installed now, or none are needed."""
    folder = cache_of(cache, provider, bundle_sha256(bundle))
    if provider not in BUILDS or folder is None:
        return True
    try:
        return (folder / _MARK).read_text("utf-8") == _versions()
    except OSError:
        return False


def _versions() -> str:
    return " ".join(f"{name} {version}" for name, version in installed_runtimes().items())


def main(arguments: list[str]) -> int:
    """Open and test a bundle on one provider, which builds its engines; leave a mark that it was done."""
    bundle, provider, cache = Path(arguments[0]), arguments[1], Path(arguments[2])
    threads, streams = int(arguments[3]), int(arguments[4])
    try:
        open_tested(bundle, load_manifest(bundle), (provider,), threads, streams=streams, cache=cache)
    except NoProviderError as error:
        if error.refused[0].why in ("unsuited", "unusable"):
            return 0  # there is nothing to build; the daemon finds out as quickly, and tells it as no failure
        sys.stdout.write(f"{error.refused[0].reason}\n")
        return 1
    folder = cache_of(cache, provider, bundle_sha256(bundle))
    if folder is not None and folder.is_dir():
        (folder / _MARK).write_text(_versions(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
