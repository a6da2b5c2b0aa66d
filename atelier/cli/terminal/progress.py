"""A job's progress on a terminal, and what Ctrl-C does to the job."""

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

    from atelier.client.jobs import Job

INTERRUPTED = 130  # exit status of a command that Ctrl-C ended: 128 and the signal's number
POSITION_SECONDS = 1.0  # between requests of a queued job's position


def follow(job: "Job") -> None:
    """Shows a bar on a terminal's standard error until the job ends.

    It shows the percent done, the steps, the position in the queue and the time left.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[steps]}"),
        TimeLeft(compact=True, elapsed_when_finished=True),
    )
    console = Console(stderr=True)
    silent = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=silent) as bar:
        _follow(job, bar)


def _follow(job: "Job", bar: "Progress") -> None:
    from atelier.client.errors import AtelierError

    task = bar.add_task(describe(job), total=1.0, steps="")
    over = threading.Event()

    def watch_queue() -> None:
        """Requests the whole job, since no event has its position in the queue."""
        waiting = job
        while waiting.status == "queued" and not over.wait(POSITION_SECONDS):
            with suppress(AtelierError):
                waiting = job.again()
                bar.update(task, description=describe(waiting))

    if not bar.disable:
        threading.Thread(target=watch_queue, name="queue-position", daemon=True).start()
    try:
        for _ in job.events():
            steps = f"{job.progress.step}/{job.progress.steps}" if job.progress.steps else ""
            bar.update(task, description=describe(job), completed=job.progress.value, steps=steps)
    finally:
        over.set()


def describe(job: "Job") -> str:
    """Returns a job's status, with its position in the queue while it waits."""
    position = job.data.get("queue_position")
    if job.status == "queued" and position is not None:
        return f"queued, {position} ahead" if position else "queued, next"
    return job.status.replace("_", " ")


@contextmanager
def cancel_on_interrupt(job: "Job", keep: bool) -> Generator[None, None, None]:
    """Within, Ctrl-C cancels the job, or leaves it running with `keep`, and ends the command.

    A second Ctrl-C ends the command at once. Raises typer.Exit with status 130.
    """
    try:
        yield
    except KeyboardInterrupt:
        try:
            message = _left_running(job) if keep else _canceled(job)
        except KeyboardInterrupt:
            message = f"{job.id} may go on"
        print(f"atelier: {message}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def _left_running(job: "Job") -> str:
    return f"{job.id} goes on; `atelier jobs fetch {job.id}` saves its files"


def _canceled(job: "Job") -> str:
    from atelier.client.errors import AtelierError

    try:
        status = job.cancel().status
    except AtelierError as error:
        return f"{job.id} could not be canceled: {error}"
    if status == "completed":
        return f"{job.id} was completed already; `atelier jobs fetch {job.id}` saves its files"
    return f"canceled {job.id}"
