"""`atelier data`: builds training data that takes long, before a training needs it."""

from pathlib import Path
from typing import Annotated

import typer

from atelier.cli.output import fail, failing_in_one_line, show_rows

INTERRUPTED = "stopped; the same command goes on"

data = typer.Typer(
    help="Build training data ahead, into the cache.",
    no_args_is_help=True,
)


@data.callback()
def _group() -> None:
    """A group of its own: `atelier data music`, `atelier data video`."""


@data.command()
def music(
    minutes: Annotated[float, typer.Option(min=0.1, help="Minutes of sound a style.")] = 120,
    style: Annotated[
        list[str] | None, typer.Option(help="Only this style; as often as needed.")
    ] = None,
    own: Annotated[
        Path | None,
        typer.Option(
            "--from", help="A folder of your own: a folder a style, of WAV, FLAC, MP3, OGG or MIDI."
        ),
    ] = None,
    font: Annotated[Path | None, typer.Option(help="A sound font, if not FluidR3.")] = None,
) -> None:
    """Compose and play music in four styles, or read your own, with the notes beside the sound.

    An interrupted build resumes. Prints the folder and what is in it.
    """
    if own is not None and style:
        raise fail("--style is for the built styles; in a folder of your own they are its folders")
    with failing_in_one_line("train", INTERRUPTED):
        from training.data.music.build import build_music
        from training.data.music.own_music import build_own
        from training.data.music.shards import summary

        folder = (
            build_music(minutes, style or (), font)
            if own is None
            else build_own(own, minutes, font)
        )
        rows = summary(folder)
    print(folder)
    show_rows(rows)


@data.command()
def video(
    frames: Annotated[int, typer.Option(min=2, max=64, help="Frames of a clip.")] = 16,
    size: Annotated[int, typer.Option(min=8, max=512, help="Pixels a side.")] = 64,
    own: Annotated[
        Path | None,
        typer.Option(
            "--from", help="A folder of your own videos: MP4, WebM, MOV, MKV, GIF or WebP."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.1, max=240, help="Your own: frames a second, not evenly over each."),
    ] = None,
) -> None:
    """Decode moving emoji into clips with captions, or your own videos.

    An interrupted build resumes. Prints the folder and what is in it.
    """
    if own is None and rate is not None:
        raise fail("--rate is for a folder of your own; emoji are loops, taken whole")
    with failing_in_one_line("train", INTERRUPTED):
        from training.data.video.clips import build, summary
        from training.data.video.own_clips import build_own_clips

        folder = build(frames, size) if own is None else build_own_clips(own, frames, size, rate)
        rows = summary(folder)
    print(folder)
    show_rows(rows)
