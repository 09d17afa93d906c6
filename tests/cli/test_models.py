"""``edge models``: what bundles are, whether they are sound, how fast they are."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import tomli_w

from edge.vision.manifest import MANIFEST
from tests.cli.conftest import Run
from tests.vision import toy


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with a toy bundle."""
    toy.save_bundle(tmp_path / "state" / "models" / "toy")
    return tmp_path / "state"


def _change(bundle: Path, **values: object) -> None:
    manifest = tomllib.loads((bundle / MANIFEST).read_text())
    manifest |= values
    (bundle / MANIFEST).write_text(tomli_w.dumps({k: v for k, v in manifest.items() if v is not None}))


def test_list_tells_bundles_and_parts(run: Run, state: Path) -> None:
    """Both that came with the product and own ones; parts alone are marked as such."""
    toy.save_bundle(state / "models" / "boxes")
    _change(state / "models" / "boxes", visual=None, text=None)
    said = run("models", "list", "--state", state).out
    assert "starter" in said
    assert "only" in said
    rows = {row["name"]: row for row in json.loads(run("models", "list", "--state", state, "--json").out)}
    assert (rows["toy"]["whole"], rows["boxes"]["whole"]) == (True, False)
    assert rows["boxes"]["parts"] == ["detector"]


def test_show_tells_what_a_bundle_is(run: Run, state: Path) -> None:
    """Sizes, preprocessing, classes, thresholds and licences, for people."""
    said = run("models", "show", "toy", "--state", state).out
    for part in ("64 x 64 NHWC uint8, stretch", "centernet", "CC0-1.0", "animal 0.3", "3 numbers"):
        assert part in said
    assert "AGPL" not in said


def test_show_says_what_agpl_weights_mean(run: Run, state: Path) -> None:
    """Who hands such a bundle on has duties, and reads of them here."""
    _change(state / "models" / "toy", license="AGPL-3.0-only")
    assert "has to offer" in " ".join(run("models", "show", "toy", "--state", state).out.split())


def test_show_tells_what_the_export_measured(run: Run, state: Path) -> None:
    """The report's figures, where its plots are, and nothing where it can't be read."""
    bundle = state / "models" / "toy"
    assert "none, or it can't be read" in run("models", "show", "toy", "--state", state).out
    (bundle / "report").mkdir()
    (bundle / "report" / "cosine.png").touch()
    report = {
        "parts": {"visual": {"quality": {"mean": 0.998}, "cost": {"run_ms": 2.0}}},
        "visits": {"lost": 0},
    }
    (bundle / "report.json").write_text(json.dumps(report))
    said = run("models", "show", "toy", "--state", state).out
    for part in ("mean 0.998", "run ms 2", "lost 0", f"1 in {bundle / 'report'}"):
        assert part in said
    (bundle / "report.json").write_text("[1]")
    assert run("models", "show", "toy", "--state", state).code == 0


def test_show_as_json_is_the_manifest(run: Run, state: Path) -> None:
    """Scripts get all of it."""
    found = json.loads(run("models", "show", "toy", "--state", state, "--json").out)
    assert found["manifest"]["detector"]["decoder"] == "centernet"
    assert found["bytes"]["visual.onnx"] > 0
    assert found["missing"] == []


def test_verify_passes_a_sound_bundle(run: Run, state: Path) -> None:
    """Every file, and detector, visual and text on the CPU at least."""
    done = run("models", "verify", "toy", "--state", state)
    assert (done.code, "5 files as in the manifest" in done.out) == (0, True)
    found = json.loads(run("models", "verify", "toy", "--state", state, "--json").out)
    assert found["ok"] is True
    on_cpu = [t for t in found["trials"] if t["provider"] == "CPUExecutionProvider"]
    assert [(t["part"], t["outcome"]) for t in on_cpu] == [
        ("detector", "passed"),
        ("visual", "passed"),
        ("text", "passed"),
    ]


def test_verify_names_every_file_that_differs(run: Run, state: Path) -> None:
    """Exit code 1, and no provider is blamed."""
    for name in ("visual.onnx", "tokenizer.json"):
        with (state / "models" / "toy" / name).open("ab") as stream:
            stream.write(b" ")
    done = run("models", "verify", "toy", "--state", state)
    assert done.code == 1
    assert "visual.onnx: file differs" in done.out
    assert "tokenizer.json: file differs" in done.out
    assert "cpu" not in done.out
    found = json.loads(run("models", "verify", "toy", "--state", state, "--json").out)
    assert (found["ok"], found["trials"]) == (False, [])


def test_verify_fails_where_nothing_gets_it_right(run: Run, state: Path) -> None:
    """A graph that sees the same in everything passes on no provider."""
    bundle = state / "models" / "toy"
    toy.save_detector(bundle / "detector.onnx", constant=True)
    toy.save_manifest(bundle)
    done = run("models", "verify", "toy", "--state", state)
    assert done.code == 1
    assert "same result for different images" in done.out


def test_verify_leaves_nothing_behind(run: Run, state: Path) -> None:
    """Looking doesn't make a cache."""
    run("models", "verify", "toy", "--state", state)
    assert [path.name for path in state.iterdir()] == ["models"]


def test_bench_tells_a_choice(run: Run, state: Path) -> None:
    """One row for each graph and batch, and what to set."""
    done = run("models", "bench", "toy", "--state", state, "--rounds", 3, "--threads", 1, "--batch", 2)
    assert done.code == 0
    assert "choice: cpu with vision.threads = 1" in done.out
    assert done.out.count("detector.onnx") == 1


def test_bench_of_an_unknown_target_is_a_usage_error(run: Run, state: Path) -> None:
    """The targets that there are are listed."""
    done = run("models", "bench", "toy", "--state", state, "--target", "mips")
    assert (done.code, "tensorrt" in done.err) == (2, True)
