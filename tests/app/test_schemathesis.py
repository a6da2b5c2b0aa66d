"""The API does what its document says, for requests that nobody thought of."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.serving import Running
from tests.app.working import Worker


@pytest.fixture
def busy(worker: Worker) -> Iterator[None]:
    """A worker that ends every job, so that nobody waits for long."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            worker.lease()
            for job in worker.claim():
                worker.finish(job)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.slow
@pytest.mark.usefixtures("busy")
def test_the_document_holds(running: Running, tmp_path: Path) -> None:
    """No 5xx, no status or body that the document lacks, no bad request accepted.

    That every request which the document allows is accepted can't be asked: it can't say that
    bytes are a picture, or that an idempotency key was used for another body.
    """
    program = Path(sys.executable).with_name("schemathesis")
    command = [str(program), "run", f"{running.url}/openapi.json"]
    command += ["--exclude-checks", "positive_data_acceptance", "--generation-deterministic"]
    command += ["--max-examples", "20", "--phases", "examples,coverage,fuzzing", "--no-color"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout
