"""The form of the Studio: errors at their fields, links to it, and files that are dropped."""

import base64
import hashlib
import io
from collections.abc import Callable

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from models.music.midi import write_midi
from models.score import Note, Score
from tests.e2e.conftest import PAINTER, WRITER, Stack
from tests.studio.conftest import PLAYER
from tests.studio.forms import DROP, card, field, form, generate, has_picture
from tests.studio.visitor import Visitor

pytestmark = [pytest.mark.stack, pytest.mark.slow]

SIZE = 32  # pixels of what the tiny model paints
TUNE = write_midi(Score((Note(0.0, 0.4, 60), Note(0.4, 0.8, 62))))


def drop(page: Page, name: str, content_type: str, content: bytes) -> str:
    """Drops a file onto the form, and returns its hash once it is stored."""
    form_box = page.locator("section.panel form").element_handle()
    encoded = base64.b64encode(content).decode()
    with page.expect_response("**/artifacts") as answer:
        page.evaluate(DROP, [form_box, name, content_type, encoded])
    sha256: str = answer.value.json()["sha256"]
    assert sha256 == hashlib.sha256(content).hexdigest()
    return sha256


def picture(size: int) -> bytes:
    """A gradient of every colour."""
    across, down = np.meshgrid(np.linspace(0, 255, size), np.linspace(0, 255, size))
    pixels = np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pixels_of(api: httpx.Client, sha256: str, mode: str = "RGB") -> np.ndarray:
    data = api.get(f"/artifacts/{sha256}").raise_for_status().content
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode), dtype=int)


def test_an_error_is_shown_at_its_field(visitor: Visitor) -> None:
    page = visitor.open(form(PAINTER, steps=0, prompt="x"))
    page.get_by_role("button", name="Generate").click()
    steps = field(page, "steps")
    expect(steps.get_by_role("alert")).to_contain_text("between 1 and 1000")
    control = steps.locator("input:focus")
    expect(control).to_be_visible()
    expect(steps.locator("#field-steps")).to_have_attribute("aria-invalid", "true")
    described = steps.locator("#field-steps").get_attribute("aria-describedby") or ""
    assert "field-steps-error" in described.split()
    steps.locator("#field-steps").fill("2")
    expect(steps.get_by_role("alert")).to_have_count(0)
    page.locator("#field-prompt").fill("")
    page.get_by_role("button", name="Generate").click()
    expect(field(page, "prompt").get_by_role("alert")).to_be_visible()


def test_the_address_holds_the_form(service: Stack, visit: Callable[..., Visitor]) -> None:
    page = visit(service.url).open(form(PAINTER, seed=3))
    page.locator("#field-prompt").fill('"a" red & blue #1 apple? 100%')
    page.locator("summary", has_text="More settings").click()
    page.locator("#field-steps").fill("7")
    page.locator("#field-style").select_option(label="round")
    page.wait_for_url("**style=*")
    other = visit(service.url).open(page.url)
    for name in ("prompt", "steps", "style"):
        control = f"#field-{name}"
        expect(other.locator(control)).to_have_value(page.locator(control).input_value())
    expect(other.locator("#field-steps")).to_have_value("7")
    expect(other.locator("#model")).to_have_value(PAINTER)
    answers = []
    for each in (page, other):
        job = generate(each)
        answers.append(each.request.get(f"/jobs/{job}").json()["input"])
    assert answers[0] == answers[1]
    assert answers[0]["prompt"] == '"a" red & blue #1 apple? 100%'


def test_a_dropped_midi_file_is_played(visitor: Visitor, api: httpx.Client) -> None:
    page = visitor.open(form(PLAYER, seconds=0.5))
    sha256 = drop(page, "tune.mid", "", TUNE)
    assert has_picture(field(page, "score").get_by_role("img"))
    job = generate(page)
    assert api.get(f"/jobs/{job}").json()["input"]["score"] == sha256
    expect(card(page, job).locator(".badge.completed")).to_be_visible()


def test_a_file_that_no_field_takes_is_refused(visitor: Visitor) -> None:
    page = visitor.open(form(WRITER))
    box = page.locator("section.panel form").element_handle()
    page.evaluate(DROP, [box, "tune.mid", "audio/midi", base64.b64encode(TUNE).decode()])
    expect(page.get_by_text("This model takes no such file.")).to_be_visible()
    assert not [x for x in visitor.requests if x.url.endswith("/artifacts")]


def test_a_mask_is_drawn_over_a_dropped_picture_and_respected(
    visitor: Visitor, api: httpx.Client
) -> None:
    page = visitor.open(form(PAINTER, prompt="a red apple", steps=4, seed=1))
    original = drop(page, "gradient.png", "image/png", picture(SIZE))
    assert has_picture(field(page, "init_image").get_by_role("img"))
    field(page, "mask").get_by_role("button", name="Draw a mask").click()
    canvas = page.get_by_role("dialog").locator("canvas")
    expect(canvas).to_have_attribute("width", str(SIZE))
    box = canvas.bounding_box()
    assert box is not None

    def at(x: float, y: float) -> tuple[float, float]:
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    page.mouse.move(*at(0.2, 0.1))
    page.mouse.down()
    page.mouse.move(*at(0.2, 0.9), steps=4)
    page.mouse.up()
    with page.expect_response("**/artifacts") as answer:
        page.get_by_role("button", name="Use the mask").click()
    drawn = answer.value.json()["sha256"]
    mask = pixels_of(api, drawn, "L")
    assert mask.shape == (SIZE, SIZE)
    assert set(np.unique(mask)) == {0, 255}
    assert mask[16, 6] == 255  # below the stroke
    assert (mask[:, 16:] == 0).all()
    expect(field(page, "mask").get_by_role("img")).to_be_visible()
    job = generate(page)
    expect(card(page, job).locator(".badge.completed")).to_be_visible()
    record = api.get(f"/jobs/{job}").json()
    assert record["input"]["mask"] == drawn
    assert record["input"]["init_image"] == original
    painted = pixels_of(api, record["outputs"][0]["sha256"])
    before = pixels_of(api, original)
    assert painted.shape == before.shape
    assert (painted[mask == 0] == before[mask == 0]).all()
    assert (painted[mask == 255] != before[mask == 255]).any(axis=-1).mean() > 0.5


def test_a_mask_is_drawn_by_keyboard(visitor: Visitor, api: httpx.Client) -> None:
    page = visitor.open(form(PAINTER, prompt="a red apple", steps=2))
    drop(page, "gradient.png", "image/png", picture(SIZE))
    expect(field(page, "init_image").get_by_role("img")).to_be_visible()
    button = field(page, "mask").get_by_role("button", name="Draw a mask")
    button.focus()
    page.keyboard.press("Enter")
    canvas = page.get_by_role("dialog").locator("canvas")
    expect(canvas).to_have_attribute("width", str(SIZE))
    while not canvas.evaluate("(canvas) => canvas === document.activeElement"):
        page.keyboard.press("Tab")
    for key in ("ArrowLeft", "ArrowLeft", "Space", "Tab"):
        page.keyboard.press(key)
    with page.expect_response("**/artifacts") as answer:
        while page.evaluate("document.activeElement.textContent") != "Use the mask":
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
    mask = pixels_of(api, answer.value.json()["sha256"], "L")
    assert mask[16, 16 - 3] == 255
    assert mask[16, 24] == 0
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()
