"""docs/quality.md: every checkpoint's figures in tables, and a sheet of its pictures.

All is read off the cards, which `atelier eval` has written; the sheets are drawn from a fixed seed.
The same checkpoints give the same page.
"""

from pathlib import Path

import torch
from PIL import Image

from models.checkpoint.header import SUFFIX, Header, read_header
from models.checkpoint.weights import load
from models.families import FAMILIES
from training.evaluation.evaluate import takes_words, wanted
from training.evaluation.prompts import KNOWN, MOVING, NOT_MOVING, STANDING, UNSEEN, titled
from training.evaluation.spectrograms import music_sheet
from training.evaluation.sweeps import draw, sweep_of
from training.evaluation.tables import (
    BITS,
    BOUNDS,
    LATENTS,
    comparisons,
    evaluations,
    figures,
    side_by_side,
)
from training.evaluation.video_sheet import Screening
from training.generate import generate_pixels, load_model
from training.loop.progress import sheet
from training.publish import JUDGES

SMALL = 32  # pixels; of pictures up to this side a sheet has more

INTRODUCTION = """# Quality

How good the pictures, the clips and the music of the shipped checkpoints are. `make quality` \
writes this page from the checkpoints' own cards, and `atelier eval CHECKPOINT` the figures into \
the cards. [metrics.md](metrics.md) tells what each figure means. FED is a Fréchet distance by \
EfficientNet-Lite0: it is no FID, and can't be compared with one.

A figure is a mean with its 95 % interval over seeds. Beside the models stand two floors: \
*training pictures*, what as many of those reach against the same held-out pictures, and *noise*, \
what uniform noise does. Where noise does well the figure says little. Only figures of one table \
can be compared.
"""


def write_report(checkpoints: Path, out: Path) -> Path:
    """Write `out/quality.md` and the pictures in `out/quality`; the path of the page."""
    cards, judges = _cards(checkpoints), _cards(checkpoints / JUDGES)
    for name, card in cards.items():
        picture = out / "quality" / f"{name}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        if FAMILIES[card.family].modality == "video":
            screening = Screening.of(load(checkpoints / f"{name}{SUFFIX}"))
            screening.sheet().save(picture, optimize=True)
            screening.beside_known().save(_beside(picture), optimize=True)
            continue
        contact_sheet(checkpoints / f"{name}{SUFFIX}").save(picture, optimize=True)
        if sweep := sweep_of(card):
            draw(sweep, picture.with_name(f"{name}-guidance.png"))
    page = out / "quality.md"
    tables = [
        comparisons(evaluations(cards)),
        side_by_side(cards, BOUNDS, "Bounds and likelihoods"),
        side_by_side(cards, LATENTS, "Disentanglement"),
        side_by_side(cards, BITS, "Bits of held-out sequences"),
    ]
    sections = [_section(name, card, shown=True) for name, card in cards.items()]
    sections += [_section(name, card, shown=False) for name, card in judges.items()]
    parts = [INTRODUCTION, *tables, *sections]
    page.write_text("\n".join(part for part in parts if part), encoding="utf-8")
    return page


def contact_sheet(path: Path) -> Image.Image:
    """Pictures of seed 0 with default params; a row for each label where a model has any."""
    checkpoint, device = load(path), torch.device("cpu")
    if FAMILIES[checkpoint.header.family].modality == "audio":
        return music_sheet(checkpoint)
    model = load_model(checkpoint, device)
    if takes_words(checkpoint.header):
        prompts = [*KNOWN, *UNSEEN]
        told = FAMILIES[checkpoint.header.family].params
        asked = [told.model_validate({**checkpoint.header.defaults, "prompt": p}) for p in prompts]
        return titled(generate_pixels(model, asked, 0, device), prompts, 8)
    first = wanted(checkpoint.header, {}, 1)
    side = generate_pixels(model, first.params, 0, device).shape[3]
    kinds = 0 if first.label is None else len(checkpoint.header.labels)
    columns, rows = (10, kinds) if kinds else (16, 6) if side <= SMALL else (10, 4)
    asked = wanted(checkpoint.header, {}, columns * rows).params  # the labels in turn
    if kinds:
        asked = [asked[kind] for kind in range(kinds) for _ in range(columns)]
    pictures = generate_pixels(model, asked, 0, device)
    page = sheet(pictures.float().div(255), columns)
    if pictures.shape[1] == 1:
        return page.convert("L")
    return page.quantize(256, dither=Image.Dither.NONE)  # or the file is half as large again


def _beside(picture: Path) -> Path:
    return picture.with_stem(f"{picture.stem}-nearest")


def _section(name: str, card: Header, *, shown: bool) -> str:
    parts = [f"## {name}", card.description, card.limitations]
    if shown and FAMILIES[card.family].modality == "audio":
        parts += [f"![Music of {name}](quality/{name}.png)", "Seed 0, default params."]
    elif shown and FAMILIES[card.family].modality == "video":
        parts += [
            f"![Clips of {name}](quality/{name}.png)",
            f"Seed 0, default params, frame by frame: {len(MOVING)} emoji that were learnt from, "
            f"{len(NOT_MOVING)} that were never seen to move, {len(STANDING)} things that no clip "
            "shows.",
            f"![Clips of {name} beside known ones](quality/{_beside(Path(name)).name}.png)",
            "Clips, and below each the one that is most like it among those that were learnt from, "
            "with their root mean square difference, of 255.",
        ]
    elif shown:
        order = ", a row for each label" if card.labels else ""
        if takes_words(card):
            order = f": {len(KNOWN)} names of emoji, then {len(UNSEEN)} things that no set has"
        parts += [f"![Pictures of {name}](quality/{name}.png)", f"Seed 0, default params{order}."]
    if sweep_of(card):
        parts.append(f"![Guidance of {name}](quality/{name}-guidance.png)")
    return "\n\n".join(part for part in (*parts, figures(card.quality)) if part).rstrip() + "\n"


def _cards(folder: Path) -> dict[str, Header]:
    return {path.stem: read_header(path) for path in sorted(folder.glob(f"*{SUFFIX}"))}
