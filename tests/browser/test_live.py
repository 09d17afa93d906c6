"""The live page, while the camera works."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from edge.demo.story import MEADOW, THICKET
from tests.browser.chromium import Watched
from tests.browser.place import NEXT_EVENING, Place, moments


def test_registrations_open_and_close_by_themselves(place: Place, opened: Callable[..., Watched]) -> None:
    """A bison, and it is there; a dog hours later, and the bison is closed; all without a reload."""
    page = opened().page
    page.goto("/")
    expect(page.locator("#watching")).to_be_visible()
    page.evaluate("window.untouched = true")

    place.deliver(moments(MEADOW, 1))
    tonight = page.locator("#cards > li").filter(has_text=f"{NEXT_EVENING}").filter(has_text=MEADOW)
    bison = tonight.filter(has_text="American Bison")
    expect(bison).to_have_count(1)
    expect(bison.locator(".chip.open")).to_be_visible()
    expect(bison).to_contain_text("1 picture")

    place.deliver(moments(MEADOW, 2))
    expect(bison).to_contain_text("2 pictures")
    expect(bison.locator("h2")).to_contain_text("2")

    place.deliver(moments(MEADOW, 7))
    expect(tonight.filter(has_text="Domestic Dog")).to_have_count(1)
    expect(bison.locator(".chip.open")).to_have_count(0)
    assert page.evaluate("window.untouched") is True


def test_a_filter_narrows_the_list(opened: Callable[..., Watched]) -> None:
    """One camera's registrations, of one animal; the address holds the filter, and it can be cleared."""
    page = opened().page
    page.goto("/")
    page.get_by_text("Filter", exact=True).click()
    page.locator("select[name=deployment]").select_option(THICKET)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile("deployment=thicket-02"))
    cards = page.locator("#cards > li")
    expect(cards).to_have_count(2)
    expect(cards.filter(has_text=THICKET)).to_have_count(2)
    page.locator("select[name=label]").select_option("Jaguar")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("Nothing here fits the filter")).to_be_visible()
    page.get_by_role("link", name="Clear", exact=True).click()
    expect(cards.filter(has_text=MEADOW).first).to_be_visible()
