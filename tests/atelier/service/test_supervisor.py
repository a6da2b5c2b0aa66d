"""The supervisor with tiny stand-ins for its children, and the embedded server for real."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from app.core.settings import Settings
from atelier.service import embedded_valkey
from atelier.service.child import Child, Refused
from atelier.service.child_guard import lock_folder
from atelier.service.embedded_valkey import EmbeddedServer, NoServer
from atelier.service.supervisor import Supervisor, free_port, lock_state
from tests.atelier.commands import atelier, atelier_process, refused
from tests.processes import running_process

STAND_IN = """
import http.server, os, sys
from app.core import parent_watch
parent_watch.watch()
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
from app.core import parent_watch
parent_watch.watch()
signal.sigwait([signal.SIGTERM])
"""
DRAINER = """
import os, signal, redis
from app.core import parent_watch
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
parent_watch.watch()
server = redis.Redis.from_url(os.environ["ATELIER_REDIS_URL"])
print("the worker began", flush=True)
server.rpush("began", os.getpid())
signal.sigwait([signal.SIGTERM])
server.rpush("ended", os.getpid())
"""
SUPERVISE = """
import sys
from app.core.settings import Settings
from atelier.service.supervisor import Supervisor
api, worker = (sys.executable, "-c", sys.argv[1]), (sys.executable, "-c", sys.argv[2])
Supervisor(Settings(), api, worker).run()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="up-") as path:
        yield Path(path)


@contextmanager
def supervise(
    folder: Path, api: str = STAND_IN, worker: str = SLEEPER, **changed: str
) -> Iterator[subprocess.Popen[str]]:
    """A supervisor of two workers."""
    environment = os.environ | {
        "ATELIER_STATE": str(folder),
        "ATELIER_PORT": str(free_port("127.0.0.1")),
        "ATELIER_WORKERS": "2",
        "ATELIER_PACKAGED_MODELS": "false",
        **changed,
    }
    command = [sys.executable, "-c", SUPERVISE, api, worker]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with running_process(command, env=environment, **pipes) as process:
        yield process


