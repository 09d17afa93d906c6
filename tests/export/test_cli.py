from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge.errors import EdgeError, ExportError, GateError, UsageError
from edge.vision.manifest import MANIFEST, load_manifest, load_parts
from export import cli, recipes, sensitivity
from export.commands import running
from export.manifest import write_manifest
from export.request import native
from tests.children import minded
from tests.export import toys
from tests.vision.toy import LABELS, save_bundle

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "onnx", "onnxruntime", "transformers", "ultralytics", "cv2", "matplotlib"}
NEAR, FAR = 1e-6, 0.9


def _said(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, list(arguments))


@pytest.fixture(name="toy_exporters")
def _toy_exporters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Commands make toys instead of real networks; options that they can be called with."""
    monkeypatch.setattr(running, "find_spec", lambda _: object())
    monkeypatch.setattr(recipes, "candidates", toys.candidates(("int8 toy", NEAR)))
    monkeypatch.setattr(sensitivity, "ranking", toys.worst_first)
    toys.few_scenes(monkeypatch)
    import export.yolo  # noqa: PLC0415 - it imports torch only when it is called

    def network(_: Any, scratch: Path, say: Any, *__: Any) -> Any:
        say("mapping the toy")
        return toys.network(scratch, "detector", name="finder", license_="AGPL-3.0-only")

    monkeypatch.setattr(export.yolo, "build_network", network)
    weights = tmp_path / "toy.pt"
    weights.write_bytes(b"weights")
    labels, companion = toys.label_file(tmp_path, LABELS), save_bundle(tmp_path / "companion")
    return ["yolo", "--weights", str(weights), "--labels", str(labels), "--with", str(companion)]


def test_without_the_extra_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without torch gets a sentence, not a traceback."""
    monkeypatch.setattr(running, "find_spec", lambda name: None if name == "torch" else object())
    result = _said("starter")
    assert isinstance(result.exception, ExportError)
    assert "torch" in result.exception.subject
    assert "edge-camera-trap[cpu,export]" in result.exception.hint


@pytest.mark.parametrize("command", ["yolo", "clip", "bundle", "starter"])
def test_every_command_has_examples(command: str) -> None:
    """Help shows how a command is called."""
    result = _said(command, "--help")
    assert result.exit_code == 0
    assert f"edge export {command}" in result.output


