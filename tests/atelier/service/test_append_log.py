"""The embedded server's log after a power cut: repaired where nothing acknowledged is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from atelier.service.append_log import last_reason, newest_file, repair_log, trailing_zeros
from atelier.service.embedded_valkey import EmbeddedServer, find_server
from tests.atelier.service.test_supervisor import ended, folder, supervise  # noqa: F401 (a fixture)

KEPT = 30
PARTIAL = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100\r\nxxx"
ZEROS = bytes(5000)


@pytest.fixture
def log(folder: Path) -> Path:  # noqa: F811
    """The log of a server that acknowledged some writes and lost its power."""
    server = EmbeddedServer(folder)
    server.start()
    with redis.Redis.from_url(server.url) as client:
        for i in range(KEPT):
            client.rpush("jobs", i)
        client.eval("redis.call('set', 'a', 1) redis.call('set', 'b', 2)", 0)
    server.kill()
    path = newest_file(server.data)
    assert path is not None
    return path


def add(log: Path, data: bytes) -> None:
    with log.open("ab") as file:
        file.write(data)


@pytest.mark.parametrize("end", [ZEROS, b"\0", PARTIAL + ZEROS, bytes(3 * 2**20)])
def test_zeros_are_cut_and_kept_and_no_write_is_lost(log: Path, folder: Path, end: bytes) -> None:  # noqa: F811
    whole = log.stat().st_size
    add(log, end)
    with EmbeddedServer(folder) as server, redis.Redis.from_url(server.url) as client:
        assert client.llen("jobs") == KEPT
        assert client.get("b") == b"2"
    (copy,) = server.data.glob("cut-*.aof")
    assert copy.read_bytes() == end
    assert copy.name.endswith(f"-from-byte-{whole}.aof")
    assert copy.stat().st_mode & 0o077 == 0


def test_a_transaction_that_was_cut_short_is_dropped_whole(log: Path, folder: Path) -> None:  # noqa: F811
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 20)  # in its last command
    add(log, ZEROS)
    with EmbeddedServer(folder) as server, redis.Redis.from_url(server.url) as client:
        assert client.llen("jobs") == KEPT
        assert client.mget("a", "b") == [None, None]
    (copy,) = server.data.glob("cut-*.aof")
    assert b"MULTI" in copy.read_bytes()


def overwrite_middle(log: Path) -> None:
    with log.open("r+b") as file:
        file.seek(300)
        file.write(bytes(40))


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        overwrite_middle,
        lambda log: add(log, ZEROS + b"*1\r\n$4\r\nPING\r\n"),
        lambda log: add(log, b"what is this\r\n"),
        lambda log: add(log, b"what is this\r\n" + ZEROS),
        lambda log: (log.parent / "appendonly.aof.manifest").write_bytes(bytes(90)),
        lambda log: log.unlink(),
    ],
)
def test_what_else_is_wrong_ends_the_service_with_the_reason(
    log: Path,
    folder: Path,  # noqa: F811
    damage: Callable[[Path], object],
) -> None:
    damage(log)
    left = log.read_bytes().rstrip(b"\0") if log.exists() else None
    with supervise(folder, api="import time; time.sleep(60)") as process:
        status, errors = ended(process, 60)
    assert status != 0
    assert "valkey can't read what it has kept: " in errors
    assert str(folder / "valkey" / "log") in errors
    assert last_reason(folder / "valkey" / "log") in errors
    assert (log.read_bytes().rstrip(b"\0") if log.exists() else None) == left


def test_a_log_that_is_whole_is_left_alone(log: Path) -> None:
    before = log.stat().st_mtime_ns
    assert repair_log(log.parents[1], find_server()) is None
    assert log.stat().st_mtime_ns == before


def test_there_is_nothing_to_repair_before_the_first_start(tmp_path: Path) -> None:
    assert repair_log(tmp_path, find_server()) is None


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"a", b"a\0\0", b"\0a", bytes(2**21), b"a" + bytes(2**20)]
)
def test_zeros_at_the_end_are_counted(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    assert trailing_zeros(tmp_path / "file") == len(data) - len(data.rstrip(b"\0"))


def test_zeros_are_not_cut_before_they_are_copied(
    log: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add(log, ZEROS)
    size = log.stat().st_size

    def refuse(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("atelier.service.append_log._copy_end", refuse)
    with pytest.raises(OSError, match="the disk is full"):
        repair_log(log.parents[1], find_server())
    assert log.stat().st_size == size
