"""Texts as a worker writes them and as transformers does, for `bench.language`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from types import MappingProxyType
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from app.core.settings import Settings
from atelier.service.packaged_models import PACKAGED, import_packaged
from bench.harness import CPU, ROOT, Unfinished, checked, run_flows
from models.artifacts import Text
from models.checkpoint.weights import Checkpoint, load
from models.engine.engine import Advanced, Engine, Event, Finished
from models.engine.noise import seeded
from models.language.language import Language
from models.params.text import LanguageParams
from training.metrics.text.perplexity import perplexity_of_read

MODEL = PACKAGED[0]
PAGE = ROOT / "docs/architecture.md"  # text that no model has read
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
ENDLESS = (*PROMPTS[:2], *PROMPTS[4:], "1, 2, 3, 4, 5,", "The hen and the hen and the hen and")
"""Prompts that SmolLM2 goes on from for more than 700 tokens, without chance."""
SAMPLING = {"temperature": 0.8, "top_p": 0.95, "repetition_penalty": 1.1}

Clock = Callable[[], float]


@contextmanager
def open_checkpoint(tiny: bool = False) -> Iterator[Checkpoint | None]:
    """SmolLM2 as the service has it, or imported for now; None if its package is not installed.
    `tiny` is a model of random weights instead."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        if tiny:
            from tests.models.families import tiny_checkpoint

            yield load(tiny_checkpoint(folder, "language"))
            return
        file = f"{MODEL.id}.safetensors"
        folders = [f for f in Settings().checkpoint_folders if (f / file).exists()]
        if not folders and MODEL.path() is None:
            yield None
            return
        if not folders:
            import_packaged(MODEL, folder, lambda _: None)
        yield load([*folders, folder][0] / file)


@contextmanager
def open_gguf(tiny: bool = False) -> Iterator[Path | None]:
    """The file of SmolLM2's package, if it is installed. `tiny` is a model of random weights."""
    if not tiny:
        yield MODEL.path()
        return
    from tests.models.convert.test_language import gguf_file
    from tests.models.tiny_language import saved_folder

    with TemporaryDirectory() as folder:
        yield gguf_file(saved_folder(Path(folder)), Path(folder) / "tiny.gguf")


def peer_of(checkpoint: Checkpoint) -> Any:
    """transformers' net with these weights, in single precision."""
    config: Any = checkpoint.header.net["config"]
    maker: Any = AutoModelForCausalLM
    net = maker.from_config(AutoConfig.for_model(**config))
    net.load_state_dict({k: t.float() for k, t in checkpoint.tensors.items()}, strict=False)
    return net.eval().requires_grad_(False)


def completion(text: str, count: int, **sampling: float) -> LanguageParams:
    """Greedy where no sampling is asked for."""
    params = LanguageParams(kind="completion", text=text, max_tokens=count, temperature=0)
    return params.model_copy(update=sampling)


def generate(
    family: Language, requests: Sequence[LanguageParams], clock: Clock = process_time
) -> tuple[float, list[str]]:
    """Tokens a second of all requests together, all of their prompts read, and their texts."""
    family.slots.forget()
    texts = dict[Any, Text]()
    start = clock()
    flows = ((i, family.generate(params, seeded(1))) for i, params in enumerate(requests))
    for finished in run_flows(Engine(CPU, clock), flows):
        (texts[finished.id],) = finished.artifacts  # type: ignore[assignment]
    seconds = clock() - start
    ordered = [texts[i] for i in range(len(requests))]
    return sum(text.written for text in ordered) / seconds, [text.text for text in ordered]


def generate_by_peer(
    net: Any,
    family: Language,
    prompts: Sequence[str],
    count: int,
    sampling: Mapping[str, float] = MappingProxyType({}),
    clock: Clock = process_time,
) -> tuple[float, list[str]]:
    """Tokens a second of `generate`, one request after another, and the texts."""
    tokenizer, texts, tokens, seconds = family.runtime.tokenizer, list[str](), 0, 0.0
    for prompt in prompts:
        ids = torch.tensor([tokenizer.of_text(prompt)])
        start = clock()
        output = net.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=count,
            do_sample=bool(sampling),
            **({"top_k": 0, **sampling} if sampling else {}),
            eos_token_id=sorted(tokenizer.ends),
            pad_token_id=min(tokenizer.ends),
        )
        seconds += clock() - start
        new = output[0, ids.shape[1] :].tolist()
        texts.append(tokenizer.text(new))
        tokens += sum(token not in tokenizer.ends for token in new)
    return tokens / seconds, texts


