"""Writes docs/quality.md: every checkpoint's figures in tables, and a sheet of its samples.

The figures come from the cards and the figure files, where `atelier eval` writes them; the samples
have a fixed seed.
The same checkpoints give the same page.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image

from models.checkpoint.header import SUFFIX, Header, read_header
from models.checkpoint.weights import Checkpoint, load, weights_sha256
from models.families import FAMILIES
from training.evaluation.emoji_prompts import emoji_of
from training.evaluation.evaluator import EvaluationRefused, requests_of
from training.evaluation.figure_file import FigureFile, figure_files
from training.evaluation.image import image_requests, takes_prompt
from training.evaluation.report.music_sheet import music_sheet
from training.evaluation.report.nearest_sheet import painted_beside_nearest
from training.evaluation.report.prompts import KNOWN, MOVING, NOT_MOVING, STANDING, UNSEEN, titled
from training.evaluation.report.sweeps import draw, sweep_of
from training.evaluation.report.tables import (
    BITS,
    BOUNDS,
    LATENTS,
    comparisons,
    evaluations,
    figure_table,
    side_by_side,
)
from training.evaluation.report.video_sheet import VideoSheet
from training.generate import generate_pixels, load_model
from training.loop.progress import sheet
from training.publish import JUDGES

CPU = torch.device("cpu")
SMALL = 32  # pixels; of pictures up to this side a sheet has more

INTRODUCTION = """# Quality

How good the pictures, the clips, the music and the texts of the shipped checkpoints are. \
`make quality` writes this page from the checkpoints' own cards and from the files \
`docs/quality/*.json`. `atelier eval CHECKPOINT` writes the figures into a card, or with `--out` \
into such a file. [metrics.md](metrics.md) tells what each figure means. FED is a Fréchet distance \
by EfficientNet-Lite0: it is no FID, and can't be compared with one.

A figure is a mean over seeds, with its 95 % interval where there are at least five. Beside the \
models stand two floors: *training pictures*, what as many of those reach against the same \
held-out pictures, and *noise*, what uniform noise does. Where noise does well the figure says \
little; precision and recall are left out where noise has a precision of 1. Only figures of one \
table can be compared.

