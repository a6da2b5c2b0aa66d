"""Family `language`: stories, poems and answers, a token after another."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.artifacts import Artifact, Text
from models.batching import Batched, Place
from models.checkpoint import Checkpoint
from models.flow import NOTHING, Inputs
from models.language_nets import draw_of, net_of
from models.pages import Page, Pen
from models.params import Refused
from models.slots import SCRATCH, Slots
from models.story_prompts import asking_for_a_title, text_of, turns_of
from models.text_params import ABOUT, LanguageParams
from models.text_tokens import TextTokens
from models.token_draws import Choice, choose, knobs

MOST_SLOTS, ROOM = 16, 2**30  # slots, and bytes that their caches take together, at most
TITLE = LanguageParams(
    kind="completion",
    text="-",
    max_tokens=12,
    temperature=0,
    stop=["\n", ":"],  # what follows a colon is another title
)
"""How a title is drawn."""
_BREAK = re.compile(r"[,;.!?–—]")
_FRAME = re.compile(r"[*#_\"“”]+")


class Language:
    """Reads what it is asked a chunk a step, and writes a token a step.

    Steps of either kind are rows like any other, so a long prompt holds up nobody, and texts of
    any length are written side by side.
    """

    def __init__(self, checkpoint: Checkpoint, place: Place) -> None:
        net = net_of(checkpoint, place)
        told: Mapping[str, Any] = checkpoint.header.net
        words = TextTokens(told["words"], checkpoint.tensors)
        self.max_items = max(1, min(MOST_SLOTS, ROOM // net.slot_bytes))
        self.item_bytes = net.slot_bytes + 2**20
        net.furnish(self.max_items)
        size = (self.max_items + 1, net.vocabulary)
        self._seen = torch.zeros(size, dtype=torch.bool, device=place.device)
        self.slots = Slots(*net.caches, self._seen)
        self._draw = draw_of(net.vocabulary, place)
        at = (torch.tensor(0), torch.tensor(SCRATCH), net.span(net.chunk))
        chunk, draws = torch.zeros(net.chunk, dtype=torch.int64), knobs(TITLE, torch.tensor(0.5))
        policy: dict[str, Any] = {"rows": net.rows, "most": net.most}
        read: Batched[Tensor] = Batched(self._read, (chunk, *at), **policy)
        following: Batched[Choice] = Batched(self._next, (torch.tensor(0), *at, draws), **policy)
        self.pen = Pen(words, net, read, following)
        self.batched = (read, following)

    def _read(self, tokens: Tensor, start: Tensor, slot: Tensor, span: Tensor) -> Tensor:
        self._seen[slot[:, None], tokens] = True
        self.pen.net.read(tokens, start, slot, span)
        return torch.zeros(len(tokens), device=tokens.device)

    def _next(
        self, token: Tensor, place: Tensor, slot: Tensor, span: Tensor, draws: Tensor
    ) -> Choice:
        self._seen[slot, token] = True
        logits = self.pen.net.logits(token, place, slot, span)
        return choose(logits, [self._seen[one] for one in slot.tolist()], draws, self._draw)

    async def generate(
        self, params: LanguageParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        prompt = self._prompt(params)
        steps = -(-len(prompt) // self.pen.net.chunk) + params.max_tokens
        with self.slots.take() as slot:
            page = Page(self.pen, slot, steps)
            written = await page.write(prompt, params, rng)
            text, title = written.draft.text, params.title
            if title is None and params.kind in ABOUT:
                title = await self._title(page, params, text, rng)
        drawn = None if params.logprobs is None else tuple(written.drawn)
        finish = written.finish or "length"
        return (Text(text, len(prompt), written.count, finish, title, drawn),)

    def _prompt(self, params: LanguageParams) -> list[int]:
        """The tokens of what is asked. Raises Refused where there are none, or too many."""
        words, field = self.pen.words, _asked_by(params)
        try:
            chats = params.messages is not None or (params.text is None and words.chats)
            tokens = words.of_chat(turns_of(params)) if chats else words.of_text(text_of(params))
        except ValueError as error:
            raise Refused(field, f"can't be read: {error}") from None
        if not tokens:
            raise Refused(field, "says nothing that this model can read")
        whole, context = len(tokens) + params.max_tokens, self.pen.net.context
        if whole > context:
            why = f"has {len(tokens)} tokens, which with {params.max_tokens} of max_tokens are "
            why += f"{whole}; this model's context has {context}"
            raise Refused(field, why, "context_length_exceeded")
        return tokens

    async def _title(
        self, page: Page, params: LanguageParams, text: str, rng: torch.Generator
    ) -> str | None:
        """What the model itself would call it; None where it can't be asked, or says nothing."""
        words = self.pen.words
        if not words.chats:
            return None
        said = {"role": "assistant", "content": text}
        asking = {"role": "user", "content": asking_for_a_title(params)}
        tokens = words.of_chat([*turns_of(params), said, asking])
        if len(tokens) + TITLE.max_tokens > self.pen.net.context:
            return None
        written = await page.write(tokens, TITLE, rng, aloud=False)
        found = _FRAME.sub("", written.draft.text.strip())
        if written.finish == "length":  # it goes on and on: its first part is a title, if any is
            found, *rest = _BREAK.split(found)
            found = found if rest else ""
        return found.strip(" .,;-") or None


def _asked_by(params: LanguageParams) -> str:
    """The field that says what to write, and so is to blame if it can't be."""
    given = dict(params)
    return next(name for name in ("messages", "text", "theme", "prompt") if given[name])
