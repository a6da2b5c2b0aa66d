"""What `bench.language` times: texts as a worker writes them, and as transformers does."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from app.core.settings import Settings
from atelier.service.packaged_models import PACKAGED
from atelier.service.packaged_models import main as taken_over
from bench.bed import checked
from models.artifacts import Text
from models.checkpoint.weights import Checkpoint, load
from models.engine.engine import Advanced, Engine, Event, Finished
from models.engine.noise import seeded
from models.language.language import Language
from models.params.text import LanguageParams

CPU = torch.device("cpu")
MODEL = PACKAGED[0]
PAGES = Path(__file__).parents[1] / "docs"
PROMPTS = (
    "Once upon a time there was a lighthouse keeper who",
    "The old clock in the hall had stopped, and",
    "In the middle of the forest stood a house that",
    "When the first snow fell, the children of the village",
    "The captain looked at the map and said that",
    "Nobody in the town remembered why the bell",
    "She opened the letter slowly, and inside it",
    "Far beyond the last star a small ship",
)
COUNT = 64  # tokens of each
ALONE_SECONDS = 5.0
DRAWN = {"temperature": 0.8, "top_p": 0.95, "repetition_penalty": 1.1}
WINDOW, WINDOWS = 256, 4  # tokens, of what perplexity is taken over


def checkpoint_of(folder: Path) -> Checkpoint | None:
    """The model as it is served, taken over if it isn't there yet."""
    for place in (*Settings().checkpoint_folders, folder):
        path = place / f"{MODEL.id}.safetensors"
        if path.exists():
            return load(path)
    if MODEL.path() is None or taken_over(MODEL.id, str(folder)):
        return None
    return load(folder / f"{MODEL.id}.safetensors")


def peer_of(checkpoint: Checkpoint) -> Any:
    """transformers' net with these weights, in single precision."""
    told: dict[str, Any] = dict(checkpoint.header.net)["config"]  # type: ignore[assignment]
    maker: Any = AutoModelForCausalLM
    kind = told["model_type"]
    net = maker.from_config(AutoConfig.for_model(**told | {"model_type": kind}))
    net.load_state_dict({k: t.float() for k, t in checkpoint.tensors.items()}, strict=False)
    return net.eval().requires_grad_(False)


Clock = Callable[[], float]


def greedy(text: str) -> LanguageParams:
    return LanguageParams(kind="completion", text=text, max_tokens=COUNT, temperature=0)


def drawn(text: str) -> LanguageParams:
    return greedy(text).model_copy(update=DRAWN)


def ours(
    family: Language,
    prompts: tuple[str, ...],
    how: Callable[[str], LanguageParams] = greedy,
    clock: Clock = time.process_time,
) -> tuple[float, list[str]]:
    """Tokens a second of all together, and what was written."""
    engine, texts = Engine(CPU, clock), dict[Any, Text]()
    start = clock()
    for prompt in prompts:
        checked(engine.add(prompt, family.generate(how(prompt), seeded(1))))
    while len(engine):
        for event in checked(engine.tick()):
            if isinstance(event, Finished):
                (texts[event.id],) = event.artifacts  # type: ignore[assignment]
    seconds = clock() - start
    written = [texts[prompt] for prompt in prompts]
    return sum(text.written for text in written) / seconds, [text.text for text in written]


def theirs(
    net: Any,
    family: Language,
    prompts: tuple[str, ...],
    how: Mapping[str, float] = MappingProxyType({}),
    clock: Clock = time.process_time,
) -> tuple[float, list[str]]:
    """The same by `generate`, one request after another."""
    words, texts, count, seconds = family.runtime.tokenizer, list[str](), 0, 0.0
    for prompt in prompts:
        ids = torch.tensor([words.of_text(prompt)])
        start = clock()
        out = net.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=COUNT,
            do_sample=bool(how),
            **({"top_k": 0, **how} if how else {}),
            eos_token_id=sorted(words.ends),
            pad_token_id=min(words.ends),
        )
        seconds += clock() - start
        new = out[0, ids.shape[1] :].tolist()
        texts.append(words.text(new))
        count += sum(token not in words.ends for token in new)
    return count / seconds, texts


