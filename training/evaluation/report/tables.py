"""The figures of cards as Markdown."""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

from models.checkpoint.header import Header
from training.data.music.build import STYLES
from training.evaluation.emoji_prompts import PROMPTS
from training.evaluation.evaluator import Record
from training.evaluation.figure_file import EVALUATED, records_of
from training.evaluation.language import FEATURES as TEXTS
from training.evaluation.scales import SCALES
from training.evaluation.stills import STILLS
from training.evaluation.video import REFERENCE

FIGURES = {
    "fed": "FED",
    "fid": "FID",
    "score": "score",
    "is": "IS",
    "precision": "precision",
    "recall": "recall",
    "class_accuracy": "label accuracy",
    "caption_at_1": "caption top-1",
    "caption_at_5": "caption top-5",
    "caption_likeness": "CLIP similarity",
    "requested_caption_at_5": "top-5, 40 most requested",
    "requested_caption_at_1": "top-1, 40 most requested",
    "unseen_words_caption_at_5": "top-5, unseen words",
    "unseen_words_caption_at_1": "top-1, unseen words",
    "chinese_caption_at_5": "top-5, Chinese",
    "chinese_caption_at_1": "top-1, Chinese",
    "first_frame": "first frame, RMS",
    "motion": "motion",
    "motion_spread": "motion, deviation",
    "jerkiness": "jerkiness",
    "seam": "seam",
    "variety": "seeds against frames",
    "nearest": "RMS to nearest",
    "unseen_fed": "FED, unseen",
    "unseen_caption_at_5": "caption top-5, unseen",
    "unseen_caption_likeness": "CLIP similarity, unseen",
    "unseen_motion": "motion, unseen",
    "unseen_seam": "seam, unseen",
    "unseen_nearest": "RMS to nearest, unseen",
    "style_right": "instruments recognized",
    "pitches_right": "chroma precision",
    "onsets": "onset F1",
    "loudness": "dB",
    "clipped": "clipped",
    "silent": "silent",
    "offset": "offset",
    "notes_right": "notes right",
    "classes_right": "pitch classes right",
    **{f"notes_right_{style}": f"notes right, {style}" for style in STYLES},
    "in_key": "in key",
    "notes_a_second": "notes a second",
    "copied": "longest copy, notes",
    "form_kept": "form kept",
    "alone_form_kept": "form kept, alone",
    "held_out_perplexity": "perplexity, held-out story",
    "own_perplexity": "perplexity, poems",
    "alone_own_perplexity": "perplexity, poems alone",
    "story_own_perplexity": "perplexity, stories",
    "repeated_trigrams": "repeated trigrams, poems",
    "alone_repeated_trigrams": "repeated trigrams, poems alone",
    "story_repeated_trigrams": "repeated trigrams, stories",
}
"""The figures of an evaluation with what they are called, in the order of the columns."""
SAME = ("reference", "held_out", "n", "seeds", "features", "inception", "judge")
"""Records that are equal in these can be compared, but that some know no judge."""
BOUNDS = {
    "test_elbo_nats": "ELBO, nats",
    "test_bound_bits_per_pixel": "bound, bits for each value",
    "test_log_likelihood_nats": "log-likelihood, nats",
    "test_log_likelihood_one_gaussian_nats": "that of one Gaussian",
}
"""What is known of held-out pictures where a model has a density; from the recipe's own measure."""
BITS = {
    "test_bits": "bits",
    "test_bits_untold": "unconditioned",
    "test_bits_linear": "linear predictor",
    "test_bits_bigram": "counts of pairs",
    "test_bits_unigram": "counts",
    "test_bits_uniform": "knowing nothing",
}
"""What a held-out sample, or token, costs a model of sequences, and what it costs others."""
LATENTS = {
    f"{encoder}{figure}": f"{name}{said}"
    for figure, name in (("beta_vae_metric", "beta-VAE metric"), ("mig", "MIG"))
    for encoder, said in (
        ("random_encoder_", ", random encoder"),
        ("", ""),
        ("perfect_encoder_", ", perfect encoder"),
    )
}
"""Disentanglement, each figure between its floor and its ceiling."""
KINDS = {
    "spectra": ("clips", "*the recordings*"),
    "notes": ("pieces", "*held-out pieces*"),
    REFERENCE: ("clips", "*training clips*"),
    TEXTS: ("texts", "*the held-out story*"),
    SCALES: ("scales", "*plain tones*"),
    STILLS: ("clips", "*standing pictures*"),
}
"""What was measured and what it stands beside, by what it was held against or seen by, where that
is no picture."""
NONE = "-"
LEAST_SEEDS = 5
"""With fewer the interval of a mean says little, and a table shows none."""
UNTELLING = 0.99
"""Where noise has such a precision, the held-out pictures are too few to tell it from a picture,
and a table shows neither precision nor recall."""


def evaluations(cards: Mapping[str, Header]) -> list[tuple[str, Record]]:
    """Every record of every card, with the checkpoint's name."""
    return [(name, record) for name, card in cards.items() for record in records_of(card)]


