"""What health says of providers: which is in use, and whether a person is needed."""

from __future__ import annotations

import pytest

from edge.delivery.messages import ModelHealth
from edge.service.health import model_health, provider_problems, text_problems
from edge.vision.pipeline import VisionInfo
from edge.vision.providers import CPU, CUDA, TENSORRT
from edge.vision.selftest import ProviderReport, Refusal, Why


def _report(in_use: str, *refused: Refusal) -> ProviderReport:
    return ProviderReport((TENSORRT, CUDA, CPU), in_use, refused, {"visual": 1.0}, {"visual": "visual.onnx"})


@pytest.mark.parametrize(
    ("in_use", "why", "needed"),
    [
        (CPU, "absent", False),
        (CPU, "unsuited", False),
        (CPU, "unusable", True),
        (CPU, "failed", True),
        (CUDA, "unusable", False),
        (CUDA, "failed", True),
    ],
)
def test_who_has_to_be_told(in_use: str, why: Why, *, needed: bool) -> None:
    """Wrong results always; missing libraries only where the processor has to do the work."""
    problems = provider_problems(_report(in_use, Refusal(TENSORRT, "a reason", why)))
    assert [problem.code for problem in problems] == ["provider_refused"] * needed
    assert all("a reason" in problem.message and in_use in problem.hint for problem in problems)


def test_health_says_what_was_asked_for_and_what_is_in_use() -> None:
    """With the reason of each refusal, and the files."""
    report = _report(CPU, Refusal(TENSORRT, "not there", "absent"), Refusal(CUDA, "wrong"))
    info = VisionInfo("starter", "1", "ab" * 32, "europe", "cd" * 32, 3, 384, ("en",), report)
    said = model_health(info)
    assert (said.asked, said.providers) == ((TENSORRT, CUDA, CPU), (CPU,))
    assert [(r.provider, r.why, r.reason) for r in said.refused] == [
        (TENSORRT, "absent", "not there"),
        (CUDA, "failed", "wrong"),
    ]
    assert said.files == {"visual": "visual.onnx"}


def test_damaged_text_model_needs_a_person() -> None:
    """What is wrong goes into the message; a sound one is no problem."""
    (problem,) = text_problems("file differs from its manifest: /b/text.onnx")
    assert problem.code == "text_model_damaged"
    assert "/b/text.onnx" in problem.message
    assert text_problems("") == []


def test_older_health_is_still_read() -> None:
    """Messages of a device that doesn't say so yet."""
    old = ModelHealth.model_validate({"bundle": None, "labels": "europe", "providers": [CPU]})
    assert (old.asked, old.refused, old.files) == ((), (), {})
