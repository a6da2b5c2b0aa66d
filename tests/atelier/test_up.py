"""The supervisor with tiny stand-ins for its children, and the embedded server for real."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from app.settings import Settings
from atelier.embedded import EmbeddedServer, NoServer
from atelier.up import Child, Refused, free_port, lock

STAND_IN = """
import http.server, os, sys
from app import lifeline
lifeline.watch()
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["ATELIER_PORT"])), Ready).serve_forever()
"""
SLEEPER = """
import signal, sys
from app import lifeline
lifeline.watch()
signal.sigwait([signal.SIGTERM])
"""
SUPERVISE = """
import sys
from app.settings import Settings
from atelier.up import Supervisor
api, worker = (sys.executable, "-c", sys.argv[1]), (sys.executable, "-c", sys.argv[2])
Supervisor(Settings(), api, worker).run()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="up-") as path:
        yield Path(path)


def supervise(folder: Path, api: str = STAND_IN, worker: str = SLEEPER) -> subprocess.Popen[str]:
    environment = os.environ | {
        "ATELIER_STATE": str(folder),
        "ATELIER_PORT": str(free_port("127.0.0.1")),
        "ATELIER_WORKERS": "2",
    }
    command = [sys.executable, "-c", SUPERVISE, api, worker]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def descendants(pid: int) -> set[int]:
    """Every process below this one."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found, fresh = set(), {pid}
    while fresh:
        fresh = {child for child, parent in pairs if parent in fresh} - found
        found |= fresh
    return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or ") Z" not in stat.read_text()


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready http://127.0.0.1:")


def ended(process: subprocess.Popen[str], seconds: float = 20) -> tuple[int, str]:
    _, told = process.communicate(timeout=seconds)
    return process.returncode, told


def test_it_says_ready_restarts_what_dies_and_stops_cleanly(folder: Path) -> None:
    process = supervise(folder)
    ready(process)
    until(lambda: len(descendants(process.pid)) == 5)  # keeper, server, api, two workers
    for victim in descendants(process.pid):
        before = descendants(process.pid)
        if victim not in before:
            continue  # it went with the one before
        os.kill(victim, signal.SIGKILL)
        until(lambda gone=victim: gone not in descendants(process.pid))  # type: ignore[misc]
        until(lambda: len(descendants(process.pid)) == 5)
        assert descendants(process.pid) != before
    children = descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 0
    assert not any(alive(pid) for pid in children)


def test_ctrl_c_stops_it_just_as_cleanly(folder: Path) -> None:
    process = supervise(folder)
    ready(process)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 0


def test_kill_9_of_the_supervisor_leaves_no_orphan(folder: Path) -> None:
    process = supervise(folder)
    ready(process)
    until(lambda: len(descendants(process.pid)) == 5)
    children = descendants(process.pid)
    process.kill()
    ended(process)
    until(lambda: not any(alive(pid) for pid in children))


def test_a_child_that_cannot_be_configured_stops_everything(folder: Path) -> None:
    process = supervise(folder, api="raise SystemExit(78)")
    status, told = ended(process)
    assert status != 0
    assert "api can't run as configured" in told


def test_a_child_that_keeps_dying_is_started_ever_more_slowly() -> None:
    reading, writing = os.pipe()
    child = Child("brief", [sys.executable, "-c", "raise SystemExit(3)"], os.environ, reading)
    pauses = []
    for _ in range(3):
        child.due = 0
        child.mend()
        assert child.process is not None
        child.process.wait()
        child.mend()
        pauses.append(child.pause)
    assert pauses == sorted(pauses)
    assert pauses[0] > 0
    os.close(reading)
    os.close(writing)


def test_two_supervisors_never_share_a_state_folder(folder: Path) -> None:
    with lock(folder), pytest.raises(Refused, match="another `atelier up`"):
        lock(folder)
    lock(folder).close()


def test_the_server_keeps_what_it_acknowledged_over_kill_9(folder: Path) -> None:
    server = EmbeddedServer(folder)
    server.start()
    with redis.Redis.from_url(server.url) as client:
        for i in range(20):
            client.rpush("jobs", i)
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    server.kill()
    with EmbeddedServer(folder) as again, redis.Redis.from_url(again.url) as client:
        assert client.lrange("jobs", 0, -1) == [str(i).encode() for i in range(20)]


def test_a_state_folder_may_lie_too_deep_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    with EmbeddedServer(deep) as server, redis.Redis.from_url(server.url) as client:
        assert client.ping()
        assert server.url == Settings(state=deep).redis_address


def test_a_server_that_does_not_start_says_so(folder: Path) -> None:
    (folder / "valkey").mkdir()
    (folder / "valkey" / "appendonlydir").write_text("not a folder")
    with pytest.raises(NoServer, match="ended at once"):
        EmbeddedServer(folder).start()


def test_the_settings_point_at_the_embedded_server(folder: Path) -> None:
    assert Settings(state=folder).redis_address == EmbeddedServer(folder).url
