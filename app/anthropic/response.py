"""A job that answers in a chat, as Anthropic's messages have it."""

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import from_json

from app.core.schemas import Job, Output, Schema
from app.openai.text.response import calls_tools, texts, usage_of
from models.params.function_calls import split_calls

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"]


class ReplyText(Schema):
    """What the model says."""

    type: Literal["text"] = "text"
    text: str


class ReplyToolUse(Schema):
    """A function that the model calls."""

    type: Literal["tool_use"] = "tool_use"
    id: str
    name: str
    input: dict[str, Any] = Field(description="Its arguments, as far as they were written.")


ReplyBlock = Annotated[ReplyText | ReplyToolUse, Field(discriminator="type")]


class MessageUsage(Schema):
    input_tokens: int
    output_tokens: int


class MessageReply(Schema):
    """An answer."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[ReplyBlock]
    stop_reason: StopReason | None = None
    stop_sequence: str | None = Field(
        default=None, description="The one that ended it, if one did."
    )
    usage: MessageUsage
    job_id: str
    seed: int = Field(description="With the same request, it makes this answer again.")


def message_reply(job: Job) -> MessageReply:
    """The message that a job is which has ended."""
    output = next(iter(texts(job)), None)
    content: list[ReplyText | ReplyToolUse] = []
    if output is not None:
        content = blocks_of(job, output)
    return beginning_of(job).model_copy(
        update={"content": content, "usage": message_usage(job), **stop_of(output, content)}
    )


def beginning_of(job: Job) -> MessageReply:
    """The message before anything is written."""
    return MessageReply(
        id=f"msg_{job.id.removeprefix('job_')}",
        model=job.model,
        content=[],
        usage=MessageUsage(input_tokens=0, output_tokens=0),
        job_id=job.id,
        seed=job.seed,
    )


def blocks_of(job: Job, output: Output) -> list[ReplyText | ReplyToolUse]:
    """What an answer says and calls. Empty text is no block."""
    text = output.text or ""
    content, calls = split_calls(text) if calls_tools(job) else (text, [])
    said = [ReplyText(text=content)] if content else []
    called = [
        ReplyToolUse(id=tool_use_id(job, n), name=call.name, input=arguments_of(call.arguments))
        for n, call in enumerate(calls)
    ]
    return [*said, *called]


def arguments_of(text: str) -> dict[str, Any]:
    """The arguments of a call, as far as they go where it is cut off."""
    try:
        arguments = from_json(text, allow_partial="trailing-strings")
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def stop_of(output: Output | None, content: list[ReplyText | ReplyToolUse]) -> dict[str, Any]:
    """Why an answer ended."""
    reason: StopReason = "end_turn"
    stop = output.stop_sequence if output is not None else None
    if output is not None and output.finish_reason == "length":
        reason = "max_tokens"
    elif any(isinstance(block, ReplyToolUse) for block in content):
        reason = "tool_use"
    elif stop is not None:
        reason = "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": stop}


def message_usage(job: Job) -> MessageUsage:
    usage = usage_of(job)
    return MessageUsage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens)


def tool_use_id(job: Job, number: int) -> str:
    """The id of a call that the answer makes."""
    return f"toolu_{job.id.removeprefix('job_')}_{number}"
