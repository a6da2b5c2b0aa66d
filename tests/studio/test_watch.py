"""Jobs in the Studio as they run: previews, text and sound before the end, from any browser."""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import PAINTER, WRITER, Stack
from tests.studio.conftest import FILMER, PLAYER
from tests.studio.forms import card, form, generate, has_picture
from tests.studio.visitor import Visitor

pytestmark = [pytest.mark.stack, pytest.mark.slow]

WATCH = """() => {
  window.lengths = [];
  const look = () => {
    const length = document.querySelector('.tile.text.live')?.textContent.length ?? 0;
    if (length && length !== window.lengths.at(-1)) window.lengths.push(length);
    requestAnimationFrame(look);
  };
  look();
}"""
SOUNDS = """(job) => {
  const card = document.querySelector(`[data-job="${job}"]`);
  return card.matches('.in_progress') && card.querySelector('audio')?.currentTime > 0;
}"""
ENDED = """(video) => new Promise((done) => {
  video.loop = false;
  video.addEventListener('ended', () => done(video.currentTime === video.duration));
  video.currentTime = 0;
  video.play();
})"""
SLOWLY = {"prompt": "a red apple", "steps": 60, "n": 4}


def test_a_picture_is_previewed_and_then_shown(page: Page) -> None:
    page.get_by_role("radio", name="Text to image").check(force=True)
    page.get_by_label("Prompt", exact=False).first.fill("a red apple")
    page.locator("summary", has_text="More settings").click()
    page.locator("#field-steps").fill("100")
    job = generate(page)
    # only a job that runs has such an image
    assert has_picture(card(page, job).locator("img.preview"))
    expect(card(page, job).locator(".badge.completed")).to_be_visible()
    assert has_picture(card(page, job).get_by_role("img", name="a red apple (1)"))


def test_a_reload_and_another_browser_follow_a_job(
    service: Stack, visit: Callable[..., Visitor]
) -> None:
    page = visit(service.url).open(form(PAINTER, **SLOWLY))
    job = generate(page)
    other = visit(service.url).open()
    expect(card(other, job).locator("img.preview").first).to_be_visible()
    page.reload()
    expect(card(page, job).locator("img.preview").first).to_be_visible()
    for each in (page, other):
        expect(card(each, job).locator(".badge.completed")).to_be_visible()
        expect(card(each, job).get_by_role("img", name="a red apple (")).to_have_count(SLOWLY["n"])


def test_a_story_appears_as_it_is_written(visitor: Visitor) -> None:
    page = visitor.open(form(WRITER, prompt="once", max_tokens=800, seed=8))
    page.evaluate(WATCH)
    job = generate(page)
    expect(card(page, job).locator(".badge.completed")).to_be_visible()
    lengths = page.evaluate("window.lengths")
    assert len(lengths) > 2
    assert lengths == sorted(lengths)
    expect(card(page, job).locator("a.tile.text")).to_be_visible()


def test_music_plays_while_it_is_made_until_it_is_canceled(visitor: Visitor) -> None:
    page = visitor.open(form(PLAYER, unconditioned="true", seconds=60, n=2))
    job = generate(page)
    card(page, job).get_by_role("button", name="Listen to it as it is made").first.click()
    page.wait_for_function(SOUNDS, arg=job)
    card(page, job).get_by_role("button", name="Cancel").click()
    expect(card(page, job).locator(".badge.canceled")).to_be_visible()


def test_a_video_plays_to_its_end(visitor: Visitor, api: httpx.Client) -> None:
    page = visitor.open(form(FILMER, prompt="a dancing cat", steps=2, fps=60))
    job = generate(page)
    card(page, job).locator("a.tile").click()
    expect(page.get_by_role("heading", name="a dancing cat")).to_be_visible()
    video = page.locator(".viewer video")
    assert video.evaluate(ENDED)
    outputs = api.get(f"/jobs/{job}").json()["outputs"]
    (output,) = [x for x in outputs if x["role"] == "video"]
    assert video.evaluate("(video) => video.duration") == pytest.approx(output["seconds"], abs=0.1)


def test_a_job_generated_again_has_the_same_bytes(visitor: Visitor, api: httpx.Client) -> None:
    page = visitor.open(form(PAINTER, prompt="a red apple", steps=4))
    job = generate(page)
    card(page, job).locator("a.tile").click()
    with page.expect_response("**/generate/text-to-image") as answer:
        page.get_by_role("button", name="Generate again").click()
    expect(page.locator(".verdict.same", has_text="Same bytes")).to_be_visible()
    jobs = [api.get(f"/jobs/{x}").json() for x in (job, answer.value.json()["id"])]
    first, second = ([x["sha256"] for x in each["outputs"]] for each in jobs)
    assert first == second
    assert jobs[0]["id"] != jobs[1]["id"]
