"""Searching and identifying in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from edge.demo.camera import picture
from edge.demo.story import MEADOW, TRAIL
from tests.browser.chromium import Watched
from tests.browser.place import EVENING, moments

LATER = EVENING.replace(year=EVENING.year - 1)


def _jaguar(folder: Path) -> Path:
    """A picture that no camera of the site took."""
    file = folder / "mine.jpg"
    file.write_bytes(picture(moments(TRAIL, 4)[0], LATER))
    return file


def test_words_find_pictures(opened: Callable[..., Watched]) -> None:
    """The best answer is where the animal was; a filter narrows; a click searches by an answer."""
    page = opened().page
    page.goto("/search")
    page.get_by_label("Looks like").fill("bison")
    page.get_by_role("button", name="Search", exact=True).click()
    hits = page.locator(".hits > li")
    expect(hits.first).to_contain_text(MEADOW)

    page.get_by_text("Filter", exact=True).click()
    page.locator("select[name=deployment]").select_option(TRAIL)
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page).to_have_url(re.compile("deployment=trail-03"))
    expect(hits.first).to_contain_text(TRAIL)
    expect(hits.filter(has_text=MEADOW)).to_have_count(0)

    hits.first.get_by_role("link", name="More like this").click()
    expect(page.get_by_role("heading", name="Like this picture")).to_be_visible()


def test_a_picture_of_ones_own_is_searched_with(tmp_path: Path, opened: Callable[..., Watched]) -> None:
    """A jaguar that is sent finds the pictures of the camera that saw it."""
    page = opened().page
    page.goto("/search")
    page.get_by_label("Or like a picture of yours").set_input_files(_jaguar(tmp_path))
    page.get_by_role("button", name="Search by it").click()
    expect(page.get_by_role("heading", name="Like your picture")).to_be_visible()
    expect(page.locator(".hits > li").first).to_contain_text(TRAIL)


def test_a_picture_is_named(tmp_path: Path, opened: Callable[..., Watched]) -> None:
    """The three likeliest names, the likeliest first; among other names, the best of those."""
    page = opened().page
    page.goto("/classify")
    page.get_by_label("A picture").set_input_files(_jaguar(tmp_path))
    page.get_by_role("button", name="Identify").click()
    rows = page.locator(".guesses tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("Jaguar")


def test_a_file_that_is_no_picture(tmp_path: Path, opened: Callable[..., Watched]) -> None:
    """What is wrong is said on a page, with the way back."""
    watched = opened()
    watched.allowed.append("Failed to load resource")  # Chromium tells of every answer that isn't a success
    file = tmp_path / "paper.pdf"
    file.write_bytes(b"%PDF-1.7\n" + bytes(5000))
    watched.page.goto("/classify")
    watched.page.get_by_label("A picture").set_input_files(file)
    watched.page.get_by_role("button", name="Identify").click()
    expect(watched.page.locator(".problem h1")).to_be_visible()
    expect(watched.page.get_by_role("link", name="To the latest")).to_be_visible()
