"""What the other tests of this folder stand on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.site import Site


def test_waiting_for_a_daemon_that_has_ended_fails_at_once_and_shows_its_log(tmp_path: Path) -> None:
    """A configuration that can't be, say: nobody waits a minute and a half to learn nothing."""
    site = Site(tmp_path, settings={"vision": {"labels": str(tmp_path / "none.toml")}}).prepare()
    site.start()
    with pytest.raises(pytest.fail.Exception, match=r"ended with 78 before it was ready:\n(.|\n)*none\.toml"):
        site.wait_ready()