def test_help_needs_no_heavy_library() -> None:
    """Mounting the commands on a device imports nothing of the workstation's."""
    code = f"import sys, export.cli; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        (["--labels", "atlantis"], UsageError, "--labels atlantis"),
        (["--with", "no-such-bundle"], UsageError, "--with no-such-bundle"),
        (["--weight-bits", "4"], UsageError, "7 or 8"),
        (["--whole-graph", "--leave-out", "a"], UsageError, "--whole-graph"),
        (["--target", "x86", "--target", "cuda", "--precision", "int8-static"], UsageError, "for cuda"),
        (["--target", "tensorrt", "--precision", "int8-dynamic"], UsageError, "for tensorrt"),
    ],
)
def test_options_are_checked_before_anything_heavy(
    options: list[str], kind: type[EdgeError], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can be known to be wrong is said at once, also where the extra isn't installed."""
    monkeypatch.setattr(running, "find_spec", lambda _: pytest.fail("not before the options were checked"))
    (tmp_path / "toy.pt").write_bytes(b"weights")
    result = _said("yolo", "--weights", str(tmp_path / "toy.pt"), *options)
    assert isinstance(result.exception, kind)
    assert says in str(result.exception)


@pytest.mark.parametrize(
    "options",
    [
        ["starter", "--precision", "int4"],
        ["starter", "--target", "toaster"],
        ["starter", "--floors", "nowhere.toml"],
        ["starter", "--calibration", "nowhere"],
        ["yolo"],
        ["yolo", "--weights", "nowhere.pt"],
        ["bundle", "--detector", "starter"],
    ],
)
def test_what_isnt_offered_is_a_usage_error(options: list[str]) -> None:
    """int4, toasters, files that aren't there, and what is missing."""
    assert _said(*options).exit_code == 2


@pytest.mark.parametrize(
    "wrong",
    [
        ["--class-map", "deer=beast"],
        ["--class-map", "nowhere.toml"],
        ["--size", "650"],
        ["--threshold-animal", "1"],
        ["--floors", "FLOORS"],
    ],
)
def test_values_that_cant_be_are_wrong_calls(
    toy_exporters: list[str], tmp_path: Path, wrong: list[str]
) -> None:
    """Exit code 2, whichever option it is, before any work."""
    floors = tmp_path / "floors.toml"
    floors.write_text("nonsense = 1\n", "utf-8")
    result = _said(*toy_exporters, *(str(floors) if word == "FLOORS" else word for word in wrong))
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_code == 2
    assert "mapping the toy" not in result.stderr


def test_clip_takes_one_kind_of_weights() -> None:
    """--model or --open-clip, not both and not none."""
    for options in ([], ["--model", "a", "--open-clip", "b"]):
        assert isinstance(_said("clip", *options).exception, UsageError)


def test_a_part_is_exported_with_its_licence_said(toy_exporters: list[str], tmp_path: Path) -> None:
    """The folder is there with what was measured; who takes an AGPL detector is told what that means."""
    out = tmp_path / "out"
    result = _said(*toy_exporters, "--out", str(out))
    assert result.exit_code == 0, result.exception
    assert load_parts(out).detector is not None
    assert (out / "report.md").is_file()
    assert "AGPL" in result.stderr
    assert "parts: detector" in result.stdout


def test_steps_are_plain_lines_where_there_is_no_terminal(toy_exporters: list[str], tmp_path: Path) -> None:
    """A log has one line for each step on standard error, without escape sequences."""
    result = _said(*toy_exporters, "--out", str(tmp_path / "out"))
    lines = result.stderr.splitlines()
    assert lines[0] == "mapping the toy"
    assert "running the self-test" in lines
    assert "\x1b" not in result.stderr


def test_the_summary_for_scripts_is_all_that_is_on_standard_output(
    toy_exporters: list[str], tmp_path: Path
) -> None:
    """--json says path, parts, files and the report."""
    out = tmp_path / "out"
    result = _said(*toy_exporters, "--out", str(out), "--json")
    content = json.loads(result.stdout)
    assert (content["path"], content["name"], content["whole"]) == (str(out), "finder", False)
    (file,) = content["parts"]["detector"]
    assert file["bytes"] == (out / "detector.onnx").stat().st_size
    assert content["report"]["bundle"] == "finder"


def test_the_default_place_has_the_networks_name(
    toy_exporters: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --out it is models/onnx/NAME below the current folder."""
    monkeypatch.chdir(tmp_path)
    assert _said(*toy_exporters).exit_code == 0
    assert load_parts(tmp_path / "models" / "onnx" / "finder").name == "finder"


def test_a_refused_export_leaves_nothing(
    toy_exporters: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the floors: an error with floor and nodes, no bundle, nothing beside it, no scratch."""
    monkeypatch.setattr(recipes, "candidates", toys.candidates(("int8 toy", FAR)))
    scratch, out = tmp_path / "scratch", tmp_path / "models" / "out"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    result = _said(*toy_exporters, "--out", str(out))
    assert result.exit_code != 0
    assert isinstance(result.exception, GateError)
    assert result.exception.subject == f"detector for {native()}"
    assert "int8 toy: recall" in result.exception.hint
    assert "most sensitive: unit, lit" in result.exception.hint
    assert not list(out.parent.iterdir())
    assert not list(scratch.iterdir())


def test_a_refused_export_keeps_what_was_there(
    toy_exporters: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bundle of yesterday survives today's failure."""
    out = tmp_path / "out"
    assert _said(*toy_exporters, "--out", str(out)).exit_code == 0
    before = (out / MANIFEST).read_bytes()
    monkeypatch.setattr(recipes, "candidates", toys.candidates(("int8 toy", FAR)))
    assert _said(*toy_exporters, "--out", str(out)).exit_code != 0
    assert (out / MANIFEST).read_bytes() == before


def test_other_files_arent_replaced(toy_exporters: list[str], tmp_path: Path) -> None:
    """--out on a folder of something else is refused before any work."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_bytes(b"")
    result = _said(*toy_exporters, "--out", str(tmp_path / "out"))
    assert isinstance(result.exception, ExportError)
    assert "mapping the toy" not in result.stderr


def test_bundles_are_joined(toy_exporters: list[str], tmp_path: Path) -> None:
    """The exported detector and the companion's towers become one bundle."""
    part, both = tmp_path / "part", tmp_path / "both"
    assert _said(*toy_exporters, "--out", str(part)).exit_code == 0
    sides = ["--detector", str(part), "--classifier", toy_exporters[-1]]
    result = _said("bundle", *sides, "--out", str(both), "--name", "both", "--labels", toy_exporters[4])
    assert result.exit_code == 0, result.exception
    assert not load_parts(both).missing()
    assert "AGPL" in result.stderr


def test_a_half_that_a_provider_passes_over_is_said(toy_exporters: list[str], tmp_path: Path) -> None:
    """A detector that suits TensorRT, joined with towers that don't: a note on standard error."""
    towers = Path(toy_exporters[-1])
    manifest = load_manifest(towers)
    visual = manifest.visual.model_copy(update={"precision": "int8 QDQ"})
    write_manifest(towers, manifest.model_copy(update={"visual": visual}))
    both, other = tmp_path / "both", save_bundle(tmp_path / "other")
    sides = ["--detector", str(other), "--classifier", str(towers)]
    result = _said("bundle", *sides, "--out", str(both), "--labels", toy_exporters[4], "--json")
    assert result.exit_code == 0, result.exception
    assert "Note: tensorrt won't be used" in result.stderr
    assert "tensorrt won't be used" in (both / "report.md").read_text("utf-8")
    assert json.loads(result.stdout)["whole"]


def test_a_bundle_isnt_joined_into_its_half(toy_exporters: list[str]) -> None:
    """Its files would go while they are read."""
    half = toy_exporters[-1]
    result = _said("bundle", "--detector", half, "--classifier", half, "--out", half)
    assert isinstance(result.exception, UsageError)
    assert (Path(half) / MANIFEST).is_file()


HEARS_ALL = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""
"""What nohup or a shell's background would have the tests' children ignore."""

SLOW = """
import sys, time
from pathlib import Path
import typer
from edge.errors import EdgeError
from export.commands import running
from export.request import Request

def slow(scratch, progress):
    (scratch / "half.onnx").write_bytes(b"half")
    progress.step("working")
    time.sleep(60)

app = typer.Typer()

@app.command()
def export(out: Path) -> None:
    running.make(out, slow, Request())

app()
"""


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "SIGTERM"), (signal.SIGHUP, 129, "SIGHUP")],
)
def test_a_signal_leaves_nothing_half_written(
    tmp_path: Path, number: signal.Signals, code: int, word: str
) -> None:
    """Ctrl-C in the middle: one line, the exit code that shells expect, no bundle, no scratch folder."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    out = tmp_path / "models" / "slow"
    process = minded(
        subprocess.Popen(
            [sys.executable, "-c", HEARS_ALL + SLOW, str(out)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)},
        )
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "working\n"
    assert list(scratch.glob("*/half.onnx"))
    process.send_signal(number)
    _, rest = process.communicate(timeout=30)
    assert process.returncode == code
    (line,) = rest.splitlines()
    assert "nothing was kept" in line
    assert word in line
    assert not out.exists()
    assert not list(scratch.iterdir())


def test_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    """A hangup that the caller has ignored stays ignored, so that an export may go on all night."""
    process = minded(
        subprocess.Popen(
            ["nohup", sys.executable, "-c", SLOW, str(tmp_path / "slow")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "working\n"
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.terminate()
    _, rest = process.communicate(timeout=30)
    assert "SIGTERM" in rest


def test_a_second_ctrl_c_doesnt_stop_the_cleaning_up(tmp_path: Path) -> None:
    """Impatience leaves nothing either."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = minded(
        subprocess.Popen(
            [sys.executable, "-c", HEARS_ALL + SLOW, str(tmp_path / "slow")],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)},
        )
    )
    assert process.stderr is not None
    process.stderr.readline()
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not list(scratch.iterdir())
