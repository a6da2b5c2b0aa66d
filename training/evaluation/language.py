"""Measures a language model: the form of its poems, how it repeats itself, and its perplexity.

Every poem is written twice: in its form, and by the same words to the model without the form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import JsonValue

from models.artifacts import Text
from models.checkpoint.header import Header
from models.language.language import Language
from models.language.prompts import turns_of
from models.params.text import LanguageParams
from training.evaluation.evaluator import (
    Evaluation,
    EvaluationRefused,
    Figures,
    Task,
    mean_figures,
    once,
    requests_of,
)
from training.evaluation.text_prompts import HELD_OUT, POEMS, STORIES
from training.generate import generate_items
from training.metrics.text.perplexity import perplexity_of_read, perplexity_of_written
from training.metrics.text.poem_checker import Form, faults_of
from training.metrics.text.repetition import repeated_ngrams

REFERENCE = "poems and stories"
FEATURES = "texts"
NGRAM = 3  # words
WINDOW = 256  # tokens that are read before the model begins anew
POEM_TOKENS, ALONE_TOKENS, STORY_TOKENS = 400, 200, 200  # at most; a sonnet has some 140
SAMPLING = {
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
}
"""The params that can be asked of every text alike."""
ALONE, OF_STORIES = "alone_", "story_"  # prefixes of figures; those of poems in a form have none


@dataclass(frozen=True, slots=True)
class TextRequests:
    """The params of poems in a form, of the same poems without it, and of stories."""

    poems: list[LanguageParams]
    alone: list[LanguageParams]
    stories: list[LanguageParams]


def evaluate_language(task: Task) -> Evaluation:
    """Prepares an evaluation of `n` poems and `n` stories a seed."""
    if task.options.reference is not None:
        raise EvaluationRefused("texts are compared with none: no --reference")
    n = len(POEMS) if task.options.n is None else task.options.n
    if not 1 <= n <= len(POEMS):
        raise EvaluationRefused(f"1 to {len(POEMS)} poems are measured, not {n}")
    model = cast(Language, task.model)
    requests = text_requests(task.header, model, task.options.params, n)
    forms = [form for _, form in POEMS[:n]]

    def measure(seed: int) -> Figures:
        poems, alone, stories = (
            generate_items(task.model, items, seed, task.device, Text)
            for items in (requests.poems, requests.alone, requests.stories)
        )
        figures = poem_figures(poems, forms)
        if alone:
            figures |= {ALONE + name: value for name, value in poem_figures(alone, forms).items()}
        figures |= {OF_STORIES + name: value for name, value in text_figures(stories).items()}
        return figures | (held_out_figures(model) if seed == 0 else {})

    about: dict[str, JsonValue] = {
        "n": n,
        "reference": REFERENCE,
        "held_out": len(model.runtime.tokenizer.of_text(HELD_OUT)),
        "features": FEATURES,
    }
    own = {OF_STORIES + "repeated_trigrams": repeated_ngrams(HELD_OUT, NGRAM)}
    return Evaluation(about, measure, real=once(lambda: own))


def text_requests(
    header: Header, model: Language, params: Mapping[str, JsonValue], n: int
) -> TextRequests:
    """Returns `n` requests of each kind; none without the form where the model can't chat.

    Raises EvaluationRefused for params that can't be asked of every text alike.
    """
    tokenizer = model.runtime.tokenizer
    if others := sorted(params.keys() - SAMPLING):
        raise EvaluationRefused(f"{', '.join(others)}: texts differ in it, or none can have it")
    poems: list[dict[str, Any]] = [
        {"kind": "poem", "prompt": prompt, **form, "max_tokens": POEM_TOKENS}
        for prompt, form in POEMS[:n]
    ]
    stories: list[dict[str, Any]] = [
        {"kind": "story", "prompt": prompt, "style": style, "max_tokens": STORY_TOKENS}
        for prompt, style in STORIES[:n]
    ]
    in_form = requests_of(header, params, [poem | {"logprobs": 0} for poem in poems])
    alone: list[dict[str, Any]] = [
        {
            "kind": "chat",
            "messages": turns_of(request, tokenizer.takes_system),
            "max_tokens": ALONE_TOKENS,
            "logprobs": 0,
        }
        for request in (in_form if tokenizer.chats else ())
    ]
    return TextRequests(
        in_form,
        requests_of(header, params, alone),
        requests_of(header, params, [story | {"logprobs": 0} for story in stories]),
    )


def poem_figures(poems: Sequence[Text], forms: Sequence[Form]) -> Figures:
    """Returns the share of poems that keep their form, and the figures of their text."""
    kept = (
        {"form_kept": float(not faults_of(poem.text, form))}
        for poem, form in zip(poems, forms, strict=True)
    )
    return mean_figures(kept) | text_figures(poems)


def text_figures(texts: Sequence[Text]) -> Figures:
    return {
        "own_perplexity": perplexity_of_written(texts),
        **mean_figures({"repeated_trigrams": repeated_ngrams(t.text, NGRAM)} for t in texts),
    }


def held_out_figures(model: Language) -> Figures:
    tokens = model.runtime.tokenizer.of_text(HELD_OUT)
    windows = [tokens[first : first + WINDOW] for first in range(0, len(tokens), WINDOW)]
    return {"held_out_perplexity": perplexity_of_read(model, windows)}
