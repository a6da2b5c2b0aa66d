"""`atelier paint` as it is used: on a terminal, before a person."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from atelier import Client
from atelier.cli.terminal.paint_repl import HELP
from tests.e2e.conftest import PAINTER, Stack
from tests.e2e.terminal import CTRL_C, CTRL_D, CTRL_U, UP, Terminal

pytestmark = pytest.mark.stack

ASK = "paint> "


@pytest.fixture
def terminal(painter: Stack, tmp_path: Path) -> Iterator[Terminal]:
    with Terminal("paint", "--out", tmp_path, ATELIER_URL=painter.url) as started:
        yield started


def test_a_picture_forms_and_is_left_standing_with_its_name(
    terminal: Terminal, tmp_path: Path
) -> None:
    greeting = terminal.until(ASK)
    assert HELP in greeting
    assert max(map(len, greeting.splitlines())) < 80
    terminal.press("/seed 4\n/steps 40\n")  # enough for the painter to see it form
    terminal.until(ASK)
    terminal.until(ASK)
    terminal.press("a red zyzzyva apple\n")
    shown = terminal.until(f"{PAINTER}-4.png\n")
    assert "\x1b[38;2;" in terminal.raw  # colours
    assert "/42" in shown  # how many steps were done, with those of words and picture
    assert "..." not in shown  # all fits on 24 lines
    *_, last = shown.split("/42")
    left = [line for line in last.splitlines() if line.startswith("▀")]
    assert [len(line) for line in left[-21:]] == [42] * 21
    assert terminal.until(ASK).splitlines()[0] == "atelier: not understood: zyzzyva"
    assert [path.name for path in tmp_path.iterdir()] == [f"{PAINTER}-4.png"]
    terminal.press("/quit\n")
    assert terminal.ended()[0] == 0


def test_ctrl_c_stops_a_picture_and_not_the_sitting(terminal: Terminal, painter: Stack) -> None:
    terminal.until(ASK)
    terminal.press("/steps 1000\n")
    terminal.until(ASK)
    terminal.press("dog\n")
    terminal.until("▀")
    terminal.press("/steps")  # waits for the next line, and is not seen before
    terminal.press(CTRL_C)
    assert "/steps" not in terminal.until("canceled\n")
    with Client(painter.url) as client:
        (job,) = client.jobs(limit=1)
        assert job.data["status"] in ("canceling", "canceled")
    terminal.until(ASK)
    terminal.press("/steps\n/\n")
    assert "set: nothing" in terminal.until("nothing")
    terminal.until(ASK)  # before it, Ctrl-C would stop the listing and not the sitting
    terminal.press(CTRL_C)
    status, shown = terminal.ended()
    assert status == 0
    assert shown.endswith("\n")


def test_what_is_refused_is_told_and_forgotten(terminal: Terminal) -> None:
    terminal.until(ASK)
    for line, message in (
        ("/steps NaN", "atelier: steps must be a whole number (422 invalid_parameter)"),
        ("/stepz 5", "atelier: stepz is not a parameter here"),
        ('/interpolate {"to_seed": 1, "frames": 1}', "atelier: interpolate.frames must be"),
    ):
        terminal.press(f"{line}\n")
        terminal.until(ASK)
        terminal.press("dog\n")
        name = line[1:].split()[0]
        shown = terminal.until(f"atelier: {name} is unset\n")
        assert message in " ".join(shown.split())
        terminal.until(ASK)
    terminal.press("/prompt dog\n")
    terminal.until("atelier: the prompt is what is typed without /prompt\n")
    if find_spec("readline"):
        terminal.until(ASK)
        terminal.press(UP)
        terminal.until("/prompt dog")
        terminal.press(CTRL_U)
    terminal.press(CTRL_D)
    status, shown = terminal.ended()
    assert status == 0
    assert shown.endswith("\n")
    assert "Traceback" not in shown


def test_nobody_is_asked_for_words_where_nobody_would_paint_them(painter: Stack) -> None:
    with Terminal("paint", ATELIER_URL="http://127.0.0.1:1") as terminal:
        status, shown = terminal.ended()
        assert status == 1
        assert shown.startswith("atelier: no service answers at http://127.0.0.1:1 (")
        assert shown.endswith(
            "start it with `atelier up`, or name its address by --url or ATELIER_URL\n"
        )
    with Terminal("paint", "--model", "nobody", ATELIER_URL=painter.url) as terminal:
        status, shown = terminal.ended()
        assert status == 1
        assert "there is no model 'nobody'" in shown
