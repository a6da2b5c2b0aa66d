"""A chat of ten turns, and how soon its tenth answer begins, for `bench.language`."""

from collections.abc import Sequence
from time import process_time
from typing import Any

from bench.harness import CPU, Unfinished, run_flows
from models.artifacts import Text
from models.engine.engine import Engine
from models.engine.noise import seeded
from models.language.language import Language
from models.params.text import LanguageParams

QUESTIONS = (
    "Tell me about the sea in three sentences.",
    "What lives in its deepest parts?",
    "How do those animals find food in the dark?",
    "Could a person ever see them?",
    "What would such a trip need?",
    "Who was the first to go that deep?",
    "What did they write about it afterwards?",
    "Is there anything like it on other planets?",
    "Which moon would you look at first?",
    "Sum up all that you have told me so far.",
)
Message = dict[str, str]


def chat(messages: Sequence[Message], count: int) -> LanguageParams:
    """An answer of so many tokens at most, without chance."""
    fields = {"kind": "chat", "messages": messages, "max_tokens": count, "temperature": 0}
    return LanguageParams.model_validate(fields)


def answer(family: Language, params: LanguageParams) -> Text:
    (finished,) = run_flows(Engine(CPU, process_time), [(0, family.generate(params, seeded(1)))])
    (text,) = finished.artifacts
    assert isinstance(text, Text)
    return text


def conversation(family: Language, turns: int, count: int) -> list[Message]:
    """The messages before the last answer of a chat of so many turns."""
    messages: list[Message] = []
    for question in QUESTIONS[:turns]:
        messages.append({"role": "user", "content": question})
        if len(messages) < 2 * turns - 1:
            text = answer(family, chat(messages, count)).text.strip() or "..."
            messages.append({"role": "assistant", "content": text})
    return messages


def seconds_to_answer(family: Language, messages: Sequence[Message], count: int) -> float:
    """Seconds to the first token of the last answer, just after the one before it was written."""
    before = answer(family, chat(messages[:-2], count)).text.strip() or "..."
    if before != messages[-2]["content"]:
        raise Unfinished("reuse has changed an answer")
    return seconds_to_first(family, messages)


def seconds_to_first(family: Language, messages: Sequence[Message]) -> float:
    start = process_time()
    answer(family, chat(messages, 1))
    return process_time() - start


def seconds_read_afresh(family: Language, messages: Sequence[Message]) -> float:
    """The same where nothing is reused."""
    family.slots.forget()
    return seconds_to_first(family, messages)


def tokens_of_turn(family: Language, messages: Sequence[Message], count: int) -> dict[str, int]:
    """The tokens of the last prompt, and how many of them the turn before has left in a slot."""
    family.slots.forget()
    answer(family, chat(messages[:-2], count))
    params: Any = chat(messages, 1)
    prompt = family._prompt(params)
    with family.slots.take(prompt) as slot:
        return {"prompt_tokens": len(prompt), "reused_tokens": len(slot.tokens)}
