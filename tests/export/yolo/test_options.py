"""What the command line says of a YOLO."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from edge.errors import UsageError
from export.yolo.options import check_grid, options_of, parse_size

_SIDE = st.integers(1, 60).map(lambda cells: cells * 32)


@given(_SIDE, _SIDE)
def test_a_size_is_width_then_height(width: int, height: int) -> None:
    """Both, or one for a square."""
    assert parse_size(f"{width}x{height}") == (width, height)
    assert parse_size(str(width)) == (width, width)


@pytest.mark.parametrize("text", ["", "640*480", "640x", "-640", "big", "6.4e2"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(UsageError, match="640x480"):
        parse_size(text)


def test_sides_that_the_strides_do_not_divide_are_refused_with_the_nearest() -> None:
    """The hint can be copied."""
    with pytest.raises(UsageError) as caught:
        parse_size("650x470")
    assert "640x480" in caught.value.hint


@given(st.integers(0, 2000), st.integers(0, 2000), st.sampled_from([32, 64]))
def test_the_nearest_size_is_always_a_size(width: int, height: int, grid: int) -> None:
    """What the hint names passes."""
    try:
        check_grid(width, height, grid)
    except UsageError as error:
        nearest_width, nearest_height = error.hint.rsplit(" ", 1)[-1].split("x")
        check_grid(int(nearest_width), int(nearest_height), grid)


def test_weights_that_are_not_there_are_said_so(tmp_path: Path) -> None:
    """Nothing is fetched."""
    with pytest.raises(UsageError, match=r"no such checkpoint"):
        options_of(tmp_path / "yolo11n.pt")


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 20.0])
def test_a_threshold_lies_between_0_and_1(tmp_path: Path, value: float) -> None:
    """Percent aren't taken for shares."""
    weights = tmp_path / "a.pt"
    weights.touch()
    with pytest.raises(UsageError, match="threshold"):
        options_of(weights, animal=value)


def test_everything_has_a_default_but_the_weights(tmp_path: Path) -> None:
    """The name is the file's; thresholds that aren't given are left to the family."""
    weights = tmp_path / "Wolves-v2.pt"
    weights.touch()
    options = options_of(weights, size="640x480", class_map=["*=animal"], person=0.5)
    assert (options.width, options.height) == (640, 480)
    assert options.name == "wolves-v2"
    assert options.thresholds == {"person": 0.5}
    assert options.given == {"*": "animal"}
