"""A job that answers in a chat, as OpenAI's responses have it."""

import json
from typing import Annotated, Any, Literal

from pydantic import Field

from app.core.schemas import Job, Output, Schema
from app.core.store import Store
from app.openai.responses.input_items import Turn
from app.openai.responses.request import OURS
from app.openai.text.function_tools import ANY_OBJECT
from app.openai.text.response import call_id, calls_tools, chat_logprobs, texts, usage_of
from app.operations.job_errors import check_outputs
from models.params.function_calls import split_calls

ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]
THEIRS = "resp_"
STATUSES: dict[str, ResponseStatus] = {
    "queued": "queued",
    "in_progress": "in_progress",
    "canceling": "in_progress",
    "completed": "completed",
    "expired": "completed",
    "failed": "failed",
    "canceled": "cancelled",
}
TEXT_FORMAT: dict[str, Any] = {"type": "text"}


class OutputText(Schema):
    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[dict[str, Any]] = Field(default=[])
    logprobs: list[dict[str, Any]] = Field(default=[])


class OutputMessage(Schema):
    """What the model says."""

    type: Literal["message"] = "message"
    id: str
    status: ItemStatus
    role: Literal["assistant"] = "assistant"
    content: list[OutputText]


class FunctionCallItem(Schema):
    """A function that the model calls."""

    type: Literal["function_call"] = "function_call"
    id: str
    call_id: str
    name: str
    arguments: str = Field(description="A JSON object, cut off where the answer is.")
    status: ItemStatus


OutputItem = Annotated[OutputMessage | FunctionCallItem, Field(discriminator="type")]


class InputTokens(Schema):
    cached_tokens: int = 0


class OutputTokens(Schema):
    reasoning_tokens: int = 0


class ResponseUsage(Schema):
    input_tokens: int
    input_tokens_details: InputTokens = InputTokens()
    output_tokens: int
    output_tokens_details: OutputTokens = OutputTokens()
    total_tokens: int


class ResponseFailure(Schema):
    code: str
    message: str


class Incomplete(Schema):
    reason: Literal["max_output_tokens"] = "max_output_tokens"


class ResponseReply(Schema):
    """An answer, whole or on its way."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: ResponseStatus
    completed_at: int | None = None
    error: ResponseFailure | None = None
    incomplete_details: Incomplete | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    model: str
    output: list[OutputItem] = Field(default=[])
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    reasoning: dict[str, Any] = Field(default={"effort": None, "summary": None})
    store: bool = True
    temperature: float
    text: dict[str, Any] = Field(default={"format": TEXT_FORMAT})
    tool_choice: str | dict[str, Any] = "auto"
    tools: list[dict[str, Any]] = Field(default=[])
    top_p: float
    truncation: Literal["disabled"] = "disabled"
    usage: ResponseUsage | None = None
    metadata: dict[str, str] = Field(default={})
    job_id: str
    seed: int = Field(description="With the same request, it makes this answer again.")


class ResponseDeleted(Schema):
    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


class InputItemList(Schema):
    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


def response_id(job_id: str) -> str:
    return THEIRS + job_id.removeprefix("job_")


def job_of_response(response: str) -> str:
    """The job's id. What is no id of a response is that of no job."""
    return "job_" + response.removeprefix(THEIRS) if response.startswith(THEIRS) else response


def is_stored(job: Job) -> bool:
    return job.metadata.get(f"{OURS}store") != "false"


