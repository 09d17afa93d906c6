"""What people say on the page reaches whoever listens to the device."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

from edge.demo.story import MEADOW, THICKET, TRAIL
from tests.browser.chromium import Watched
from tests.browser.place import Place

_MOST_TABS = 80


def _row(place: Place, registration_id: str) -> dict[str, Any]:
    """What a subscriber has of a registration."""
    rows = [row for row in place.subscriber.rows() if row["registration_id"] == registration_id]
    return rows[0] if rows else {}


def _hears(place: Place, registration_id: str, label: str) -> None:
    """Wait until a corrected message with this label has come to a subscriber."""

    def come() -> bool:
        row = _row(place, registration_id)
        return row.get("label") == label and row.get("change") == "corrected"

    assert place.subscriber.wait_until(come, 60), _row(place, registration_id)


def _closed(place: Place, deployment: str, label: str) -> str:
    """The id of a registration that nobody has said anything about."""
    found = [
        r for r in place.stage.ask("registrations") if (r["deployment"], r["label"]) == (deployment, label)
    ]
    ids: list[str] = [row["registration_id"] for row in found if row["state"] == "closed"]
    return ids[0]


def _tab_to(page: Page, target: Locator) -> None:
    """Go on with the Tab key until something has the focus."""
    for _ in range(_MOST_TABS):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"not reached with the Tab key: {target}")


def test_a_relabel_is_a_corrected_message(place: Place, opened: Callable[..., Watched]) -> None:
    """A dog is called a boar on its registration's page; the page says so, and subscribers hear it."""
    registration = _closed(place, MEADOW, "Domestic_Dog")
    page = opened().page
    page.goto(f"/registrations/{registration}")
    page.get_by_label("It is a").fill("wild boar")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Wild Boar")
    expect(page.get_by_text("reviewed", exact=True)).to_be_visible()
    _hears(place, registration, "Wild_Boar")


def test_review_by_keys(place: Place, opened: Callable[..., Watched]) -> None:
    """One key and a name on the review page; what became of it is told there; the next one comes."""
    page = opened().page
    page.goto(f"/review?deployment={TRAIL}")
    form = page.locator("[data-judge]")
    first = form.get_attribute("action")
    assert first is not None
    judged = first.split("/")[2]
    expect(form.get_by_role("heading")).to_contain_text("Jaguar")
    page.keyboard.press("l")
    page.keyboard.type("Domestic Dog")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="corrected")).to_contain_text("Domestic Dog")
    _hears(place, judged, "Domestic_Dog")
    expect(page.locator("[data-judge]")).not_to_have_attribute("action", first)


def test_the_keyboard_alone_searches_and_relabels(place: Place, opened: Callable[..., Watched]) -> None:
    """Tab, Enter and letters: from the first page to a search, to an answer, to another name for it."""
    page = opened().page
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    _tab_to(page, page.get_by_role("navigation").get_by_role("link", name="Search"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/search$"))
    _tab_to(page, page.get_by_label("Looks like"))
    page.keyboard.type("bison")
    page.keyboard.press("Enter")
    best = page.locator(".hits > li").first.locator("h2 a, h3 a")
    expect(page.locator(".hits > li").first).to_contain_text(MEADOW)
    _tab_to(page, best)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/registrations/"))
    registration = page.url.rsplit("/", 1)[1]
    _tab_to(page, page.get_by_label("It is a"))
    page.keyboard.type("Jaguar")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Jaguar")
    _hears(place, registration, "Jaguar")


def test_two_browsers_at_once(place: Place, opened: Callable[..., Watched]) -> None:
    """One sees by itself what the other says; who speaks of what has changed meanwhile is told so."""
    registration = _closed(place, THICKET, "Wild_Boar")
    watching, first, second = (opened() for _ in range(3))
    watching.page.goto("/")
    expect(watching.page.locator("#watching")).to_be_visible()
    for window in (first, second):
        window.page.goto(f"/registrations/{registration}")
    first.page.get_by_label("It is a").fill("American Bison")
    first.page.get_by_role("button", name="Save", exact=True).click()
    expect(first.page.get_by_role("heading", level=1)).to_contain_text("American Bison")
    expect(watching.page.locator(f"#r-{registration}")).to_contain_text("American Bison")

    second.allowed.append("Failed to load resource")  # Chromium tells of every answer that isn't a success
    second.page.get_by_label("It is a").fill("Jaguar")
    second.page.get_by_role("button", name="Save", exact=True).click()
    expect(second.page.locator(".problem h1")).to_be_visible()
    _hears(place, registration, "American_Bison")


def test_without_scripts(place: Place, opened: Callable[..., Watched]) -> None:
    """Searching, filtering and relabelling are forms."""
    page = opened(java_script_enabled=False).page
    page.goto("/search")
    page.get_by_label("Looks like").fill("boar")
    page.get_by_text("Filter", exact=True).click()
    page.locator("select[name=deployment]").select_option(THICKET)
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".hits > li").first).to_contain_text(THICKET)

    page.goto("/")
    page.get_by_text("Filter", exact=True).click()
    page.locator("select[name=deployment]").select_option(THICKET)
    page.get_by_role("button", name="Show", exact=True).click()
    cards = page.locator("#cards > li")
    expect(cards).to_have_count(2)
    cards.nth(1).get_by_role("link").last.click()
    page.get_by_label("It is a").fill("Domestic Dog")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Domestic Dog")
    _hears(place, page.url.rsplit("/", 1)[1], "Domestic_Dog")
