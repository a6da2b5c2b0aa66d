"""Text as it is written: pieces in their places, each told once, whatever befalls the worker."""

import json
import threading
from typing import Any

import pytest

from app.core.schemas import Job
from models.language.language import Language
from tests.models.families import tiny_checkpoint
from tests.workers.conftest import Bench
from workers.jobs.text_deltas import Delta, DeltaTracker

MODEL = "tiny-language"
ASKED: dict[str, Any] = {
    "kind": "continuation",
    "text": "the ant in the tent",
    "max_tokens": 40,
    "temperature": 1.5,
}


def test_a_delta_says_where_its_piece_stands() -> None:
    tracker = DeltaTracker(2)
    assert tracker.add("Once") == (Delta(2, 0, "Once"),)
    assert tracker.add(" upon") == (Delta(2, 4, " upon"),)
    assert tracker.finish("Once upon a hen") == (Delta(2, 9, " a hen"),)
    assert tracker.finish("Once upon a hen") == ()


def test_a_tracker_goes_on_where_another_broke_off() -> None:
    tracker = DeltaTracker.after(
        0, {"draft:0:000000": "Once ", "draft:0:000001": "u", "draft:1:000000": "x"}
    )
    assert tracker.add("Once") == ()
    assert tracker.add(" upon") == (Delta(0, 6, "pon"),)
    assert tracker.add(" é") == (Delta(0, 9, " é"),)


@pytest.mark.parametrize("pieces", [["Once", " a hen"], ["O", "ne hen"], ["On", "e", " hen"]])
def test_a_tracker_of_another_text_sends_no_more(pieces: list[str]) -> None:
    tracker = DeltaTracker.after(0, {"draft:0:000000": "Once u"})
    for piece in pieces:
        assert tracker.add(piece) == ()
    assert tracker.finish("".join(pieces) + " and an owl") == ()


@pytest.fixture
def writer(bench: Bench) -> Bench:
    tiny_checkpoint(bench.settings.checkpoints, "language")
    return bench


def deltas(bench: Bench, job: str, index: int = 0) -> list[dict[str, Any]]:
    entries = bench.redis.xrange(f"atelier:events:{job}")
    record = [json.loads(e["data"]) for _, e in entries if e["event"] == "delta"]
    return [delta for delta in record if delta["index"] == index]


def check_deltas_once(bench: Bench, job: Job) -> None:
    for output in job.outputs:
        text_so_far = ""
        for delta in deltas(bench, job.id, output.index):
            assert delta["offset"] == len(text_so_far)
            text_so_far += delta["text"]
        assert text_so_far == output.text


@pytest.mark.slow
def test_what_is_told_on_the_way_is_the_text(writer: Bench) -> None:
    writer.worker()
    job = writer.wait(writer.submit(3, 2, MODEL, **ASKED), 60)
    assert (job.status, job.type, len(job.outputs)) == ("completed", "story", 2)
    check_deltas_once(writer, job)
    assert job.drafts == []
    for output in job.outputs:
        assert output.role == "text"
        assert output.text is not None
        assert (output.prompt_tokens, output.title) == (14, None)
        assert writer.store.get(output.sha256).decode() == f"{output.text}\n"
    assert not [name for name in writer.record(job.id) if name.startswith("draft")]


@pytest.mark.slow
def test_a_job_that_begins_anew_tells_nothing_twice(
    writer: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def slowed(self: Language, *columns: Any) -> Any:
        count[0] += 1
        if count[0] > 20 and not go_on.is_set():
            reached.set()
            go_on.wait(20)
        return next_token(self, *columns)

    count, next_token = [0], Language._next
    monkeypatch.setattr(Language, "_next", slowed)
    first = writer.worker("one", drain_grace=0.0)
    job = writer.submit(3, 1, MODEL, **ASKED)
    assert reached.wait(60)
    writer.until(lambda: bool(writer.fetch(job).drafts))
    draft = writer.fetch(job).drafts[0].text
    first.worker.request_stop(15, None)
    go_on.set()
    writer.stop(first)
    broken_off = writer.fetch(job)
    assert broken_off.status == "in_progress"
    assert broken_off.drafts[0].text.startswith(draft)
    writer.worker("two")
    ended = writer.wait(job, 60)
    assert (ended.status, ended.attempt) == ("completed", 2)
    assert ended.outputs[0].text is not None
    assert ended.outputs[0].text.startswith(draft)
    check_deltas_once(writer, ended)


def test_what_a_model_refuses_is_told_with_its_numbers(writer: Bench) -> None:
    writer.worker()
    asked = {**ASKED, "text": "x" * 990}
    job = writer.wait(writer.submit(1, 1, MODEL, **asked), 60)
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.param) == ("context_length_exceeded", "text")
    assert job.error.type == "invalid_request_error"
    assert "990 tokens" in job.error.message
    assert "1000" in job.error.message
