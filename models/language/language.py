"""Family `language`: stories, poems and answers, a token after another."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from models.artifacts import Artifact, Text
from models.checkpoint.configs import LanguageNet
from models.checkpoint.weights import Checkpoint
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs
from models.engine.slots import SCRATCH
from models.language.backends.precision import precisions_of
from models.language.backends.selection import draw_of, net_of, slots_of, weight_bytes
from models.language.grammars.instructions import native_tools
from models.language.grammars.token_matcher import (
    GrammarFailed,
    GrammarTokenizer,
    TokenMatcher,
)
from models.language.grammars.tool_grammar import grammar_of
from models.language.poems.constraint import PoemConstraint
from models.language.poems.dictionary import DictionaryMissing, english
from models.language.poems.lexicon import Lexicon, spelling_of
from models.language.poems.writer import PoemWriter, expected_steps
from models.language.prefix_slots import PrefixSlots
from models.language.prompt_scores import prompt_drawn
from models.language.prompts import asking_for_a_title, text_of, turns_of
from models.language.sampling import Choice, choose, sampling_row
from models.language.sequence import Generated, LanguageRuntime, TokenSequence
from models.language.tokenizer import TextTokens
from models.params.base import UnsupportedRequest
from models.params.poem_forms import FormRequest
from models.params.text import LanguageParams
from models.params.text_kinds import ABOUT

TITLE_TOKENS = 12
TITLE = LanguageParams(
    kind="completion",
    text="-",
    max_tokens=TITLE_TOKENS,
    temperature=0,
)
"""How a title is drawn."""
_BREAK = re.compile(r"[,;.!?–—]")
_FRAME = re.compile(r"[*#_\"“”]+")
_ANNOUNCED = re.compile(r"\A[^:\n]*\btitle\b[^:\n]*:\s*", re.IGNORECASE)
_EXPLAINED = re.compile(r":\s")


class Language:
    """Reads what it is asked a chunk a step, and writes a token a step.

    Steps of either kind are rows like any other, so a long prompt holds up nobody, and texts of
    any length are written side by side.
    """

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        net = net_of(checkpoint, placement)
        config = LanguageNet.parse(checkpoint.header.net)
        tokenizer = TextTokens(config.words, checkpoint.tensors)
        elements = sum(tensor.numel() for tensor in checkpoint.tensors.values())
        weights = weight_bytes(config, elements, precisions_of(checkpoint.tensors), placement)
        self.max_items = slots_of(net.slot_bytes, weights, placement)
        self.item_bytes = 2**20  # its slot is there from the beginning
        net.allocate(self.max_items)
        size = (self.max_items + 1, net.vocabulary)
        self._seen = torch.zeros(size, dtype=torch.bool, device=placement.device)
        self.slots = PrefixSlots(net, self.max_items)
        self._draw = draw_of(net.vocabulary, placement)
        at = (torch.tensor(0), torch.tensor(SCRATCH), net.bucket(net.chunk))
        chunk, draws = (
            torch.zeros(net.chunk, dtype=torch.int64),
            sampling_row(TITLE, torch.tensor(0.5)),
        )
        policy: dict[str, Any] = {"pad_to": net.pad_to, "max_batch": net.max_batch}
        prefill: BatchedFn[Tensor] = BatchedFn(self._prefill, (chunk, *at), **policy)
        policy["cost_unit"] = net.cost_unit
        no_bias = torch.zeros(net.vocabulary)
        following: BatchedFn[Choice] = BatchedFn(
            self._next, (torch.tensor(0), *at, draws, no_bias), **policy
        )
        self.runtime = LanguageRuntime(tokenizer, net, prefill, following, no_bias)
        self.batched = (prefill, following)

    def _prefill(self, tokens: Tensor, start: Tensor, slot: Tensor, bucket: Tensor) -> Tensor:
        self._seen[slot[:, None], tokens] = True
        self.runtime.net.prefill(tokens, start, slot, bucket)
        return torch.zeros(len(tokens), device=tokens.device)

    def _next(
        self,
        token: Tensor,
        position: Tensor,
        slot: Tensor,
        bucket: Tensor,
        draws: Tensor,
        bias: Tensor,
    ) -> Choice:
        self._seen[slot, token] = True
        logits = self.runtime.net.logits(token, position, slot, bucket)
        seen = [self._seen[one] for one in slot.tolist()]
        return choose(logits, seen, draws, self._draw, bias)

    async def generate(
        self, params: LanguageParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        prompt = self._prompt(params)
        most = params.max_tokens or self.runtime.net.context - len(prompt)
        form = params.form_request
        poem = None if form is None else self._poem(form, most)
        steps = most if form is None else expected_steps(form)
        scored = params.prompt_logprobs
        chunks = len(prompt) - 1 if scored else -(-(len(prompt) - 1) // self.runtime.net.chunk)
        with self.slots.take(prompt, params.owner) as slot:
            self._seen[slot.number] = False
            self._seen[slot.number, slot.tokens] = True
            left = -(-(len(prompt) - 1 - len(slot.tokens)) // self.runtime.net.chunk)
            page = TokenSequence(self.runtime, slot, steps + chunks, 0 if scored else chunks - left)
            how = params.model_copy(update={"max_tokens": most})
            choices = await page.score(prompt, how) if scored else []
            if poem is None:
                written = await self._write(page, prompt, how, rng)
            else:
                written = await PoemWriter(page, self.runtime.tokenizer, how, rng).write(
                    prompt, poem
                )
            text, title = written.draft.text, params.title
            if title is None and params.kind in ABOUT:
                title = await self._title(page, params, text, rng)
        drawn = None if params.logprobs is None else tuple(written.drawn)
        tokenizer, count = self.runtime.tokenizer, params.logprobs or 0
        scores = prompt_drawn(tokenizer, prompt, choices, count) if scored else None
        finish = written.finish or "length"
        stop = written.draft.stop if finish == "stop" else None
        counts = (len(prompt), written.count)
        return (Text(text, *counts, finish, title, drawn, scores, stop_sequence=stop),)

    async def _write(
        self, page: TokenSequence, prompt: list[int], how: LanguageParams, rng: torch.Generator
    ) -> Generated:
        """An answer that keeps its schema, if it has one. Raises UnsupportedRequest."""
        grammar = grammar_of(how)
        if grammar is None:
            return await page.write(prompt, how, rng)
        field = "json_schema" if how.tools is None else "tools"
        try:
            matcher = TokenMatcher(self._grammar_tokenizer, grammar)
            return await page.write(prompt, how, rng, matcher=matcher)
        except GrammarFailed as error:
            raise UnsupportedRequest(field, f"can't be kept by this model: {error}") from None

    @cached_property
    def _grammar_tokenizer(self) -> GrammarTokenizer:
        """Made once, for the first grammar. Raises GrammarFailed."""
        tokenizer, vocabulary = self.runtime.tokenizer, self.runtime.net.vocabulary
        return GrammarTokenizer(tokenizer.spec, tokenizer.ends, vocabulary, len(tokenizer))

    def _poem(self, form: FormRequest, most: int) -> PoemConstraint:
        """A poem of at most so many tokens. Raises UnsupportedRequest where it can't be written."""
        if most < form.least_tokens:
            why = f"must be at least {form.least_tokens} for this poem"
            raise UnsupportedRequest("max_tokens", why)
        try:
            lexicon = self._lexicon
        except DictionaryMissing as error:
            raise UnsupportedRequest("form", f"can't be kept: {error}") from None
        if not lexicon.can_spell:
            raise UnsupportedRequest("form", "can't be kept by this model's tokenizer")
        missing = {rule.initial for rule in form.rules} - lexicon.capitals - {""}
        if missing:
            why = (
                f"has letters that no line of this model begins with: {', '.join(sorted(missing))}"
            )
            raise UnsupportedRequest("acrostic", why)
        ends, vocabulary = self.runtime.tokenizer.ends, self.runtime.net.vocabulary
        return PoemConstraint(lexicon, form.rules, ends, vocabulary)

    @cached_property
    def _lexicon(self) -> Lexicon:
        """Read once, for the first poem in a form: it takes a second. Raises DictionaryMissing."""
        dictionary, tokenizer = english(), self.runtime.tokenizer
        known = range(min(len(tokenizer), self.runtime.net.vocabulary))
        pieces = (tokenizer.whole_piece(token) for token in known)
        return Lexicon([spelling_of(x) if x else None for x in pieces], dictionary)

    def _prompt(self, params: LanguageParams) -> list[int]:
        """The tokens of what is asked. Raises Refused where there are none, or too many."""
        tokenizer, field = self.runtime.tokenizer, _asked_by(params)
        most, context = params.max_tokens, self.runtime.net.context
        if tokenizer.more_than(context, _said_in(params)):
            raise _too_long(field, f"more than {context} tokens", context)
        try:
            chats = params.messages is not None or (params.text is None and tokenizer.chats)
            as_tools = tokenizer.takes_tools
            turns = turns_of(params, tokenizer.takes_system, as_tools) if chats else []
            tools = native_tools(params) if as_tools else []
            page = tokenizer.page(turns, tools) if chats else None
            if page is not None and tokenizer.more_than(context, page.plain):
                raise _too_long(field, f"more than {context} tokens", context)
            tokens = tokenizer.of_text(text_of(params)) if page is None else tokenizer.of_page(page)
        except ValueError as error:
            raise UnsupportedRequest(field, f"can't be read: {error}") from None
        if not tokens:
            raise UnsupportedRequest(field, "says nothing that this model can read")
        if self._unknown(tokens):
            raise UnsupportedRequest(
                field, "has words that this model's tokenizer knows, and its net does not"
            )
        whole = len(tokens) + (most or 1)
        if whole > context:
            added = "which leave no room" if most is None else f"which with max_tokens are {whole}"
            raise _too_long(field, f"{len(tokens)} tokens, {added}", context)
        return tokens

    def _unknown(self, tokens: Sequence[int]) -> bool:
        return max(tokens) >= self.runtime.net.vocabulary

    async def _title(
        self, page: TokenSequence, params: LanguageParams, text: str, rng: torch.Generator
    ) -> str | None:
        """What the model itself would call it; None where it can't be asked, or says nothing."""
        tokenizer = self.runtime.tokenizer
        if not tokenizer.chats:
            return None
        said = {"role": "assistant", "content": text}
        asking = {"role": "user", "content": asking_for_a_title(params)}
        try:
            tokens = tokenizer.of_chat([*turns_of(params, tokenizer.takes_system), said, asking])
        except ValueError:  # its template has something against it
            return None
        if len(tokens) + TITLE_TOKENS > self.runtime.net.context or self._unknown(tokens):
            return None
        written = await page.write(tokens, TITLE, rng, aloud=False)
        return title_of(written.draft.text, written.finish == "stop")


def title_of(said: str, ended: bool) -> str | None:
    """The title in a model's answer, if there is one."""
    first, line_ended, _ = _ANNOUNCED.sub("", _FRAME.sub("", said).lstrip()).partition("\n")
    title, *explained = _EXPLAINED.split(first.strip().rstrip(":"))  # after it comes another
    if not (ended or line_ended or explained):
        title, *rest = _BREAK.split(title)  # it goes on and on: its first part is one, if any is
        title = title if rest else ""
    return title.strip(" .,;-") or None


def _too_long(field: str, has: str, context: int) -> UnsupportedRequest:
    why = f"has {has}; this model's context has {context}"
    return UnsupportedRequest(field, why, "context_length_exceeded")


def _said_in(params: LanguageParams) -> str:
    """All that is asked, or none of it where that is short by its kind."""
    turns = params.messages or ()
    return params.text or " ".join(turn.content.strip() for turn in turns)  # as templates trim


def _asked_by(params: LanguageParams) -> str:
    """The field that says what to write, and so is to blame if it can't be."""
    values = dict(params)
    return next(name for name in ("messages", "text", "theme", "prompt") if values[name])
