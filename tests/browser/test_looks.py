"""Every page on a desk and on a phone, light and dark: whole, readable, nothing serious for axe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.chromium import DESKTOP, PHONE, Watched
from tests.browser.place import TOKEN, Place, serving

PAGES = ("live", "search", "answers", "identify", "activity", "review", "cameras", "registration", "picture")
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_COLOURS = ["color-contrast", "link-in-text-block"]
_BAD = ("serious", "critical")
# What a finger meets first. The controls in running text are links, for which WCAG 2.5.8 makes an exception.
_TARGETS = (
    ".button, .nav a, summary, .tool, input:not([type=hidden]):not([type=checkbox]), select, .hits h2 a"
)


@pytest.fixture(scope="module")
def addresses(place: Place) -> dict[str, str]:
    """Where each page is found."""
    row = place.stage.ask("registrations")[0]
    return {
        "live": "/",
        "search": "/search",
        "answers": "/search?q=a+wild+boar",
        "identify": f"/classify?media={row['media'][0]['media_id'].removeprefix('sha256:')}",
        "activity": "/activity",
        "review": "/review",
        "cameras": "/deployments",
        "registration": f"/registrations/{row['registration_id']}",
        "picture": f"/pictures/{row['media'][0]['media_id'].removeprefix('sha256:')}",
    }


@pytest.fixture(scope="module")
def guarded(place: Place) -> Iterator[str]:
    """The same site's page with a token."""
    with serving(place.stage, EDGE_WEB__TOKEN=TOKEN) as url:
        yield url


def _findings(page: Page, kind: str, values: list[str]) -> list[str]:
    """What axe says, the bad things; the others are printed."""
    options: dict[str, Any] = {"resultTypes": ["violations"], "runOnly": {"type": kind, "values": values}}
    response = cast("dict[str, Any]", Axe().run(page, options=options).response)
    lines = [
        f"{found['impact']} {found['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for found in response["violations"]
        for node in found["nodes"]
    ]
    for line in lines:
        print(page.url, line)  # noqa: T201 - shown by pytest when something is wrong, and with -s
    return [line for line in lines if line.startswith(_BAD)]


def _looked_at(page: Page) -> list[str]:
    """The bad things, with what is folded away unfolded; in the dark only colours are different."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    light = _findings(page, "tag", _RULES)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    return light + _findings(page, "rule", _COLOURS)


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(
    name: str, addresses: dict[str, str], opened: Callable[..., Watched]
) -> None:
    """By WCAG 2.2 AA and axe's best practices: on a desk and on a phone, light and dark."""
    for viewport in (DESKTOP, PHONE):
        page = opened(viewport=viewport).page
        page.goto(addresses[name])
        assert not _looked_at(page)


def test_axe_on_the_pages_that_say_no(guarded: str, place: Place, opened: Callable[..., Watched]) -> None:
    """The form for the token, and a page that isn't there."""
    for url, path in ((guarded, "/login"), (place.url, "/nowhere")):
        watched = opened(url, viewport=PHONE)
        watched.allowed.append("Failed to load resource")
        watched.page.goto(path)
        assert not _looked_at(watched.page)


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_all_of_it(
    name: str, addresses: dict[str, str], opened: Callable[..., Watched]
) -> None:
    """Nothing is wider than the screen, and what is pressed is at least 44 pixels high."""
    page = opened(viewport=PHONE, is_mobile=True, has_touch=True).page
    page.goto(addresses[name])
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], width
    small = page.evaluate(
        """(targets) => [...document.querySelectorAll(targets)]
             .filter((one) => one.checkVisibility() && !one.closest('.unseen, .skip') && one.tabIndex >= 0)
             .map((one) => [one.outerHTML.slice(0, 120), one.getBoundingClientRect()])
             .filter(([, box]) => box.height < 43.9 || box.width < 43.9)
             .map(([html, box]) => `${html} ${box.width} x ${box.height}`)""",
        _TARGETS,
    )
    assert not small, small


def test_light_and_dark_as_the_system_is(opened: Callable[..., Watched]) -> None:
    """Paper by day, night by night; a choice made here counts more, and is kept."""
    page = opened(color_scheme="light").page
    page.goto("/")
    assert _lightness(page) > 200
    page.emulate_media(color_scheme="dark")
    assert _lightness(page) < 60
    page.emulate_media(color_scheme="light")
    page.get_by_role("button", name="Colours").click()
    expect(page.locator("html[data-theme=dark]")).to_have_count(1)
    page.goto("/activity")
    assert _lightness(page) < 60


def _lightness(page: Page) -> float:
    """Of the page's ground, 0 to 255."""
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    parts = [float(part) for part in colour.split("(")[1].rstrip(")").split(",")[:3]]
    return sum(parts) / 3