def comparisons(records: Iterable[tuple[str, Record]]) -> str:
    """A table for all records that can be compared, its floors at both ends."""
    groups: dict[tuple[str, ...], list[tuple[str, Record]]] = {}
    for name, record in records:
        same = tuple(str(record.get(key)) for key in SAME if key != "judge")
        groups.setdefault(same, []).append((name, record))
    if not groups:
        return "No checkpoint has been measured yet.\n"
    return "\n".join(_comparison(groups[same]) for same in sorted(groups))


def _comparison(records: list[tuple[str, Record]]) -> str:
    first = records[0][1]
    floors: dict[str, Record] = {"real": {}, "noise": {}}
    for _, record in records:
        for kind, floor in floors.items():
            figures = record.get(kind)
            floor.update(figures if isinstance(figures, dict) else {})
    known = set(FIGURES) - ({"precision", "recall"} if _is_untelling(floors["noise"]) else set())
    shown = [k for k in FIGURES if k in known and any(k in record for _, record in records)]
    seeds = first["seeds"]
    intervals = isinstance(seeds, int) and seeds >= LEAST_SEEDS
    kinds = (KINDS.get(str(first[key])) for key in ("reference", "features"))
    what, real = next(filter(None, kinds), ("pictures", "*training pictures*"))
    rows = [
        (real, "", *_cells(floors["real"], shown, intervals)),
        *(
            (f"[{n}](#{n})", _params(record), *_cells(record, shown, intervals))
            for n, record in records
        ),
    ]
    if floors["noise"]:
        rows.append(("*noise*", "", *_cells(floors["noise"], shown, intervals)))
    judges = sorted({str(record["judge"]) for _, record in records if "judge" in record})
    judged_by = [
        first["features"],
        *([first["inception"]] if "inception" in first else []),
        *judges,
    ]
    title = f"## Against {first['reference']}"
    count, held_out = _number(first["n"]), _number(first["held_out"])
    about = (
        f"{count} {what} for each of {seeds} seeds, against {held_out} held-out ones; "
        f"seen by {', '.join(map(str, judged_by))}."
    )
    if first["features"] == TEXTS:
        about = (
            f"{count} poems in a form, as many without it (alone), and {count} stories for each of "
            f"{seeds} seeds; and a story of {held_out} tokens that no model has read."
        )
    if first["reference"] == SCALES:
        about = (
            f"{count} scales of {held_out} notes, C4 to C5, in each style for each of {seeds} "
            "seeds; pitches by YIN."
        )
    if first["reference"] == STILLS:
        about = f"{count} pictures set in motion for each of {seeds} seeds."
    if first["reference"] == PROMPTS:
        about = (
            f"A picture for each of {count} prompts for each of {seeds} seeds; judged by "
            f"{', '.join(judges)}, and compared with all training pictures, as are {held_out} "
            "held-out ones."
        )
    heads = (f"{what} of", "params", *(FIGURES[key] for key in shown))
    return f"{title}\n\n{about}\n\n{markdown(heads, rows)}"


def side_by_side(cards: Mapping[str, Header], columns: Mapping[str, str], title: str) -> str:
    """A section with a row for every card that has one of the columns; nothing if none has."""
    known = {name: card.quality for name, card in cards.items() if columns.keys() & card.quality}
    shown = [key for key in columns if any(key in quality for quality in known.values())]
    rows = [
        (f"[{name}](#{name})", *(str(quality.get(key, NONE)) for key in shown))
        for name, quality in known.items()
    ]
    heads = ("checkpoint", *(columns[key] for key in shown))
    return f"## {title}\n\n{markdown(heads, rows)}" if rows else ""


def figure_table(quality: Mapping[str, JsonValue]) -> str:
    """Returns a row for every other figure of a card, or nothing without any."""
    rows = []
    for name, value in quality.items():
        if isinstance(value, dict):
            rows += [(f"{_spelled(name)}: {k}", str(v)) for k, v in value.items()]
        elif name != EVALUATED:
            rows.append((_spelled(name), str(value)))
    return markdown(("figure", "value"), rows) if rows else ""


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its first column reads to the right, and the others too."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _is_untelling(noise: Record) -> bool:
    precision = noise.get("precision")
    mean = precision["mean"] if isinstance(precision, dict) else None
    return isinstance(mean, int | float) and mean >= UNTELLING


def _cells(record: Record, shown: Sequence[str], intervals: bool) -> list[str]:
    return [_cell(record.get(key), intervals) for key in shown]


def _cell(figure: JsonValue, interval: bool) -> str:
    """A mean, with its interval where there is one to show."""
    if not isinstance(figure, dict):
        return NONE
    mean, half = figure["mean"], figure["ci95"]
    assert isinstance(mean, int | float)
    digits = 1 if mean >= 10 else 3
    if not interval or not isinstance(half, int | float):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {half:.{digits}f}"


def _params(record: Record) -> str:
    params = record["params"]
    assert isinstance(params, dict)
    return ", ".join(f"{name} {value}" for name, value in sorted(params.items())) or "defaults"


def _number(value: JsonValue) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _spelled(name: str) -> str:
    """Returns a figure's name in a card as words."""
    return name.replace("_untold", "_unconditioned").replace("_", " ")
