from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from edge.delivery.messages import BundleRef, RegistrationMessage
from edge.demo.screen import Board, registration_table, save_svg, shown
from edge.registration import ChangeKind


def _message(change: ChangeKind = "opened", *, name: str = "a", seq: int = 1) -> RegistrationMessage:
    return RegistrationMessage(
        device="demo",
        epoch="e",
        seq=seq,
        change=change,
        registration_id=name,
        revision=seq,
        state="open",
        superseded_by=None,
        deployment="cam-01",
        label="Jaguar",
        scientific_name="Panthera onca",
        count=2,
        start="2026-05-04T21:47:03.100-06:00",
        end="2026-05-04T22:05:41.000-06:00",
        confidence=0.9,
        votes={"Jaguar": 3},
        media_count=3,
        media=(),
        time_source="exif",
        clock_ok=True,
        bundle=BundleRef(name="starter", sha256="0"),
        observed_at="2026-05-04T22:05:42.000-06:00",
    )


def _text(*parts: RenderableType, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width)
    for part in parts:
        console.print(part)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def test_a_row_fits_a_narrow_terminal() -> None:
    """The table of registrations needs no more than 80 columns and cuts nothing."""
    row = _message().model_dump(mode="json") | {"deployment": "thicket-02", "label": "American_Bison"}
    text = _text(registration_table([row]))
    assert "thicket-02 American_Bison" in text
    assert "21:47:03" in text
    assert "22:05:41" in text
    assert "…" not in text


def test_rows_are_sorted_by_deployment_and_start() -> None:
    """Rows stand by deployment, then start, whatever their order of arrival."""
    rows = [
        {**_message().model_dump(mode="json"), "deployment": d, "start": f"2026-05-04T{t}:00.000-06:00"}
        for d, t in (("b", "10:00"), ("a", "12:00"), ("a", "11:00"))
    ]
    text = _text(registration_table(rows))
    assert [line.split()[3] for line in text.splitlines()[1:]] == ["11:00:00", "12:00:00", "10:00:00"]


def test_board_follows_the_messages() -> None:
    """A message replaces the row of its registration; a retracted one takes it away."""
    board = Board("title")
    board.hear(_message(name="a", seq=1))
    board.hear(_message("updated", name="a", seq=2))
    board.hear(_message(name="b", seq=3))
    assert "2 registrations" in _text(board.render(), width=120)
    board.hear(_message("retracted", name="b", seq=4))
    text = _text(board.render(), width=120)
    assert "1 registration " in text
    assert "2 opened, 1 updated, 1 retracted" in text


def test_repeated_messages_are_told_apart() -> None:
    """A message that comes twice counts twice, and the screen says that it came again."""
    board = Board("title")
    for seq in (1, 2, 2):
        board.count(_message(seq=seq))
    assert board.messages == 3
    assert "3 messages  ·  1 of them again" in _text(board.render())


def test_the_account_leaves_out_the_ordinary() -> None:
    """The live view shows the last events; the account shows every one that isn't ordinary."""
    board = Board("title")
    board.say("the broker crashes")
    for number in range(20):
        board.deliver("17:00:00", f"cam/IMG_{number:04}.JPG")
    assert "crashes" not in _text(board.render())
    account = _text(board.account())
    assert "crashes" in account
    assert "IMG_" not in account
    assert "20 files" in account


def test_without_a_terminal_lines_are_printed() -> None:
    """On a pipe each event and each message is one line, and nothing is redrawn."""
    board, console = Board("title"), Console(file=StringIO(), width=40)
    with shown(board, console, quiet=False):
        board.deliver("17:00:00", "cam/IMG_0001.JPG", "growing in place")
        board.hear(_message())
    lines = _written(console).splitlines()
    assert lines[0] == "17:00:00  cam/IMG_0001.JPG  growing in place"
    assert lines[1].startswith("  opened    cam-01 Jaguar x2 21:47:03 to 22:05:41")
    assert len(lines) == 2
    assert board.console is None


def test_on_a_terminal_the_board_is_drawn() -> None:
    """On a terminal the whole board is drawn, and wiped at the end."""
    board, console = Board("the title"), Console(file=StringIO(), width=80, force_terminal=True)
    with shown(board, console, quiet=False):
        board.say("something happens")
    text = _written(console)
    assert "the title" in text
    assert "something happens" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_writes_nothing(terminal: bool) -> None:
    """Quiet means quiet, with and without a terminal."""
    board, console = Board("title"), Console(file=StringIO(), force_terminal=terminal)
    with shown(board, console, quiet=True):
        board.say("something happens")
        board.hear(_message())
    assert not _written(console)


def test_svg_needs_nothing_from_the_network(tmp_path: Path) -> None:
    """The picture has the text and points to no font or other file elsewhere."""
    board = Board("title")
    board.hear(_message())
    save_svg(tmp_path / "demo.svg", "edge demo", board.account(), "the last line")
    text = (tmp_path / "demo.svg").read_text("utf-8")
    assert "Jaguar" in text
    assert "@font-face" not in text
    assert "url(http" not in text


def _written(console: Console) -> str:
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()
