"""Pictures on a terminal."""

import io

import pytest
from PIL import Image
from rich.console import Console

from atelier.cli.output import as_value
from atelier.cli.terminal.terminal_image import JobDisplay, as_text


def png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def test_a_picture_is_drawn_with_two_pixels_a_character() -> None:
    picture = Image.new("RGB", (4, 4), "red")
    picture.paste("blue", (0, 2, 4, 4))
    text = as_text(png(picture), 4, 10)
    assert text is not None
    assert text.plain == "▀▀▀▀\n▀▀▀▀"
    colours = [(s.style.color.name, s.style.bgcolor.name) for s in text.spans]  # type: ignore[union-attr]
    assert colours == [("#ff0000", "#ff0000")] * 4 + [("#0000ff", "#0000ff")] * 4
    assert as_text(b"no picture", 4, 4) is None


@pytest.mark.parametrize(
    ("size", "columns", "lines"),
    [
        ((64, 64), 48, 24),
        ((64, 64), 42, 21),
        ((64, 128), 20, 20),
        ((512, 8), 80, 1),
        ((1, 99), 1, 9),
    ],
)
def test_a_picture_fits_the_room_there_is(size: tuple[int, int], columns: int, lines: int) -> None:
    text = as_text(png(Image.new("RGB", size)), 80 if size[0] > 99 else 48, lines)
    assert text is not None
    rows = text.plain.split("\n")
    assert len(rows) <= lines
    assert {len(row) for row in rows} == {columns}


def test_a_terminal_without_colours_has_no_pictures() -> None:
    said = io.StringIO()
    JobDisplay(Console(file=said, force_terminal=True, no_color=True)).show(
        png(Image.new("L", (4, 4)))
    )
    assert said.getvalue() == ""
    JobDisplay(Console(file=said, force_terminal=True, color_system="truecolor")).show(
        png(Image.new("L", (4, 4)))
    )
    assert said.getvalue().count("▀") > 4


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("0.5", 0.5), ("noto", "noto"), ('{"to_seed": 5}', {"to_seed": 5}), ("null", None)]
    + [(text, text) for text in ("NaN", "-Infinity", "1e999", '{"a": NaN}', "", "'a'")],
)
def test_a_value_is_json_where_it_reads_as_json(text: str, value: object) -> None:
    assert as_value(text) == value
