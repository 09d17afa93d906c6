"""A real Chromium, the system's own, driven by Playwright; and what it must never do on these pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
PATIENCE: Final = 30_000
"""Milliseconds that anything may take on a busy machine; nothing waits longer than it must."""
DESKTOP: Final = {"width": 1280, "height": 800}
PHONE: Final = {"width": 390, "height": 844}


def chromium_path() -> str | None:
    """Where Chromium is; None where there is none. Ubuntu's, in a snap, can't be driven and doesn't count."""
    for name in _NAMES:
        found = shutil.which(name)
        if found is not None and "/snap/" not in os.path.realpath(found) and not _is_snap_stub(found):
            return found
    return None


def _is_snap_stub(path: str) -> bool:
    """Whether this is the small script that Ubuntu installs in place of a browser."""
    if os.path.realpath(path) == "/usr/bin/snap":
        return True
    with open(path, "rb") as file:  # noqa: PTH123 - the first bytes of a program
        head = file.read(4096)
    return head.startswith(b"#!") and b"snap" in head and os.path.isdir("/snap")  # noqa: PTH112


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser without a window.

    Raises:
        RuntimeError: there is none; ask ``chromium_path`` before.
    """
    with sync_playwright() as playwright:
        browser = launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


def launch(playwright: Playwright) -> Browser:
    """Start a Chromium."""
    path = chromium_path()
    if path is None:
        raise RuntimeError("no Chromium on the PATH")
    # As root its sandbox refuses to start; containers have a small /dev/shm.
    options = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    expect.set_options(timeout=PATIENCE)
    return playwright.chromium.launch(executable_path=path, args=options, timeout=PATIENCE)


@dataclass
class Watched:
    """A browser's window that is watched.

    Attributes:
        page: the window.
        origin: of the pages; nothing else may be asked.
        faults: what it did that it must not: requests elsewhere, errors in scripts, broken policies.
        allowed: parts of console messages that a test expects.
    """

    page: Page
    origin: str
    faults: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Begin."""
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        self.page.on("console", lambda message: self._said(message.type, message.text))

    def check(self) -> None:
        """Make sure that nothing was wrong."""
        found = [fault for fault in self.faults if not any(part in fault for part in self.allowed)]
        assert not found, found

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != self.origin and parts.scheme != "blob":
            self.faults.append(f"request: {url}")

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.faults.append(f"{kind}: {text}")


def context(browser: Browser, url: str, **options: Any) -> BrowserContext:
    """A fresh profile whose addresses begin at a page."""
    given: dict[str, Any] = {"viewport": DESKTOP, "base_url": url, **options}
    made = browser.new_context(**given)
    made.set_default_timeout(PATIENCE)
    made.set_default_navigation_timeout(PATIENCE)
    return made


@contextmanager
def window(browser: Browser, url: str, **options: Any) -> Iterator[Watched]:
    """A window of a fresh profile, watched from the beginning and checked at the end."""
    made = context(browser, url, **options)
    try:
        watched = Watched(made.new_page(), url.rstrip("/"))
        watched.watch()
        yield watched
        watched.check()
    finally:
        made.close()
