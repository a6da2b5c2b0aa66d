"""What a model is told for each kind of writing: `stories.toml`, with the user's words put in."""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from models.language.chat_templates import Turn
from models.language.grammars.instructions import (
    instructed,
    instruction_of,
    native_turns,
    plain_turns,
)
from models.params.text import LanguageParams

TEMPLATES = Path(__file__).with_name("stories.toml")
_WORD = re.compile(r"\{(about|style)\}")


def turns_of(params: LanguageParams, system: bool = True, tools: bool = False) -> list[Turn]:
    """The conversation that asks for a story, a poem, or an answer; what a model is told of itself
    stands before the question where its template has no place for it. `tools` says whether its
    template has one for tools."""
    if params.messages is not None:
        turns = native_turns(params.messages) if tools else plain_turns(params.messages)
        instruction = instruction_of(params, with_tools=not tools)
        return instructed(turns, instruction, system) if instruction else turns
    templates = _templates()[params.kind]
    question = _filled(_asked(templates, params), params)
    if not system:
        return [{"role": "user", "content": f"{templates['system']}\n\n{question}"}]
    return [
        {"role": "system", "content": templates["system"]},
        {"role": "user", "content": question},
    ]


def text_of(params: LanguageParams) -> str:
    """The text to go on from: the user's own, or a first line for models that can't chat."""
    if params.text is not None:
        return params.text
    templates = _templates()[params.kind]
    style = params.form if params.style is None else params.style
    plain = templates["plain" if style is None else "plain_styled"]
    return _filled(plain, params.model_copy(update={"style": style}))


def asking_for_a_title(params: LanguageParams) -> str:
    """What is said once a story or a poem is written."""
    question: str = _templates()[params.kind]["title"]
    return question


def _asked(templates: Mapping[str, Any], params: LanguageParams) -> str:
    style, forms = params.style, templates.get("forms", {})
    if params.form is not None:
        manner = "" if style is None else templates["manner"]
        return str(forms[params.form]) + manner
    if style is None:
        return str(templates["ask"])
    return str(templates["styles"].get(style.strip().lower(), templates["styled"]))


def _filled(template: str, params: LanguageParams) -> str:
    """In one pass, so that no word of a user's is taken for one of the template's."""
    values = {"about": params.about or "", "style": params.style or ""}
    return _WORD.sub(lambda word: values[word[1]].strip(), template)


@lru_cache(1)
def _templates() -> dict[str, Any]:
    return tomllib.loads(TEMPLATES.read_text())
