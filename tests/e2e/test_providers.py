"""The daemon on providers that are wrong, die, or are all there is, with the starter and real sessions."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge.configuration import load
from edge.errors import BundleError, EdgeError, ProviderError
from edge.service.run import Ending, run
from edge.settings import Settings
from edge.testing import jpeg_bytes
from edge.vision.bundles import find_bundle
from edge.vision.providers import CPU, CUDA
from edge.vision.session import Chain, Model
from tests.e2e.site import Site, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
NUMBER = 8
SELF_TEST = 2
"""Runs of each model in the starter's self-test; the visual tower's batch comes on top on a GPU."""
Answer = Callable[[list[npt.NDArray[Any]]], list[npt.NDArray[Any]]]


class _Stub(Model):
    """The CPU under another name; ``answer`` says what becomes of its results."""

    answer: Answer

    def run(self, inputs: Any, outputs: Any) -> list[npt.NDArray[Any]]:
        return self.answer(super().run(inputs, outputs))


class _Bench:
    """A runtime with a GPU of ours before the CPU; each model gets an answer of its own."""

    def __init__(self, gpu: Callable[[], Answer], *, cpu: Callable[[], Answer] | None = None) -> None:
        self._answers = {CUDA: gpu, CPU: cpu}
        self.opened: list[str] = []

    def available(self) -> tuple[str, ...]:
        return (CUDA, CPU)

    def open(self, path: Path, provider: str, threads: int, chain: Chain) -> Model:
        self.opened.append(provider)
        answer = self._answers[provider]
        if answer is None:
            return Model(path, CPU, threads, chain)
        model = _Stub(path, CPU, threads)
        model.provider, model.answer = provider, answer()
        return model


class _Dying:
    """Right for so many runs, then never again."""

    def __init__(self, runs: int) -> None:
        self._left = runs
        self._lock = threading.Lock()

    def __call__(self, results: list[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        with self._lock:
            self._left -= 1
            if self._left < 0:
                raise ProviderError("model failed to run", subject="visual.onnx", hint="CUDA failure 700")
        return results


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A device with images in its drop folder, and no broker."""
    site = Site(tmp_path, settings={"vision": {"providers": ["cuda", "cpu"], "workers": 2}}).prepare()
    folder = site.drop / "cam"
    folder.mkdir()
    for i in range(NUMBER):
        image = jpeg_bytes(320, 240, seed=i, taken=START + timedelta(minutes=i))
        (folder / f"IMG_{i:04}.JPG").write_bytes(image)
    return site


def _settings(site: Site) -> Settings:
    return load(site.config).settings


def _run(site: Site, bench: _Bench) -> Ending:
    return run(_settings(site), stop=threading.Event(), until_idle=True, runtime=bench)


def _health(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((site.state / "health.json").read_bytes())
    return found


def _states(site: Site) -> list[str]:
    return [str(row["state"]) for row in site.media().values()]


def _constant() -> Answer:
    return lambda results: [np.ones_like(result) for result in results]


def _right() -> Answer:
    return lambda results: results


def test_provider_that_sees_the_same_in_every_image(site: Site) -> None:
    """It is refused before the first image, the next one does the work, and health says both."""
    assert _run(site, _Bench(_constant)) == "done"
    models = _health(site)["models"]
    assert (models["asked"], models["providers"]) == ([CUDA, CPU], [CPU])
    (refused,) = models["refused"]
    assert (refused["provider"], refused["why"]) == (CUDA, "failed")
    assert "same result for different images" in refused["reason"]
    problems = {problem["code"]: problem for problem in _health(site)["problems"]}
    assert CPU in problems["provider_refused"]["hint"]
    assert _states(site) == ["processed"] * NUMBER


def test_provider_that_dies_at_work(site: Site) -> None:
    """Every image is seen all the same: what was in hand goes to the next provider, with the reason told."""
    dead = _Dying(14)  # its models share one death, as those of a GPU that fell off the bus
    bench = _Bench(lambda: dead)
    assert _run(site, bench) == "done"
    models = _health(site)["models"]
    assert models["providers"] == [CPU]
    assert "CUDA failure 700" in models["refused"][0]["reason"]
    assert _states(site) == ["processed"] * NUMBER
    assert bench.opened == [CUDA] * 4 + [CPU] * 2


def test_provider_that_dies_again_and_again(site: Site) -> None:
    """One that passes its self-test every time and fails at work is given up after three times."""
    bench = _Bench(lambda: _Dying(SELF_TEST + 2))
    assert _run(site, bench) == "done"
    (refused,) = _health(site)["models"]["refused"]
    assert "failed 3 times within an hour while running" in refused["reason"]
    assert _states(site) == ["processed"] * NUMBER
    assert bench.opened == [CUDA] * 6 + [CPU] * 2


def test_no_provider_is_left(site: Site, tmp_path: Path) -> None:
    """It ends with an error and condemns nothing: after any number of such runs a sound one sees all."""
    settings = {**(site.settings or {}), "intake": {"settle": 0.2, "max_attempts": 2}}
    site = Site(tmp_path, settings=settings).prepare()
    for image in sorted(site.drop.rglob("*.JPG"))[2:]:
        image.unlink()
    for _ in range(2):
        with pytest.raises(EdgeError, match="no execution provider can be used"):
            _run(site, _Bench(_constant, cpu=lambda: _Dying(SELF_TEST)))
    assert _run(site, _Bench(_constant)) == "done"
    assert _states(site) == ["processed"] * 2


def test_flipped_bit_stops_the_daemon(site: Site, tmp_path: Path) -> None:
    """No provider could do better: exit code 1, and the file is named."""
    bundle = shutil.copytree(find_bundle("starter", ()), tmp_path / "bundle")
    data = bytearray((bundle / "visual.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / "visual.onnx").write_bytes(data)
    site = Site(tmp_path, settings={"vision": {"bundle": str(bundle)}}).prepare()
    with pytest.raises(BundleError, match=r"differs from its manifest.*visual\.onnx"):
        _run(site, _Bench(_right))
    daemon = site.start()
    assert daemon.wait(60) == 1
    assert "file differs from its manifest" in site.log()
    assert "copy the bundle again" in site.log()


def test_status_tells_what_is_in_use(site: Site) -> None:
    """While it runs, ``edge status`` says which provider looks and why not a better one."""
    stop = threading.Event()
    bench = _Bench(_constant)
    daemon = threading.Thread(target=run, args=(_settings(site),), kwargs={"stop": stop, "runtime": bench})
    daemon.start()
    try:
        wait_for((site.state / "health.json").exists)
        models, text = site.json("status")["models"], site.text("status")
    finally:
        stop.set()
        daemon.join(30)
    assert (models["providers"], models["asked"]) == ([CPU], [CUDA, CPU])
    assert models["refused"][0]["provider"] == CUDA
    assert "on cpu; asked for cuda, cpu" in text
    assert "not cuda: " in text
