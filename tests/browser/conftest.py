from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edge.delivery.broker import mosquitto_path

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.chromium import Watched
    from tests.browser.place import Place

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starting a site and a browser takes longer than a test."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all of these tests; each test has profiles of its own."""
    from tests.browser.chromium import chromium_path, launched  # noqa: PLC0415 - only where it is used

    if chromium_path() is None:
        pytest.skip("needs Chromium, as a package of Debian's kind (a snap can't be driven)")
    with launched() as found:
        yield found


@pytest.fixture(scope="package")
def place(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A running site that has seen one evening; not started where there is no browser for it."""
    from tests.browser.place import running  # noqa: PLC0415 - only where it is used

    assert browser.is_connected()
    if mosquitto_path() is None:
        pytest.skip("needs mosquitto")
    with running(tmp_path_factory.mktemp("browser") / "site") as found:
        yield found


@pytest.fixture
def opened(browser: Browser, place: Place) -> Iterator[Callable[..., Watched]]:
    """Open windows of fresh profiles on the site's page; each is checked for faults at the end."""
    from tests.browser.chromium import window  # noqa: PLC0415 - only where it is used

    with ExitStack() as stack:

        def begin(url: str = place.url, **options: Any) -> Watched:
            return stack.enter_context(window(browser, url, **options))

        yield begin
