"""Family `embedding`: a vector for each text, by which texts of like meaning are near."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from models.artifacts import Artifact, Vectors
from models.checkpoint.configs import EmbeddingProcess
from models.checkpoint.header import CheckpointError, Header
from models.checkpoint.weights import Checkpoint, build_component
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs, Step, gather
from models.language.text_encoder import PromptEncoder
from models.nets.bert import BertEncoder
from models.params.base import UnsupportedRequest
from models.params.embedding import EmbeddingParams

TOKENIZER = "tokenizer"
"""The tensor of a checkpoint that holds the tokenizer's JSON, byte by byte."""
SHORTEST = 8
"""Tokens that the shortest texts are padded to."""
SHORT = 16
"""Texts of up to so many tokens run in micro-batches of as many rows."""
TOKENS_AT_ONCE = 128
"""Tokens of a micro-batch at most, where it has several rows: a processor takes less time for each
than of fewer, and no less than of more."""
LETTERS_AT_ONCE = 50_000
"""Letters that are read before their vectors are computed, or one text: reading them takes a few
hundredths of a second, and must not hold up other flows."""
LONGEST_WORD = 100
"""Letters of a word that a tokenizer splits: a longer one is a single unknown token."""


class SentenceEncoder:
    """Reads each text as one row, padded to the next of a few lengths.

    The length of its row depends on the text alone, so its vector has the same bits whatever else
    is encoded. The net runs in float32 on every device: rounding would move vectors by more than
    they differ from those of other implementations.
    """

    max_items = 64
    item_bytes = 2**23  # a row of 256 tokens: attention of 12 heads, and what the net keeps of it

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        tensors = dict(checkpoint.tensors)
        self._encoder = _prompt_encoder(tensors.pop(TOKENIZER, None))
        placement = replace(placement, dtype=torch.float32)
        net = build_component(BertEncoder, dict(checkpoint.header.net), tensors, placement)
        self.context = EmbeddingProcess.parse(checkpoint.header.process).context
        if self.context > net.positions.num_embeddings:
            known = net.positions.num_embeddings
            raise CheckpointError(
                f"its context is {self.context}, and its net has {known} positions"
            )
        self._vocabulary = net.tokens.num_embeddings
        self._encode = _encode_functions(net, self.context)
        self.batched: tuple[BatchedFn[Any], ...] = tuple(dict.fromkeys(self._encode.values()))

    async def generate(
        self, params: EmbeddingParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        texts = params.texts
        vectors: dict[int, Tensor] = {}
        tokens_read = 0
        for group in groups(texts):
            by_length: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
            for index in group:
                tokens = self._tokens(texts[index], f"texts.{index}")
                tokens_read += len(tokens)
                by_length[self._length(tokens)].append((index, tokens))
            for length, rows in sorted(by_length.items()):
                steps = [
                    Step(self._encode[length], _row(tokens, length), (done, len(texts)))
                    for done, (_, tokens) in enumerate(rows, len(vectors) + 1)
                ]
                results = await gather(*steps)
                vectors |= {index: x for (index, _), x in zip(rows, results, strict=True)}
        values = torch.stack([vectors[index] for index in range(len(texts))])
        return (Vectors(values, tokens_read),)

    def _tokens(self, text: str, param: str) -> list[int]:
        """The tokens of a text, with those around it. Raises UnsupportedRequest if it is too
        long."""
        code = "context_length_exceeded"
        if self._encoder.more_than(self.context, text, LONGEST_WORD):
            why = f"has more than {self.context} tokens, and this model reads no more of a text"
            raise UnsupportedRequest(param, why, code)
        tokens = self._encoder.of_text(text)
        if len(tokens) > self.context:
            why = f"has {len(tokens)} tokens; this model reads {self.context} of a text at most"
            raise UnsupportedRequest(param, why, code)
        if max(tokens, default=0) >= self._vocabulary:
            raise UnsupportedRequest(
                param, "has words that this model's tokenizer knows, and its net does not"
            )
        return tokens

    def _length(self, tokens: list[int]) -> int:
        """The length of the row that a text is read in."""
        return next(length for length in self._encode if length >= len(tokens))


def groups(texts: Sequence[str]) -> Iterator[range]:
    """Yields the indices of texts that are read together."""
    start, letters = 0, 0
    for index, text in enumerate(texts):
        if letters and letters + len(text) > LETTERS_AT_ONCE:
            yield range(start, index)
            start, letters = index, 0
        letters += len(text)
    yield range(start, len(texts))


def lengths(context: int) -> Iterator[int]:
    """Yields the lengths of rows: 8, 12, 16, 24, 32, 48 and so on, and the whole context."""
    length = SHORTEST
    while length < context:
        yield length
        between = length + length // 2
        if between < context:
            yield between
        length *= 2
    yield context


def rows_at_once(length: int) -> int:
    """Rows of a micro-batch of this length: as many as of the next power of two."""
    longest = max(SHORT, 1 << (length - 1).bit_length())
    return max(1, TOKENS_AT_ONCE // longest)


def _encode_functions(net: BertEncoder, context: int) -> dict[int, BatchedFn[Tensor]]:
    """The function for each length of rows, in rising order; lengths of as many rows share one."""
    sizes: dict[int, list[int]] = defaultdict(list)
    for length in lengths(context):
        sizes[rows_at_once(length)].append(length)
    functions: dict[int, BatchedFn[Tensor]] = {}
    for pad_to, alike in sizes.items():
        example = (torch.arange(alike[-1]) % net.tokens.num_embeddings, torch.zeros(alike[-1]))
        run: BatchedFn[Tensor] = BatchedFn(net, example, pad_to=pad_to)
        functions |= dict.fromkeys(alike, run)
    return functions


def _row(tokens: list[int], length: int) -> tuple[Tensor, Tensor]:
    """A text as the net takes it: its tokens (L,), and what hides those that only pad (L,)."""
    row, mask = torch.zeros(length, dtype=torch.int64), torch.full((length,), -torch.inf)
    row[: len(tokens)] = torch.tensor(tokens)
    mask[: len(tokens)] = 0
    return row, mask


def _prompt_encoder(tokenizer: Tensor | None) -> PromptEncoder:
    """Raises CheckpointError where a checkpoint has no tokenizer, or none that can be used."""
    if tokenizer is None:
        raise CheckpointError(f"the checkpoint lacks the tensor {TOKENIZER}")
    try:
        return PromptEncoder(bytes(tokenizer.tolist()).decode())
    except Exception as error:  # the tokenizer itself raises nothing narrower
        raise CheckpointError(f"its tokenizer can't be made: {error}") from None


def loaded_bytes(
    header: Header, elements: int, precisions: frozenset[str], placement: Placement
) -> int:
    """What a checkpoint takes in memory: its numbers in float32, wherever it runs."""
    return elements * torch.float32.itemsize
