"""`atelier inspect` and `regenerate`: what a file says of how it was made, and making it again."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from atelier.cli.options import ApiKey, Url, client
from atelier.cli.output import fail, failing_in_one_line, show_json
from atelier.cli.results import formats_of, save_outputs
from atelier.cli.terminal.progress import cancel_on_interrupt
from models.modalities import MODALITIES

CHUNK = "atelier"  # of PNG text
SOUNDS = (b"fLaC", b"OggS", b"ID3", b"MThd")  # how audio files and scores begin, except WAV
FACTS = b'{"checkpoint": "'  # how the facts begin
IMAGE_DESCRIPTION = 0x010E  # the EXIF tag, in WebP
FORMATS = {suffix: name for row in MODALITIES for suffix, name in formats_of(row).items()}


def inspect(
    file: Annotated[Path, typer.Argument(help="A file made here, or a checkpoint.")],
) -> None:
    """Show what made a file, or the header of a checkpoint."""
    from models.checkpoint.header import SUFFIX, file_sha256, read_header

    if not file.is_file():
        raise fail(f"no file {file}")
    if file.suffix == SUFFIX:
        with failing_in_one_line("worker"):
            header = read_header(file).model_dump(mode="json")
        show_json(header | {"sha256": file_sha256(file)})
        return
    show_json(facts_of(file))


def facts_of(file: Path) -> Any:
    """Reads what workers.encoders.encode wrote into a file, without torch."""
    facts = audio_facts(file)
    if facts is None:
        facts = image_facts(file)
    if not isinstance(facts, dict) or "checkpoint" not in facts:
        raise fail(f"{file} does not say what made it")
    return facts


def audio_facts(file: Path) -> Any:
    """Reads the tags of an audio file, a score or an MP4: ASCII in one piece in each format.

    Returns None for other files, `{}` where there are no facts.
    """
    data = file.read_bytes()
    if not data.startswith(SOUNDS) and data[8:12] != b"WAVE" and data[4:8] != b"ftyp":
        return None
    start = data.find(FACTS)
    text = data[start:].decode("latin-1") if start >= 0 else ""
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except ValueError:
        return {}


def image_facts(file: Path) -> Any:
    """Reads the text of an image, or None."""
    with failing_in_one_line("worker"):
        from PIL import Image, UnidentifiedImageError
    try:
        with Image.open(file) as image:
            texts = (image.info.get(name) for name in (CHUNK, "comment"))  # of PNG, of GIF
            text = next(filter(None, texts), None) or image.getexif().get(IMAGE_DESCRIPTION)
            return json.loads(text or "null")
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise fail(f"{file} is no picture, sound, score, video or checkpoint") from None
    except ValueError:
        return None


def regenerate(
    file: Annotated[Path, typer.Argument(help="A file made here.", exists=True, dir_okay=False)],
    to: Annotated[Path | None, typer.Option("--out", help="Folder to save it in again.")] = None,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Generate a file again from the facts that it contains, and compare the bytes."""
    facts, wanted = facts_of(file), hashlib.sha256(file.read_bytes()).hexdigest()
    with client(url, api_key) as service:
        card = service.model(facts["model"])
        if card["sha256"] != facts["checkpoint"]:
            raise fail(f"{facts['model']} has other weights now than when {file} was made")
        job = service.submit(card["modality"], request_of(file, facts))
        with cancel_on_interrupt(job, keep=False):
            job.wait()
        saved = [] if to is None else save_outputs(job, to, keep=False)
        same = any(output.sha256 == wanted for output in job.outputs)
    print(*saved, sep="\n", end="\n" if saved else "")
    if not same:
        raise fail(f"{job.id} made other bytes than those of {file}")
    print("the same bytes")


def request_of(file: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Returns the request that a file's facts repeat. Params that are null keep their defaults."""
    suffix = file.suffix.lower()
    if suffix not in FORMATS:
        raise fail(f"{file} is no file that a model here makes, by its name")
    params = {k: v for k, v in facts["params"].items() if v is not None}
    # a score, a poster or sheet of a video, and the animation of an interpolation have one format
    fixed = suffix == ".mid" or (suffix == ".png" and "fps" in params)
    fixed |= suffix == ".webp" and "interpolate" in params
    common = {"model": facts["model"], "seed": facts["seed"]}
    common |= {k: facts[k] for k in ("n", "grid", "output_size") if k in facts}
    return params | common | ({} if fixed else {"output_format": FORMATS[suffix]})
