"""What a command shows of a job, and what Ctrl-C does to it."""

import signal
import subprocess
import sys
from typing import Any, cast

import pytest
import typer

from app.core.settings import Settings
from atelier.cli.terminal.progress import cancel_on_interrupt, describe
from atelier.client.jobs import Job
from tests.app.serving import Running, eventually, serving
from tests.atelier.commands import environment_with
from tests.processes import running_process


class InterruptedJob:
    """A job of which the cancel is interrupted as well."""

    id = "job_1"

    def cancel(self) -> None:
        raise KeyboardInterrupt


def test_a_second_interrupt_ends_the_command_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(typer.Exit) as ended,
        cancel_on_interrupt(cast(Job, InterruptedJob()), False),
    ):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "atelier: job_1 may go on\n"


@pytest.mark.parametrize(
    ("status", "position", "text"),
    [
        ("queued", 3, "queued, 3 ahead"),
        ("queued", 0, "queued, next"),
        ("queued", None, "queued"),
        ("in_progress", None, "in progress"),
    ],
)
def test_a_queued_job_is_shown_with_its_position(
    status: str, position: int | None, text: str
) -> None:
    data: dict[str, Any] = {"status": status, "queue_position": position}
    assert describe(Job(cast(Any, None), data)) == text


@pytest.mark.slow
@pytest.mark.parametrize(("options", "status"), [([], "canceled"), (["--keep"], "queued")])
def test_an_interrupt_cancels_the_job_or_leaves_it(
    settings: Settings, options: list[str], status: str
) -> None:
    with serving(settings) as running:
        command = [sys.executable, "-m", "atelier", "generate", "image", *options]
        environment = environment_with({"ATELIER_URL": running.url})
        with running_process(
            command, env=environment, stderr=subprocess.PIPE, text=True
        ) as process:
            assert eventually(lambda: jobs_of(running) and followed(running), 60)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=60)
        (job,) = jobs_of(running)
    assert process.returncode == 130
    assert job["status"] == status
    assert error.count("\n") == 1
    assert job["id"] in error


def jobs_of(running: Running) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = running.client.get("/jobs").json()["data"]
    return jobs


def followed(running: Running) -> bool:
    """Whether the command reads the job's events: by then it handles an interrupt."""
    return running.services.notifier.listeners > 0