def reply_of(job: Job, store: Store, model: str | None = None) -> ResponseReply:
    """The response that a job is, with its model by the name that was asked for. Blocks.

    Raises StoreError, Gone.
    """
    asked = job.input
    output = next(iter(texts(job)), None)
    cut = output is not None and output.finish_reason == "length"
    status = STATUSES[job.status]
    ended = status == "completed" and output is not None
    failed = None
    if job.error is not None:
        failed = ResponseFailure(code=job.error.code, message=job.error.message)
    notes = {k.removeprefix(OURS): v for k, v in job.metadata.items() if k.startswith(OURS)}
    return ResponseReply(
        id=response_id(job.id),
        created_at=job.created_at,
        status="incomplete" if ended and cut else status,
        completed_at=job.completed_at,
        error=failed,
        incomplete_details=Incomplete() if ended and cut else None,
        instructions=instructions_of(job),
        max_output_tokens=asked.get("max_tokens"),
        model=model or job.model,
        output=items_of(job, output, store) if ended and output is not None else [],
        parallel_tool_calls=asked.get("parallel_tool_calls") is not False,
        previous_response_id=notes.get("previous_response_id"),
        store=is_stored(job),
        temperature=asked.get("temperature", 1.0),
        text={"format": _format(asked.get("json_schema"), notes.get("format", "answer"))},
        tool_choice=_choice(asked.get("tool_choice") or "auto"),
        tools=[_tool(tool) for tool in asked.get("tools") or ()],
        top_p=asked.get("top_p", 1.0),
        usage=_usage(job) if ended else None,
        metadata={k: v for k, v in job.metadata.items() if not k.startswith(OURS)},
        job_id=job.id,
        seed=job.seed,
    )


def instructions_of(job: Job) -> str | None:
    """What the model read first, if the request said so."""
    if f"{OURS}instructions" not in job.metadata or not job.input.get("messages"):
        return None
    return str(job.input["messages"][0]["content"])


def asked_turns(job: Job) -> list[Turn]:
    """The conversation before the answer, without instructions."""
    turns: list[Turn] = job.input["messages"]
    return turns[1:] if instructions_of(job) is not None else turns


def items_of(job: Job, output: Output, store: Store) -> list[OutputMessage | FunctionCallItem]:
    """What a job that has ended says and calls. Blocks."""
    content, calls = split_calls(output.text or "") if calls_tools(job) else (output.text or "", [])
    is_cut = output.finish_reason == "length"
    items: list[OutputMessage | FunctionCallItem] = []
    if content or not calls:
        likely = chat_logprobs(job, output.index, store)
        pieces = [] if likely is None else [token.model_dump() for token in likely.content]
        text = OutputText(text=content, logprobs=pieces)
        status: ItemStatus = "incomplete" if is_cut and not calls else "completed"
        items.append(OutputMessage(id=message_id(job), status=status, content=[text]))
    for number, call in enumerate(calls):
        last = is_cut and number == len(calls) - 1
        items.append(
            FunctionCallItem(
                id=function_id(job, number),
                call_id=call_id(job, output.index, number),
                name=call.name,
                arguments=call.arguments,
                status="incomplete" if last else "completed",
            )
        )
    return items


def turns_by_id(job: Job) -> dict[str, Turn]:
    """The items of an answer as turns of a chat, by their ids. Raises AtelierError where the answer
    has not ended, ValueError where a call is cut off."""
    check_outputs(job)
    turns: dict[str, Turn] = {}
    for output in texts(job):
        text = output.text or ""
        content, calls = split_calls(text) if calls_tools(job) else (text, [])
        if content or not calls:
            turns[message_id(job)] = {"role": "assistant", "content": content}
        for number, call in enumerate(calls):
            json.loads(call.arguments)
            called = {
                "id": call_id(job, output.index, number),
                "name": call.name,
                "arguments": call.arguments,
            }
            turn = {"role": "assistant", "content": "", "tool_calls": [called]}
            turns[function_id(job, number)] = turn
    return turns


def message_id(job: Job) -> str:
    return f"msg_{job.id.removeprefix('job_')}"


def function_id(job: Job, number: int) -> str:
    return f"fc_{job.id.removeprefix('job_')}_{number}"


def job_of_item(item: str) -> str:
    """The job whose answer has an item of this id."""
    return "job_" + item.partition("_")[2].partition("_")[0]


def _usage(job: Job) -> ResponseUsage:
    usage = usage_of(job)
    return ResponseUsage(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
    )


def _format(schema: dict[str, Any] | None, name: str) -> dict[str, Any]:
    """The form of an answer; clients want a name for a schema."""
    if schema is None:
        return TEXT_FORMAT
    if schema == ANY_OBJECT:
        return {"type": "json_object"}
    return {"type": "json_schema", "name": name, "schema": schema, "strict": True}


def _choice(choice: str) -> str | dict[str, Any]:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "name": choice}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    named = {"name": tool["name"], "description": tool.get("description")}
    return {"type": "function", **named, "parameters": tool.get("parameters"), "strict": True}