Poems in a form stand in [performance.md](performance.md#poems-in-a-form) too, with what they cost.
"""


def write_report(checkpoints: Path, out: Path, ids: Sequence[str] = ()) -> Path:
    """Writes `out/quality.md`, and the pictures of these checkpoints, or of all, in `out/quality`.

    Returns the path of the page. Raises EvaluationRefused for an id of no checkpoint.
    """
    cards, judges = _cards(checkpoints), _cards(checkpoints / JUDGES)
    if unknown := [id_ for id_ in ids if id_ not in cards]:
        raise EvaluationRefused(f"there is no checkpoint {unknown[0]}; known: {', '.join(cards)}")
    shown = {name for name, card in cards.items() if FAMILIES[card.family].modality != "story"}
    (out / "quality").mkdir(parents=True, exist_ok=True)
    for name in shown.intersection(ids or shown):
        _draw_sheets(load(checkpoints / f"{name}{SUFFIX}"), out / "quality" / f"{name}.png")
    page = out / "quality.md"
    cards = with_files(cards, figure_files(out / "quality"), checkpoints)
    tables = [
        comparisons(evaluations(cards)),
        side_by_side(cards, BOUNDS, "Bounds and likelihoods"),
        side_by_side(cards, LATENTS, "Disentanglement"),
        side_by_side(cards, BITS, "Bits of held-out sequences"),
    ]
    sections = [_section(name, card, out, shown=name in shown) for name, card in cards.items()]
    sections += [_section(name, card, out, shown=False) for name, card in judges.items()]
    texts = [INTRODUCTION, *tables, *sections]
    page.write_text("\n".join(text for text in texts if text), encoding="utf-8")
    return page


def _draw_sheets(checkpoint: Checkpoint, picture: Path) -> None:
    """Draws what a checkpoint makes into `picture`, and what its kind has into files beside it."""
    card = checkpoint.header
    if FAMILIES[card.family].modality == "video":
        clips = VideoSheet.of(checkpoint)
        clips.sheet().save(picture, optimize=True)
        clips.beside_nearest().save(_beside(picture), optimize=True)
        return
    contact_sheet(checkpoint).save(picture, optimize=True)
    if (emoji := emoji_of(card)) is not None:
        painted_beside_nearest(checkpoint, emoji).save(_beside(picture), optimize=True)
    if sweep := sweep_of(card):
        draw(sweep, picture.with_name(f"{picture.stem}-guidance.png"))


def with_files(
    cards: Mapping[str, Header], files: Iterable[FigureFile], checkpoints: Path
) -> dict[str, Header]:
    """Returns the cards with the records of figure files, in the order of their names.

    A file whose checkpoint isn't there has a card of its own. Where the checkpoint has other
    weights by now, the file's records are left out, and its card says so.
    """
    merged = dict(cards)
    for file in files:
        card = cards.get(file.checkpoint)
        if card is None:
            merged[file.checkpoint] = file.card()
        elif (
            weights_sha256(load(checkpoints / f"{file.checkpoint}{SUFFIX}").tensors) != file.weights
        ):
            text = f"{card.limitations} The figures in its file are of earlier weights."
            merged[file.checkpoint] = card.model_copy(update={"limitations": text.strip()})
        else:
            merged[file.checkpoint] = file.added_to(card)
    return dict(sorted(merged.items()))


def contact_sheet(checkpoint: Checkpoint) -> Image.Image:
    """Pictures of seed 0 with default params; a row for each label where a model has any."""
    header, model = checkpoint.header, load_model(checkpoint, CPU)
    if FAMILIES[header.family].modality == "audio":
        return music_sheet(header, model)
    if takes_prompt(header):
        prompts = [*KNOWN, *UNSEEN]
        requests = requests_of(header, {}, [{"prompt": prompt} for prompt in prompts])
        return titled(generate_pixels(model, requests, 0, CPU), prompts, 8)
    first = image_requests(header, {}, 1)
    side = generate_pixels(model, first.params, 0, CPU).shape[3]
    kinds = 0 if first.label is None else len(header.labels)
    columns, rows = (10, kinds) if kinds else (16, 6) if side <= SMALL else (10, 4)
    requests = image_requests(header, {}, columns * rows).params  # the labels in turn
    if kinds:
        requests = [requests[kind] for kind in range(kinds) for _ in range(columns)]
    pictures = generate_pixels(model, requests, 0, CPU)
    page = sheet(pictures.float().div(255), columns)
    if pictures.shape[1] == 1:
        return page.convert("L")
    return page.quantize(256, dither=Image.Dither.NONE)  # or the file is half as large again


def _beside(picture: Path) -> Path:
    return picture.with_stem(f"{picture.stem}-nearest")


def _section(name: str, card: Header, out: Path, *, shown: bool) -> str:
    paragraphs = [f"## {name}", card.description, card.limitations]
    if shown and FAMILIES[card.family].modality == "audio":
        paragraphs += [f"![Music of {name}](quality/{name}.png)", "Seed 0, default params."]
    elif shown and FAMILIES[card.family].modality == "video":
        paragraphs += [
            f"![Clips of {name}](quality/{name}.png)",
            f"Seed 0, default params, frame by frame: {len(MOVING)} emoji that were learnt from, "
            f"{len(NOT_MOVING)} that were never seen to move, {len(STANDING)} things that no clip "
            "shows.",
            f"![Clips of {name} beside known ones](quality/{_beside(Path(name)).name}.png)",
            "Clips, and below each the one that is most like it among those that were learnt from, "
            "with their root mean square difference, of 255.",
        ]
    elif card.family in FAMILIES and FAMILIES[card.family].modality == "story":
        paragraphs.append("[Samples](samples.md) of its stories and poems.")
    elif shown:
        order = ", a row for each label" if card.labels else ""
        if takes_prompt(card):
            order = f": {len(KNOWN)} names of emoji, then {len(UNSEEN)} things that no set has"
        paragraphs += [
            f"![Pictures of {name}](quality/{name}.png)",
            f"Seed 0, default params{order}.",
        ]
        if _beside(out / "quality" / f"{name}.png").exists():
            paragraphs += [
                f"![Pictures of {name} beside known ones](quality/{name}-nearest.png)",
                "Pictures, and below each the most similar one that was learnt from, with their "
                "root mean square difference, of 255.",
            ]
    if (out / "quality" / f"{name}-before.png").exists():
        paragraphs += [
            f"![Earlier pictures of {name}](quality/{name}-before.png)",
            "The same from the checkpoint before it was trained anew.",
        ]
    if sweep_of(card):
        paragraphs.append(f"![Guidance of {name}](quality/{name}-guidance.png)")
    paragraphs.append(figure_table(card.quality))
    return "\n\n".join(text for text in paragraphs if text).rstrip() + "\n"


def _cards(folder: Path) -> dict[str, Header]:
    return {path.stem: read_header(path) for path in sorted(folder.glob(f"*{SUFFIX}"))}
