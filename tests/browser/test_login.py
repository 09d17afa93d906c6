"""The page with a token in force."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import Watched
from tests.browser.place import TOKEN, Place, serving


@pytest.fixture
def guarded(place: Place) -> Iterator[str]:
    """The same site's page with a token."""
    with serving(place.stage, EDGE_WEB__TOKEN=TOKEN) as url:
        yield url


def test_only_with_the_token(guarded: str, opened: Callable[..., Watched]) -> None:
    """Nothing is shown without it; the wrong one is refused; the right one leads where one wanted to go."""
    watched = opened(guarded)
    watched.allowed.append("Failed to load resource")  # Chromium tells of every answer that isn't a success
    page = watched.page
    page.goto("/activity")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    token = page.get_by_label("Token")
    expect(token).to_be_focused()
    token.fill("a-wrong-one-of-length")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.context.cookies() == []

    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Activity")).to_be_visible()
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert TOKEN not in cookie["value"]

    page.get_by_role("button", name="Log out").click()
    page.goto("/")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
