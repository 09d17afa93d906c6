"""``edge doctor`` as it is called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli import doctor
from edge.service.checks.finding import Finding
from edge.settings import Settings
from tests.cli.conftest import Run

OK, WARN, FAIL = (
    Finding("clock", "ok", "it is right"),
    Finding("disk", "warn", "/mnt/[x] is full", "free some"),
    Finding("broker", "fail", "gone", "start it"),
)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What the doctor finds; a test fills it."""
    findings: list[Finding] = []

    def diagnose(_: Settings) -> Iterator[Finding]:
        return iter(findings)

    monkeypatch.setattr(doctor, "diagnose", diagnose)
    return findings


def test_warnings_are_fine(run: Run, found: list[Finding]) -> None:
    """Exit code 0; each line says its level, each warning what to do."""
    found += [OK, WARN]
    result = run("doctor")
    assert result.code == 0
    assert [line.split() for line in result.out.splitlines()] == [
        ["ok", "clock", "it", "is", "right"],
        ["warn", "disk", "/mnt/[x]", "is", "full"],
        ["free", "some"],
    ]


def test_a_failed_check_exits_with_1(run: Run, found: list[Finding]) -> None:
    """So that a script can ask."""
    found += [OK, FAIL]
    assert run("doctor").code == 1


def test_json(run: Run, found: list[Finding]) -> None:
    """The findings and nothing else, with the same exit codes."""
    found += [OK, WARN, FAIL]
    result = run("doctor", "--json")
    report = json.loads(result.out)
    assert (result.code, report["ok"]) == (1, False)
    assert report["findings"][1] == {
        "check": "disk", "level": "warn", "what": "/mnt/[x] is full", "hint": "free some",
    }  # fmt: skip


def test_for_real(run: Run, tmp_path: Path) -> None:
    """All checks of this machine run, whatever they find, and nothing is made."""
    drop = tmp_path / "drop"
    drop.mkdir()
    result = run("doctor", "--state", tmp_path / "s", "--drop", drop, "--broker", "none", "--json")
    checks = {finding["check"] for finding in json.loads(result.out)["findings"]}
    assert {"daemon", "state folder", "drop folder", "inotify", "clock", "labels", "broker"} <= checks
    assert not (tmp_path / "s").exists()