def batched(
    net: Any, family: Language, prompts: tuple[str, ...], clock: Clock = time.process_time
) -> float:
    """Tokens a second by one `generate` of all, padded on the left."""
    words = family.runtime.tokenizer
    rows, pad = [words.of_text(prompt) for prompt in prompts], min(words.ends)
    width = max(map(len, rows))
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
    seen = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    start = clock()
    out = net.generate(
        ids,
        attention_mask=seen,
        max_new_tokens=COUNT,
        do_sample=False,
        eos_token_id=sorted(words.ends),
        pad_token_id=pad,
    )
    seconds = clock() - start
    new = out[:, width:]
    ended = torch.isin(new, torch.tensor(sorted(words.ends)))
    return int((ended.cumsum(1) == 0).sum()) / seconds


def writing(family: Language, others: int, seconds: float = 2.0) -> Engine:
    """An engine in which so many texts are read, and being written for so long; in a moment after
    many have come, they have used up what lets one that comes go first."""
    engine = Engine(CPU, time.process_time)
    for number in range(others):
        told = greedy(PROMPTS[number]).model_copy(update={"max_tokens": 900})
        checked(engine.add(number, family.generate(told, seeded(1))))
    for _ in range(12):
        checked(engine.tick())
    begun = time.process_time()
    while others and time.process_time() - begun < seconds:
        checked(engine.tick())
    return engine


def first_token(family: Language, others: int, seconds: float = 2.0) -> float:
    """Seconds until a text of some 60 tokens is gone on from, while others are written."""
    engine = writing(family, others, seconds)
    start = time.process_time()
    told = greedy(" ".join(PROMPTS)[:300]).model_copy(update={"max_tokens": 2})
    checked(engine.add("late", family.generate(told, seeded(1))))
    chunks = -(-len(family.runtime.tokenizer.of_text(told.text or "")) // family.runtime.net.chunk)
    seen = 0
    while seen <= chunks:
        events = checked(engine.tick())
        seen += sum(isinstance(e, Advanced) and e.id == "late" for e in events)
    return time.process_time() - start


LONG = 800  # tokens of a prompt that is read while others are written


def beside_a_prompt(family: Language, others: int) -> tuple[float, float, float]:
    """Tokens a second of texts that are written, before a long prompt comes and while it is read;
    and the longest that they wait for one of theirs meanwhile."""
    engine = writing(family, others)
    begun, before = time.process_time(), 0
    while time.process_time() - begun < ALONE_SECONDS:
        before += _written(checked(engine.tick()))
    speed = before / (time.process_time() - begun)
    words = family.runtime.tokenizer.of_text((PAGES / "architecture.md").read_text())
    told = greedy(family.runtime.tokenizer.text(words[:LONG])).model_copy(update={"max_tokens": 1})
    checked(engine.add("late", family.generate(told, seeded(1))))
    came = last = time.process_time()
    meanwhile, longest, over = 0, 0.0, False
    while not over:
        events = checked(engine.tick())
        now, new = time.process_time(), _written(events)
        if new:
            meanwhile, longest, last = meanwhile + new, max(longest, now - last), now
        over = any(isinstance(e, Finished) and e.id == "late" for e in events)
    return speed, meanwhile / (time.process_time() - came), longest


def _written(events: list[Event]) -> int:
    return sum(isinstance(event, Advanced) and event.id != "late" for event in events)


def perplexity(family: Language) -> float:
    """Of the project's own pages, in windows."""
    words, net = family.runtime.tokenizer, family.runtime.net
    tokens = words.of_text((PAGES / "architecture.md").read_text())
    total = 0.0
    with torch.inference_mode(), family.slots.take() as slot:
        at = torch.tensor([slot])
        for first in range(0, WINDOW * WINDOWS, WINDOW):
            window = torch.tensor(tokens[first : first + WINDOW])
            for place, token in enumerate(window[:-1]):
                row = (token[None], torch.tensor([place]), at, net.bucket(place + 1)[None])
                chances = torch.log_softmax(net.logits(*row)[0], 0)
                total -= float(chances[window[place + 1]])
    return math.exp(total / (WINDOWS * (WINDOW - 1)))
