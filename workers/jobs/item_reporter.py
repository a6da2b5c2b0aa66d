"""Messages about a job's items: progress, previews, sound and text on the way, and results."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from models.artifacts import Artifact, Audio, Image, Text
from models.engine.engine import Advanced, Finished
from models.params.base import item_seed
from workers.encoders.types import Facts, Sheet
from workers.jobs.messages import AudioChunk, ItemDone, JobProgress, Message
from workers.jobs.running_job import RunningJob

log = logging.getLogger("atelier.worker")

PROGRESS_SECONDS = 0.1  # between two notes of a job's progress, at least


class ItemReporter:
    """Makes the messages about items, and sends them to the delivery."""

    def __init__(self, send: Callable[[Message], None], preview_interval: float) -> None:
        self._send, self._preview_interval = send, preview_interval

    def advanced(self, run: RunningJob, index: int, event: Advanced) -> None:
        """Report a step of an item: new sound and text always, the rest now and then."""
        run.note(index, event.progress)
        now = time.monotonic()
        if run.makes_sound and run.followed:
            self._report_audio(run, index, event, now)
        preview = self._preview(run, index, event, now)
        deltas = run.delta_tracker(index).add(event.delta) if event.delta else ()
        last = event.progress[0] >= event.progress[1]  # then its output tells
        due = preview is not None or (not last and now - run.progress_sent_at >= PROGRESS_SECONDS)
        if due or deltas:
            run.progress_sent_at = now if due else run.progress_sent_at
            size = run.input.get("output_size")
            self._send(JobProgress(run.claim, *run.totals(), preview, deltas, due, size))

    def finished(self, run: RunningJob, index: int, event: Finished) -> None:
        """Report the results of an item, after the rest of its sound and text."""
        for sound in [a for a in event.artifacts if isinstance(a, Audio)][:1]:
            for chunk in run.chunker(index).finish(sound):
                self._send(AudioChunk(run.claim, index, chunk))
        for text in [a for a in event.artifacts if isinstance(a, Text)]:
            if deltas := run.delta_tracker(index).finish(text.text):
                self._send(JobProgress(run.claim, *run.totals(), None, deltas, due=False))
        self._item_done(run, index, event.artifacts, run.facts(item_seed(run.seed, index)))
        if run.input.get("grid"):
            run.pictures[index] = [a for a in event.artifacts if isinstance(a, Image)]

    def sheet(self, run: RunningJob) -> None:
        """Report the sheet of a job's pictures, if it has one."""
        if run.pictures:
            sheet = Sheet(tuple(a for i in sorted(run.pictures) for a in run.pictures[i]))
            facts = replace(run.facts(run.seed), n=run.items, grid=True)
            self._item_done(run, run.items, (sheet,), facts)

    def _item_done(
        self, run: RunningJob, index: int, artifacts: tuple[Artifact | Sheet, ...], facts: Facts
    ) -> None:
        output_format = run.input["output_format"]
        self._send(ItemDone(run.claim, index, artifacts, output_format, facts, *run.totals()))

    def _preview(
        self, run: RunningJob, index: int, event: Advanced, now: float
    ) -> tuple[int, Artifact] | None:
        last = event.progress[0] >= event.progress[1]
        early = now - run.preview_sent_at < self._preview_interval
        if event.preview is None or last or early or not run.followed:
            return None
        run.preview_sent_at = now
        preview = self._rendered(run, event.preview)
        return None if preview is None else (index, preview)

    def _rendered(self, run: RunningJob, preview: Callable[[], Artifact]) -> Artifact | None:
        try:
            return preview()
        except torch.AcceleratorError:
            raise
        except Exception:
            log.exception("preview failed", extra={"job": run.claim.job})
            return None

    def _report_audio(self, run: RunningJob, index: int, event: Advanced, now: float) -> None:
        """Send what is new to be heard of an item, now and then."""
        chunker = run.chunker(index)
        if event.preview is None or not chunker.is_due(now):
            return
        so_far = self._rendered(run, event.preview)
        if isinstance(so_far, Audio):
            for chunk in chunker.add(so_far):
                self._send(AudioChunk(run.claim, index, chunk))
