"""Where looking keeps what it computed."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge.service.searching.caches import cache_of, passing_cache


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


def _closed(monkeypatch: pytest.MonkeyPatch, *closed: Path) -> None:
    """Folders that can't be written; tests may run as root, whom nothing stops."""
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: not any(Path(path) == c for c in closed) and real(path, mode)
    )


def test_state_folder_comes_first(tmp_path: Path) -> None:
    """Whoever may write there shares what the daemon computed; nothing is made by asking."""
    state = tmp_path / "state"
    state.mkdir()
    assert cache_of(state) == state / "cache"
    assert list(state.iterdir()) == []


def test_without_a_site_it_is_the_persons_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder that isn't there isn't made, and one that is closed isn't tried."""
    assert cache_of(tmp_path / "none") == tmp_path / "home" / ".cache" / "edge"
    (tmp_path / "state" / "cache").mkdir(parents=True)
    _closed(monkeypatch, tmp_path / "state" / "cache")
    assert cache_of(tmp_path / "state") == tmp_path / "home" / ".cache" / "edge"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert cache_of(tmp_path / "state") == tmp_path / "elsewhere" / "edge"


def test_account_without_a_home_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a home that can't be written nor a user that the system doesn't know ends the command."""
    _closed(monkeypatch, tmp_path / "home")
    assert cache_of(tmp_path / "none") is None
    monkeypatch.delenv("HOME")

    def unknown(_uid: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert cache_of(tmp_path / "none") is None


def test_full_disk_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is only kept to be quicker next time takes nobody's last space."""
    (tmp_path / "state").mkdir()
    full = SimpleNamespace(total=1, used=1, free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: full)
    assert cache_of(tmp_path / "state") is None


def test_passing_one_goes_with_its_owner() -> None:
    """It is there as long as who asked for it, and private."""

    class Owner:
        pass

    owner = Owner()
    folder = passing_cache(owner)
    (folder / "kept.npz").write_bytes(b"x")
    assert folder.stat().st_mode & 0o077 == 0
    del owner
    assert not folder.exists()
