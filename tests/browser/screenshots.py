"""The pictures of the page in the docs: ``python -m tests.browser.screenshots --out docs/images``.

From a site that the demo's virtual camera filled: composed images, two weeks of evenings, the daemon at work.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from edge.demo.camera import picture
from edge.demo.story import MEADOW, STORY, TRAIL, Moment
from tests.browser.chromium import DESKTOP, PHONE, chromium_path, context, launched
from tests.browser.place import EVENING, Place, moments, running

_MOST: Final = 150_000
"""Bytes that one picture may have."""
_EVENINGS: Final = 14
_SHOWN: Final = {
    "live": "/",
    "search": "/search?q=bison+in+a+meadow",
    "activity": "/activity",
    "review": "/review",
}

_CHOSEN: Final = frozenset(
    {
        "live-desktop-light",
        "live-phone-dark",
        "registration-desktop-light",
        "search-desktop-dark",
        "search-phone-light",
        "identify-phone-light",
        "activity-desktop-light",
        "activity-phone-dark",
        "review-desktop-light",
        "review-phone-dark",
    }
)
"""What docs/web.md shows."""


def evenings() -> Iterator[tuple[date, list[Moment]]]:
    """Two weeks: other animals each evening, the whole story on the last."""
    order = random.Random(4)
    # The same pictures each evening would be dull: animals stand elsewhere, and look the other way.
    whole = [moment for moment in STORY if moment.arrival != "torn"]
    for back in range(_EVENINGS - 1, 0, -1):
        yield (
            EVENING - timedelta(days=back),
            [_other(m, order) for m in order.sample(whole, order.randint(3, 8))],
        )
    yield EVENING, whole


def _other(moment: Moment, order: random.Random) -> Moment:
    moved = tuple(
        replace(
            f,
            x=f.x + order.uniform(-0.08, 0.08),
            height=f.height * order.uniform(0.85, 1.05),
            mirrored=f.mirrored ^ (order.random() < 0.5),
        )
        for f in moment.figures
    )
    return replace(moment, figures=moved)


def main(arguments: list[str] | None = None) -> int:
    """Take the pictures; returns 1 where there is no browser."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, help="folder")
    parser.add_argument("--all", action="store_true", help="every page in every form, to be looked at")
    options = parser.parse_args(arguments)
    if chromium_path() is None:
        sys.stderr.write("needs Chromium\n")
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="edge-pictures-") as folder:
        root = Path(folder)
        (root / "mine.jpg").write_bytes(picture(moments(TRAIL, 4)[0], EVENING - timedelta(days=300)))
        with running(root / "site", list(evenings())) as place, launched() as browser:
            place.deliver(moments(MEADOW, 1, 2))
            assert place.subscriber.wait_until(lambda: _open(place) == 2, 60)
            for size, scheme in ((s, c) for s in ("desktop", "phone") for c in ("light", "dark")):
                _take(browser, place, options.out, size, scheme, mine=root / "mine.jpg")
        for path in options.out.glob("web-*.webp"):
            if not options.all and path.stem.removeprefix("web-") not in _CHOSEN:
                path.unlink()
    return 0


def _open(place: Place) -> int:
    """Pictures of the registration that is open."""
    return sum(row["media_count"] for row in place.subscriber.rows() if row["state"] == "open")


def _take(browser: Browser, place: Place, out: Path, size: str, scheme: str, *, mine: Path) -> None:
    given: dict[str, Any] = {"viewport": DESKTOP if size == "desktop" else PHONE, "color_scheme": scheme}
    if size == "phone":
        given |= {"is_mobile": True, "has_touch": True}
    made = context(browser, place.url, reduced_motion="reduce", **given)
    page = made.new_page()
    rows = place.stage.ask("registrations")
    bison = next(
        row["registration_id"] for row in rows if row["state"] == "closed" and row["media_count"] > 3
    )
    for name, path in (*_SHOWN.items(), ("registration", f"/registrations/{bison}")):
        page.goto(path)
        _save(page, out / f"web-{name}-{size}-{scheme}.webp")
    page.goto("/classify")
    page.get_by_label("A picture").set_input_files(mine)
    page.get_by_role("button", name="Identify").click()
    expect(page.locator(".guesses tbody tr")).to_have_count(3)
    _save(page, out / f"web-identify-{size}-{scheme}.webp")
    made.close()


def _save(page: Page, path: Path) -> None:
    """When all of the pictures in sight are there, as small as it must be."""
    page.evaluate(
        """() => Promise.all([...document.images]
             .filter((one) => one.getBoundingClientRect().top < innerHeight)
             .map((one) => one.decode().catch(() => null)))"""
    )
    if path.name.startswith("web-live"):
        expect(page.locator("#watching")).to_be_visible()
    if path.name.startswith("web-review"):
        expect(page.get_by_role("group", name="Suggestions").get_by_role("button").first).to_be_visible()
    image = Image.open(io.BytesIO(page.screenshot()))
    for quality in (88, 80, 70, 60, 50):
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() <= _MOST:
            break
    path.write_bytes(buffer.getvalue())
    sys.stdout.write(f"{path.name} {buffer.tell() / 1000:.0f} kB\n")


if __name__ == "__main__":
    sys.exit(main())