def descendants(pid: int) -> set[int]:
    """Every process below this one."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    pids, fresh = set(), {pid}
    while fresh:
        fresh = {child for child, parent in pairs if parent in fresh} - pids
        pids |= fresh
    return pids


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


def count_began(client: "redis.Redis") -> int:
    """How many workers have begun; none while the server is not there yet."""
    try:
        return int(client.llen("began"))
    except redis.ConnectionError:
        return 0


def answers(folder: Path) -> bool:
    """Whether the server of this folder is there."""
    try:
        with redis.Redis.from_url(EmbeddedServer(folder).url) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def began(folder: Path, workers: int) -> None:
    with redis.Redis.from_url(EmbeddedServer(folder).url) as client:
        until(lambda: count_began(client) == workers)


def ended(process: subprocess.Popen[str], seconds: float = 20) -> tuple[int, str]:
    _, errors = process.communicate(timeout=seconds)
    return process.returncode, errors


@pytest.mark.slow
def test_it_says_ready_restarts_what_dies_and_stops_cleanly(folder: Path) -> None:
    with supervise(folder) as process:
        ready(process)
        until(lambda: len(descendants(process.pid)) == 5)  # guard, server, api, two workers
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


@pytest.mark.slow
def test_ctrl_c_stops_it_just_as_cleanly(folder: Path) -> None:
    with supervise(folder) as process:
        ready(process)
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 0


def test_kill_9_of_the_supervisor_leaves_no_orphan(folder: Path) -> None:
    with supervise(folder) as process:
        ready(process)
        until(lambda: len(descendants(process.pid)) == 5)
        children = descendants(process.pid)
        process.kill()
        ended(process)
        until(lambda: not any(alive(pid) for pid in children))


@pytest.mark.slow
def test_workers_drain_while_the_server_still_answers(folder: Path) -> None:
    with supervise(folder, worker=DRAINER) as process:
        ready(process)
        began(folder, 2)
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 0
        with EmbeddedServer(folder) as server, redis.Redis.from_url(server.url) as client:
            assert set(client.lrange("ended", 0, -1)) == set(client.lrange("began", 0, -1))


@pytest.mark.slow
def test_what_a_script_reads_is_one_line(folder: Path) -> None:
    with supervise(folder, worker=DRAINER) as process:
        ready(process)
        began(folder, 2)
        process.terminate()
        said, errors = process.communicate(timeout=20)
        assert said == ""
        assert "the worker began" in errors


def test_a_proxy_for_the_world_outside_is_not_asked(folder: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port('127.0.0.1')}"
    proxies = {"http_proxy": nowhere, "HTTP_PROXY": nowhere, "no_proxy": "", "NO_PROXY": ""}
    with supervise(folder, **proxies) as process:
        ready(process)
        process.terminate()
        assert ended(process)[0] == 0


@pytest.mark.slow
def test_another_programs_port_is_refused_and_never_called_ready(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = atelier_process("up", "--port", port, ATELIER_STATE=str(folder))
    assert refused(said) == f"can't bind 127.0.0.1 port {port}: Address already in use"
    assert said.out == ""


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "300.1.1.1"])
def test_an_address_that_is_not_this_machines_is_a_bad_setting(host: str, folder: Path) -> None:
    said = atelier("up", "--host", host, "--port", "0", ATELIER_STATE=str(folder))
    assert f"ATELIER_HOST: can't bind {host}" in refused(said, 78)


@pytest.mark.slow
def test_without_keys_it_stops_and_says_what_the_api_said(folder: Path) -> None:
    said = atelier_process("up", "--host", "0.0.0.0", "--port", "0", "--state", folder)
    assert said.status == 78
    assert "to bind 0.0.0.0, which others can reach, set keys" in said.err
    assert said.err.splitlines()[-1] == "atelier: api can't run as configured"


@pytest.mark.parametrize(
    ("host", "url"),
    [("::1", "http://[::1]:9"), ("::", "http://[::1]:9"), ("0.0.0.0", "http://127.0.0.1:9")],
)
def test_the_address_that_is_shown_can_be_used(host: str, url: str) -> None:
    assert Supervisor(Settings(host=host, port=9)).url == url


def test_a_child_that_cannot_be_started_now_is_tried_later() -> None:
    child = Child("brief", ["/nowhere/at/all"], os.environ, 0)
    child.keep_running()
    assert child.process is None
    assert child.pause > 0


def test_a_child_that_cannot_be_configured_stops_everything(folder: Path) -> None:
    with supervise(folder, api="raise SystemExit(78)") as process:
        status, errors = ended(process)
        assert status != 0
        assert "api can't run as configured" in errors


def test_a_child_that_keeps_dying_is_started_ever_more_slowly() -> None:
    reading, writing = os.pipe()
    child = Child("brief", [sys.executable, "-c", "raise SystemExit(3)"], os.environ, reading)
    pauses = []
    for _ in range(3):
        child.restart_at = 0
        child.keep_running()
        assert child.process is not None
        child.process.wait()
        child.keep_running()
        pauses.append(child.pause)
    assert pauses == sorted(pauses)
    assert pauses[0] > 0
    os.close(reading)
    os.close(writing)


def test_a_child_that_runs_once_is_not_started_again() -> None:
    reading, writing = os.pipe()
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    statuses: list[int] = []
    child = Child("import-x", command, os.environ, reading, on_end=statuses.append)
    child.keep_running()
    process = child.process
    assert process is not None
    process.wait()
    for _ in range(3):
        child.keep_running()
    assert child.process is process
    assert statuses == [3]
    assert child.kind == "import"
    os.close(reading)
    os.close(writing)


def test_two_supervisors_never_share_a_state_folder(folder: Path) -> None:
    with lock_state(folder), pytest.raises(Refused, match="another `atelier up`"):
        lock_state(folder)
    lock_state(folder).close()


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


def test_two_servers_never_write_the_same_data(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_valkey, "PATIENCE", 0.1)
    with EmbeddedServer(folder) as first:
        with pytest.raises(NoServer, match="another server is using"):
            EmbeddedServer(folder).start()
        first.kill()
        with EmbeddedServer(folder) as second:
            assert second.process is not None
            assert second.process.poll() is None


def test_the_data_is_locked_for_as_long_as_the_server_lives(folder: Path) -> None:
    with supervise(folder) as process:
        ready(process)
        until(lambda: answers(folder))  # the stand-in for the API is ready without it
        with pytest.raises(BlockingIOError):
            lock_folder(folder / "valkey", 0)
        process.kill()
        ended(process)
        os.close(lock_folder(folder / "valkey", 10))


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
