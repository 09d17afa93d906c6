"""Health as figures for Prometheus, read with its own parser, and as files."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from prometheus_client.parser import text_string_to_metric_families

from edge.delivery.messages import (
    BrokerHealth,
    BundleRef,
    DiskHealth,
    Health,
    IntakeHealth,
    ModelHealth,
    OutboxHealth,
    Problem,
    RegistrationHealth,
    SearchHealth,
)
from edge.service.metrics import exposition
from edge.service.postings import Postings
from edge.service.report import last_message
from edge.settings import HealthSettings

AT = "2026-05-04T03:12:09.500+07:00"


def _health(device: str = "ridge-01", **changes: object) -> Health:
    values: dict[str, object] = {
        "device": device,
        "epoch": "b0c1",
        "version": "0.1.0",
        "at": AT,
        "state": "degraded",
        "since": AT,
        "problems": (Problem(code="disk_full", message="m"), Problem(code="disk_full", message="n")),
        "intake": IntakeHealth(scanned=True, processed=7, duplicates=2, overflows=1, pending=3),
        "outbox": OutboxHealth(pending=4, set_aside=1, acked=90, head=95),
        "broker": BrokerHealth(connected=True, acked=90, in_flight=2),
        "models": ModelHealth(bundle=BundleRef(name="starter", sha256="0" * 64), providers=("CPU",)),
        "disk": DiskHealth(free=5, total=9, low_water=2),
        "registrations": RegistrationHealth(open=2, living=11),
    }
    return Health.model_validate({**values, **changes})


def _parsed(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Figures by name and labels' values, as Prometheus' own parser understands them."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_providers_that_need_nobody_are_not_told_as_refused() -> None:
    """One that isn't installed is no fault, nor is TensorRT without its libraries where CUDA works."""
    why = {"A": "absent", "B": "unsuited", "C": "unusable", "D": "failed"}
    refused = [{"provider": name, "why": word, "reason": "r"} for name, word in why.items()]
    for in_use, told in (("CPUExecutionProvider", {"C", "D"}), ("CUDAExecutionProvider", {"D"})):
        models = ModelHealth.model_validate({"providers": (in_use,), "refused": refused})
        found = _parsed(exposition(_health(models=models), running=True))
        assert found["edge_provider_refused"] == {(name,): 1.0 for name in told}


def test_embedding_again_is_told_by_state() -> None:
    """How many images are done, left, and can't be; nothing where there was no change of bundle."""
    search = SearchHealth(images=12, embedded=7, unreachable=2, running=True)
    found = _parsed(exposition(_health(search=search), running=True))
    assert found["edge_search_images"] == {("embedded",): 7.0, ("waiting",): 3.0, ("unreachable",): 2.0}
    assert "edge_search_images" not in _parsed(exposition(_health(), running=True))


def test_figures_are_those_of_the_message() -> None:
    """Counts, bytes and seconds come out of the parser as they stand in health."""
    found = _parsed(exposition(_health(), running=True))
    assert found["edge_up"] == {(): 1.0}
    assert found["edge_files_total"] == {("processed",): 7.0, ("duplicate",): 2.0, ("set_aside",): 0.0}
    assert found["edge_outbox_messages"] == {("pending",): 4.0, ("set_aside",): 1.0, ("acknowledged",): 90.0}
    assert found["edge_registrations"] == {("open",): 2.0, ("closed",): 9.0}
    assert found["edge_disk_free_bytes"] == {(): 5.0}
    assert found["edge_health_timestamp_seconds"] == {(): datetime.fromisoformat(AT).timestamp()}
    assert found["edge_state"] == {("starting",): 0, ("ok",): 0, ("degraded",): 1, ("stopping",): 0}
    assert found["edge_problem"] == {("disk_full",): 1.0}


def test_every_family_has_help_and_its_right_type() -> None:
    """Counters are those that end in _total, everything else is a gauge, and each says what it is."""
    text = exposition(_health(), running=True)
    families = list(text_string_to_metric_families(text))
    types = dict(line.split()[2:4] for line in text.splitlines() if line.startswith("# TYPE"))
    assert len(families) == len(types) == text.count("# HELP") >= 20
    assert all(family.documentation for family in families)
    assert all((kind == "counter") == name.endswith("_total") for name, kind in types.items())
    assert set(types.values()) == {"counter", "gauge"}


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\x85\u2028\u2029")))
def test_any_name_survives_the_way_through_the_parser(device: str) -> None:
    """Quotation marks, backslashes and line feeds in labels are escaped."""
    text = exposition(_health(device), running=True)
    lines = [line for line in text.split("\n") if line.startswith("edge_info")]
    (family,) = text_string_to_metric_families(lines[0] + "\n")
    assert family.samples[0].labels["device"] == device


def test_daemon_that_does_not_run_is_told_and_nothing_else() -> None:
    """Old figures must not look like today's."""
    for health in (None, _health()):
        assert _parsed(exposition(health, running=False)) == {"edge_up": {(): 0.0}}


def test_files_are_whole_and_for_everybody_to_read(tmp_path: Path) -> None:
    """Both files are there, whatever the umask, and no temporary one."""
    settings = HealthSettings(json_file=tmp_path / "health.json", prometheus_file=tmp_path / "edge.prom")
    before = os.umask(0o077)
    try:
        Postings(settings).write(_health())
    finally:
        os.umask(before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edge.prom", "health.json"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}
    assert last_message(tmp_path) == _health()
    assert "edge_up 1" in (tmp_path / "edge.prom").read_text()


def test_last_word_says_that_it_is_down(tmp_path: Path) -> None:
    """A daemon that stops in order leaves edge_up 0."""
    Postings(HealthSettings(prometheus_file=tmp_path / "edge.prom")).write(_health(state="stopping"))
    assert (tmp_path / "edge.prom").read_text().splitlines()[-1] == "edge_up 0"


def test_file_that_cannot_be_written_is_a_problem_until_it_can(tmp_path: Path) -> None:
    """Health says so; nothing is raised."""
    postings = Postings(HealthSettings(prometheus_file=tmp_path / "later" / "edge.prom"))
    postings.write(_health())
    assert [p.code for p in postings.problems()] == ["health_file"]
    (tmp_path / "later").mkdir()
    postings.write(_health())
    assert postings.problems() == ()


def test_collector_would_pass_over_other_names() -> None:
    """A name that node_exporter ignores is a fault in the settings."""
    with pytest.raises(ValueError, match=r"\.prom"):
        HealthSettings(prometheus_file=Path("/run/edge/metrics.txt"))


def test_old_or_no_word_is_none(tmp_path: Path) -> None:
    """A health file of another form is as good as none."""
    assert last_message(tmp_path) is None
    (tmp_path / "health.json").write_text('{"schema": "edge.health/0"}')
    assert last_message(tmp_path) is None
