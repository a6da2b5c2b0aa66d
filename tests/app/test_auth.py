"""The keys file: who is let in, and as whom."""

import hashlib
import logging
import os
from pathlib import Path

import pytest

from app.auth import Keys
from app.core.errors import Forbidden, Unauthenticated


def line(name: str, key: str) -> str:
    return f"{name} {hashlib.sha256(key.encode()).hexdigest()}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text("# people\n\n" + line("ann", "a-key") + line("bob", "b-key"))
    return path


def test_without_a_file_everyone_is_local() -> None:
    assert Keys(None).owner(None) == "local"


def test_a_key_stands_for_its_owner(file: Path) -> None:
    keys = Keys(file)
    assert keys.owner("Bearer a-key") == "ann"
    assert keys.owner("bearer  b-key") == "bob"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "a-key", "Basic a-key", "Bearer A-KEY", "Bearer é"]
)
def test_nobody_else_is_let_in(file: Path, header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        Keys(file).owner(header)


def test_the_file_is_read_again_when_it_changes(file: Path) -> None:
    keys = Keys(file)
    keys.owner("Bearer a-key")
    file.write_text(line("cal", "c-key"))
    os.utime(file, (1, 1))
    assert keys.owner("Bearer c-key") == "cal"
    with pytest.raises(Unauthenticated):
        keys.owner("Bearer a-key")


def test_a_file_that_is_gone_lets_nobody_in_until_it_is_back(file: Path) -> None:
    keys, text = Keys(file), file.read_text()
    keys.owner("Bearer a-key")
    file.unlink()
    with pytest.raises(Unauthenticated):
        keys.owner("Bearer a-key")
    file.write_text(text)
    assert keys.owner("Bearer a-key") == "ann"


def test_a_broken_line_is_logged_by_number_and_not_by_content(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text("ann a-key\n" + line("a:b", "x") + line("bob", "b-key"))
    with caplog.at_level(logging.ERROR):
        assert Keys(file).owner("Bearer b-key") == "bob"
    assert [r.args for r in caplog.records] == [(1,), (2,)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_file_is_read_as_any_editor_writes_it(file: Path, encoding: str, end: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    text = mark + line("ann", "a-key").strip() + end
    file.write_bytes(text.encode(encoding))
    assert Keys(file).owner("Bearer a-key") == "ann"


def test_a_file_of_no_text_lets_nobody_in_and_says_so(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_bytes(b"\xff\xff\x00")
    with pytest.raises(Unauthenticated):
        Keys(file).owner("Bearer a-key")
    assert "can't be read" in caplog.text


def test_a_key_has_the_scopes_of_its_line(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [line("cal", "c-key").rstrip() + " metrics", line("dan", "d-key").rstrip() + " root"]
    file.write_text(file.read_text() + "\n".join(lines))
    keys = Keys(file)
    keys.key_of("Bearer c-key").require("metrics")
    with pytest.raises(Forbidden, match="lacks the scope metrics"):
        keys.key_of("Bearer a-key").require("metrics")
    with pytest.raises(Unauthenticated):
        keys.owner("Bearer d-key")  # its scope is unknown
    assert [r.args for r in caplog.records] == [(6,)]


def test_without_a_file_everyone_has_every_scope() -> None:
    Keys(None).key_of(None).require("metrics")
