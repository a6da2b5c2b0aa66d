"""The conversation that a response goes on from, by ids of earlier responses and of their items."""

from typing import Any

from app.core.errors import AtelierError, InvalidRequest, NotFound
from app.core.schemas import TERMINAL, Job
from app.files.artifact_store import ArtifactStore
from app.files.long_fields import whole
from app.openai.responses.input_items import ItemReference, Turn, turns_of
from app.openai.responses.request import OURS, ResponsesRequest
from app.openai.responses.response import (
    asked_turns,
    is_stored,
    job_of_item,
    job_of_response,
    response_id,
    turns_by_id,
)
from app.operations.submit import Submitter
from app.queue.jobs import known
from app.queue.queue import Queue


def check_metadata(metadata: Any) -> None:
    """Raises InvalidRequest for a name that the service itself uses."""
    names = metadata if isinstance(metadata, dict) else ()
    if any(name.startswith(OURS) for name in names):
        message = f"metadata must not have names that begin with {OURS}"
        raise InvalidRequest(message, param="metadata")


async def stored_job(queue: Queue, store: ArtifactStore, owner: str, response: str) -> Job:
    """Raises NotFound for what is no response, or was not to be stored."""
    job = await queue.fetch(owner, known(job_of_response(response)))
    if job.type != "story" or job.input.get("kind") != "chat" or not is_stored(job):
        raise NotFound("no such response", code="job_not_found")
    return await whole(store, job)


async def earlier_turns(submitter: Submitter, previous: str | None) -> list[Turn]:
    """The conversation up to a response, with it. Raises InvalidRequest where there is none."""
    if previous is None:
        return []
    code, param = "previous_response_not_found", "previous_response_id"
    try:
        job = await stored_job(submitter.queue, submitter.store, submitter.owner, previous)
    except NotFound:
        message = f"previous_response_id names no response that is stored: {previous}"
        raise InvalidRequest(message, code=code, param=param) from None
    if job.status not in TERMINAL:
        raise InvalidRequest("previous_response_id names a response on its way", param=param)
    try:
        answer = [*turns_by_id(job).values()]
        asked = asked_turns(job)
    except AtelierError as error:
        message = f"previous_response_id can't be gone on from: {error.message}"
        raise InvalidRequest(message, param=param) from None
    except (KeyError, ValueError):
        message = "previous_response_id names a response whose call is cut off, or that is gone"
        raise InvalidRequest(message, param=param) from None
    return [*asked, *_merged(answer)]


def _merged(turns: list[Turn]) -> list[Turn]:
    """The turns of one answer as one."""
    calls = [call for turn in turns for call in turn.get("tool_calls", ())]
    content = "".join(turn["content"] for turn in turns)
    return [{"role": "assistant", "content": content} | ({"tool_calls": calls} if calls else {})]


async def new_turns(submitter: Submitter, asked: ResponsesRequest) -> list[Turn]:
    """The turns of `input`."""
    if isinstance(asked.input, str):
        return [{"role": "user", "content": asked.input}]
    referenced: dict[str, Turn] = {}
    jobs = {job_of_item(x.id) for x in asked.input if isinstance(x, ItemReference)}
    for job_id in jobs:
        try:
            job = await stored_job(
                submitter.queue, submitter.store, submitter.owner, response_id(job_id)
            )
            referenced |= turns_by_id(job)
        except (AtelierError, ValueError):
            continue  # `turns_of` names the reference
    return turns_of(asked.input, referenced)


def input_items(turn: Turn, number: int) -> list[dict[str, Any]]:
    """A turn as items of input."""
    if turn["role"] == "tool":
        result = {"call_id": turn["tool_call_id"], "output": turn["content"]}
        return [{"type": "function_call_output", "id": f"fco_{number}", **result}]
    kind = "output_text" if turn["role"] == "assistant" else "input_text"
    items: list[dict[str, Any]] = []
    if turn["content"] or not turn.get("tool_calls"):
        content = [{"type": kind, "text": turn["content"]}]
        message = {"type": "message", "id": f"msg_{number}", "role": turn["role"]}
        items.append({**message, "status": "completed", "content": content})
    for n, call in enumerate(turn.get("tool_calls") or ()):
        own = {"call_id": call["id"], "name": call["name"], "arguments": call["arguments"]}
        items.append({"type": "function_call", "id": f"fc_{number}_{n}", **own})
    return items
