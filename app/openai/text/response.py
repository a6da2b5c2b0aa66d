"""What a job has written, in OpenAI's words: a chat's answer, or a completion."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from app.core.errors import Gone
from app.core.schemas import Job, Output, Schema
from app.core.store import Missing, Store
from models.params.chat import is_none
from models.params.function_calls import split_calls

Finish = Literal["stop", "length"]


class Likely(Schema):
    """A token that might have been, and the logarithm of how likely it was."""

    token: str
    logprob: float
    bytes: list[int] | None = Field(
        default=None,
        description="The token in UTF-8. Those of all tokens together are the text's, also where "
        "a token holds half a letter.",
    )


class TokenLogprob(Likely):
    """A token that was written."""

    offset: int = Field(exclude=True)  # letters of the text before it
    top_logprobs: list[Likely]


class ChatLogprobs(Schema):
    content: list[TokenLogprob]
    refusal: str | None = None


class CalledFunction(Schema):
    name: str
    arguments: str = Field(description="A JSON object, cut off where the answer is.")


class ToolCallReply(Schema):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(Schema):
    role: Literal["assistant"] = "assistant"
    content: str | None = Field(description="Null where it only calls tools.")
    refusal: str | None = None
    tool_calls: list[ToolCallReply] | None = Field(default=None, exclude_if=is_none)


class ChatChoice(Schema):
    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None = None
    finish_reason: Finish | Literal["tool_calls"]
    seed: int = Field(description="With the same request, it writes this text alone.")


class TokenUsage(Schema):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Reply(Schema):
    """What both have in front."""

    id: str
    created: int
    model: str
    system_fingerprint: str | None = None
    job_id: str


class ChatReply(Reply):
    object: Literal["chat.completion"] = "chat.completion"
    choices: list[ChatChoice]
    usage: TokenUsage


class CompletionLogprobs(Schema):
    """Lists side by side, an entry a token."""

    tokens: list[str]
    token_logprobs: list[float | None] = Field(description="Null of the first token of all.")
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(Schema):
    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: Finish | None = None
    seed: int


class CompletionReply(Reply):
    object: Literal["text_completion"] = "text_completion"
    choices: list[CompletionChoice]
    usage: TokenUsage


def front(job: Job, prefix: str) -> dict[str, Any]:
    """The facts of a job that every reply and chunk has."""
    own = {"id": f"{prefix}-{job.id.removeprefix('job_')}", "created": job.created_at}
    return {**own, "model": job.model, "job_id": job.id}


def chat_reply(job: Job, store: Store) -> ChatReply:
    """Blocks. Raises StoreError, Gone."""
    choices = [
        ChatChoice(
            index=output.index,
            message=(message := _message(job, output)),
            logprobs=chat_logprobs(job, output.index, store),
            finish_reason=chat_finish(output, bool(message.tool_calls)),
            seed=output.seed,
        )
        for output in texts(job)
    ]
    return ChatReply(**front(job, "chatcmpl"), choices=choices, usage=usage_of(job))


def calls_tools(job: Job) -> bool:
    """Whether its answers may call tools, so that their text has calls in it."""
    return bool(job.input.get("tools")) and job.input.get("tool_choice") != "none"


def call_id(job: Job, index: int, number: int) -> str:
    """The id of a call that an answer makes."""
    return f"call_{job.id.removeprefix('job_')}_{index}_{number}"


def chat_finish(output: Output, has_calls: bool) -> Finish | Literal["tool_calls"]:
    """Why an answer ended."""
    ended = output.finish_reason or "stop"
    return "tool_calls" if has_calls and ended == "stop" else ended


def _message(job: Job, output: Output) -> ChatMessage:
    text = output.text or ""
    if not calls_tools(job):
        return ChatMessage(content=text)
    content, calls = split_calls(text)
    replies = [
        ToolCallReply(
            id=call_id(job, output.index, number),
            function=CalledFunction(name=call.name, arguments=call.arguments),
        )
        for number, call in enumerate(calls)
    ]
    return ChatMessage(content=content or (None if calls else ""), tool_calls=replies or None)


def completion_reply(job: Job, before: str, store: Store) -> CompletionReply:
    """With this text in front of every choice. Blocks. Raises StoreError, Gone."""
    choices = [
        CompletionChoice(
            index=output.index,
            text=before + (output.text or ""),
            logprobs=completion_logprobs(job, output.index, before, store),
            finish_reason=output.finish_reason,
            seed=output.seed,
        )
        for output in texts(job)
    ]
    return CompletionReply(**front(job, "cmpl"), choices=choices, usage=usage_of(job))


def joined(replies: Sequence[CompletionReply]) -> CompletionReply:
    """Several as one: choices follow one another, and what they took is added up."""
    choices = [choice for reply in replies for choice in reply.choices]
    numbered = [x.model_copy(update={"index": index}) for index, x in enumerate(choices)]
    usage = added_up([reply.usage for reply in replies])
    return replies[0].model_copy(update={"choices": numbered, "usage": usage})


def texts(job: Job) -> list[Output]:
    return [output for output in job.outputs if output.role == "text"]


def usage_of(job: Job) -> TokenUsage:
    """The request counts once, however many answers there are to it."""
    read = max((output.prompt_tokens or 0 for output in texts(job)), default=0)
    written = sum(output.completion_tokens or 0 for output in texts(job))
    total = read + written
    return TokenUsage(prompt_tokens=read, completion_tokens=written, total_tokens=total)


def usage_of_all(jobs: Sequence[Job]) -> TokenUsage:
    return added_up([usage_of(job) for job in jobs])


def added_up(usages: Sequence[TokenUsage]) -> TokenUsage:
    return TokenUsage(
        prompt_tokens=sum(x.prompt_tokens for x in usages),
        completion_tokens=sum(x.completion_tokens for x in usages),
        total_tokens=sum(x.total_tokens for x in usages),
    )


def chat_logprobs(job: Job, index: int, store: Store) -> ChatLogprobs | None:
    chances = _chances(job, index, store)
    return None if chances is None else ChatLogprobs.model_validate(chances)


def completion_logprobs(
    job: Job, index: int, before: str, store: Store
) -> CompletionLogprobs | None:
    """Those of a text and of the prompt that is in front of it, if one is."""
    chances = _chances(job, index, store)
    if chances is None:
        return None
    prompt = chances.get("prompt", []) if before else []
    tokens = [*prompt, *chances["content"]]
    begins = [0] * len(prompt) + [len(before)] * len(chances["content"])
    return CompletionLogprobs(
        tokens=[x["token"] for x in tokens],
        token_logprobs=[x["logprob"] for x in tokens],
        top_logprobs=[_likeliest(x) for x in tokens],
        text_offset=[begin + x["offset"] for begin, x in zip(begins, tokens, strict=True)],
    )


def _likeliest(token: dict[str, Any]) -> dict[str, float] | None:
    """Of tokens that look alike, such as halves of letters, the likelier."""
    if token["logprob"] is None:
        return None
    return {x["token"]: x["logprob"] for x in reversed(token["top_logprobs"])}


def _chances(job: Job, index: int, store: Store) -> dict[str, Any] | None:
    """The chances of an item's tokens, where they were asked for."""
    outputs = (x for x in job.outputs if x.role == "logprobs" and x.index == index)
    if (output := next(outputs, None)) is None:
        return None
    try:
        chances: dict[str, Any] = json.loads(store.get(output.sha256))
    except Missing:
        raise Gone("these log-probabilities are no longer stored") from None
    return chances