def generate_batched_by_peer(
    net: Any, family: Language, prompts: Sequence[str], count: int, clock: Clock = process_time
) -> float:
    """Tokens a second of one `generate` of all prompts, padded on the left."""
    tokenizer = family.runtime.tokenizer
    rows, pad = [tokenizer.of_text(prompt) for prompt in prompts], min(tokenizer.ends)
    width = max(map(len, rows))
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    start = clock()
    output = net.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=count,
        do_sample=False,
        eos_token_id=sorted(tokenizer.ends),
        pad_token_id=pad,
    )
    seconds = clock() - start
    ended = torch.isin(output[:, width:], torch.tensor(sorted(tokenizer.ends)))
    return int((ended.cumsum(1) == 0).sum()) / seconds


def engine_with_texts(family: Language, texts: int, seconds: float) -> Engine:
    """An engine that has written some texts for so many seconds.

    Just after they have come, a new request doesn't go before them; some seconds later it does.
    """
    family.slots.forget()
    engine = Engine(CPU, process_time)
    for number in range(texts):
        params = completion(ENDLESS[number], 700)
        checked(engine.add(number, family.generate(params, seeded(1))))
    for _ in range(12):
        checked(engine.tick())
    start = process_time()
    while texts and process_time() - start < seconds:
        checked(engine.tick())
    return engine


def seconds_to_first_token(family: Language, others: int, seconds: float = 2.0) -> float:
    """Seconds to the first token after a prompt of some 60 tokens, beside other texts."""
    engine = engine_with_texts(family, others, seconds)
    start = process_time()
    prompt = " ".join(PROMPTS)[:300]
    late = completion(prompt, 2).owned_by("late")  # who reuses nothing of the others
    checked(engine.add("late", family.generate(late, seeded(1))))
    chunks = -(-len(family.runtime.tokenizer.of_text(prompt)) // family.runtime.net.chunk)
    steps = 0
    while steps <= chunks:
        events = checked(engine.tick())
        steps += sum(isinstance(e, Advanced) and e.id == "late" for e in events)
    return process_time() - start


def speeds_beside_a_prompt(
    family: Language, others: int, tokens: int, seconds: float = 5.0
) -> dict[str, float]:
    """Tokens a second of other texts before a long prompt comes and while it is read, the longest
    that any of them waits for its next token meanwhile, and how long the prompt takes."""
    engine = engine_with_texts(family, others, min(2.0, seconds))
    start, count = process_time(), 0
    while process_time() - start < seconds:
        count += len(texts_stepped(engine.tick()))
    before = count / (process_time() - start)
    family.slots.forget()  # of a round before
    checked(engine.add("late", family.generate(long_prompt(family, tokens), seeded(1))))
    start = process_time()
    last, count, longest, over = dict.fromkeys(range(others), start), 0, 0.0, False
    while not over:
        events = engine.tick()
        now = process_time()
        for name in texts_stepped(events):
            count, longest, last[name] = count + 1, max(longest, now - last[name]), now
        over = any(isinstance(e, Finished) and e.id == "late" for e in events)
    took = process_time() - start
    longest = max(longest, *(process_time() - at for at in last.values()))
    return {
        "before_tokens_s": before,
        "during_tokens_s": count / took,
        "longest_wait_s": longest,
        "prompt_s": took,
    }


def long_prompt(family: Language, tokens: int) -> LanguageParams:
    tokenizer = family.runtime.tokenizer
    text = tokenizer.text(tokenizer.of_text(PAGE.read_text())[:tokens])
    return completion(text, 1).owned_by("late")  # who reuses nothing of the others


def seconds_to_read(family: Language, tokens: int) -> float:
    """Seconds to the first token after a long prompt that has the machine to itself."""
    family.slots.forget()
    flow = family.generate(long_prompt(family, tokens), seeded(1))
    start = process_time()
    list(run_flows(Engine(CPU, process_time), [(0, flow)]))
    return process_time() - start


def texts_stepped(events: list[Event]) -> list[int]:
    """The texts beside the late request that have a token more. Raises Unfinished if one ended:
    the others would then go faster."""
    events = checked(events)
    if any(isinstance(event, Finished) and event.id != "late" for event in events):
        raise Unfinished("a text beside the prompt has ended")
    return [int(str(e.id)) for e in events if isinstance(e, Advanced) and e.id != "late"]


def perplexity(family: Language, window: int, windows: int) -> float:
    """Perplexity of one of the project's own pages, in windows of so many tokens."""
    tokens = family.runtime.tokenizer.of_text(PAGE.read_text())
    firsts = range(0, window * windows, window)
    return perplexity_of_read(family, [tokens[first : first + window] for first in firsts])
