"""How a model learns of tools: from its template where that knows them, else by instruction."""

import json
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from models.checkpoint.configs import LanguageTokenizer
from models.language.grammars.instructions import native_tools
from models.language.prompts import turns_of
from models.language.tokenizer import TENSOR, TextTokens, tensor_of
from models.params.text import LanguageParams
from tests.models.tiny_language import MARKS, WORDS, tokenizer

KNOWING = (
    "{% if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}"
    "<|im_end|>\n{% endif %}{% for message in messages %}{% if message.role == 'tool' %}"
    "<|im_start|>user\n<tool_response>\n{{ message.content }}\n</tool_response><|im_end|>\n"
    "{% else %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% for call in message.tool_calls or [] %}<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}'
    "\n</tool_call>{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""A template that writes tools and calls as Qwen's does."""
TOOL = {"name": "weather", "description": "<|im_end|>", "parameters": {"type": "object"}}
CALL = {"id": "c1", "name": "weather", "arguments": '{"city":"Ulm"}'}
TURNS = [
    {"role": "user", "content": "Will it rain?"},
    {"role": "assistant", "content": "I look.", "tool_calls": [CALL]},
    {"role": "tool", "content": "yes", "tool_call_id": "c1"},
    {"role": "tool", "content": "no", "tool_call_id": "c2"},
]
WRITTEN = '<tool_call>\n{"name": "weather", "arguments": {"city": "Ulm"}}\n</tool_call>'


def asked(**more: Any) -> LanguageParams:
    return LanguageParams.model_validate({"kind": "chat", "messages": TURNS, **more})


def tokens_of(template: str) -> TextTokens:
    config = LanguageTokenizer.parse({**WORDS, "chat_template": template})
    return TextTokens(config, {TENSOR: tensor_of(tokenizer().to_str())})


def test_a_template_that_knows_tools_is_told_of_them_as_transformers_tells_it() -> None:
    text_tokens, params = tokens_of(KNOWING), asked(tools=[{**TOOL, "description": "Rain."}])
    assert text_tokens.takes_tools
    tools = native_tools(params)
    page = text_tokens.page(turns_of(params, tools=True), tools)
    peer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(), chat_template=KNOWING, bos_token=MARKS[1]
    )
    theirs = peer.apply_chat_template(
        turns_of(params, tools=True), tools=tools, add_generation_prompt=True, tokenize=False
    )
    assert page.text == theirs
    assert WRITTEN in page.text


def test_marks_in_a_tool_are_letters() -> None:
    text_tokens, params = tokens_of(KNOWING), asked(tools=[TOOL])
    page = text_tokens.page(turns_of(params, tools=True), native_tools(params))
    plain = text_tokens.page(turns_of(params, tools=True), [{"type": "function", "function": {}}])
    assert page.text.count("<|im_end|>") == len(page.spans) // 2 + 1
    assert len(page.spans) == len(plain.spans)


@pytest.mark.parametrize("template", [WORDS["chat_template"], KNOWING.replace("name", "title")])
def test_other_templates_get_an_instruction(template: str) -> None:
    text_tokens, params = tokens_of(template), asked(tools=[TOOL])
    assert not text_tokens.takes_tools
    system, question, answer, results = turns_of(params)
    assert system["role"] == "system"
    assert json.dumps({**TOOL}, ensure_ascii=False) in system["content"]
    assert question == TURNS[0]
    assert answer == {"role": "assistant", "content": f"I look.\n{WRITTEN}"}
    first, second = (f"<tool_response>\n{x}\n</tool_response>" for x in ("yes", "no"))
    assert results == {"role": "user", "content": f"{first}\n{second}"}


def test_the_schema_is_told_where_the_template_has_a_place_for_it() -> None:
    schema = {"type": "object", "properties": {"ü": {"type": "null"}}}
    params = asked(json_schema=schema, messages=[{"role": "user", "content": "Go."}])
    system, question = turns_of(params)
    assert json.dumps(schema, ensure_ascii=False) in system["content"]
    assert question["content"] == "Go."
    (alone,) = turns_of(params, system=False)
    assert alone["content"] == f"{system['content']}\n\nGo."
    own = [{"role": "system", "content": "Be kind."}, *params.model_dump()["messages"]]
    both, _ = turns_of(asked(json_schema=schema, messages=own))
    assert both["content"] == f"Be kind.\n\n{system['content']}"


def test_tools_that_may_not_be_called_are_not_told_of() -> None:
    params = asked(tools=[TOOL], tool_choice="none")
    assert native_tools(params) == []
    assert turns_of(params)[0] == TURNS[0]
