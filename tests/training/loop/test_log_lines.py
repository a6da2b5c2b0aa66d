"""Lines for a log: the first, one every half minute, and the last."""

import pytest

from training.loop.log_lines import now_and_then


def test_a_line_is_told_now_and_then_and_the_last_in_any_case(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    tell = now_and_then()
    for number in range(1, 71):
        tell(str(number), number in {69, 70})
        now[0] += 1
    said = capsys.readouterr()
    assert (said.out, said.err.split()) == ("", ["1", "31", "61", "69", "70"])
