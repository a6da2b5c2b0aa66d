"""Every view of the Studio: accessible, small, and safe whatever a prompt says."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Page, expect

from app.core.settings import Settings
from tests.app.queue.test_job_search import write_jobs
from tests.app.serving import Running, serving
from tests.app.working import Worker
from tests.conftest import MODEL
from tests.studio.library import store_picture, write_results
from tests.studio.visitor import Visitor

pytestmark = pytest.mark.slow

AXE = Path(__file__).parent / "axe" / "axe.min.js"
CHECK = """async () => {
  const {violations} = await axe.run(document, {resultTypes: ['violations']});
  return violations.filter((x) => ['serious', 'critical'].includes(x.impact))
    .map((x) => `${x.id}: ${x.nodes.map((node) => node.html.slice(0, 150)).join(' | ')}`);
}"""
HOSTILE = '<img src=x onerror="window.ran=1"><script>window.ran=1</script>"><b id=evil>\'${1}'
FIRST_LOAD = 150_000  # bytes


@pytest.fixture
def library(settings: Settings) -> Iterator[Running]:
    with serving(settings) as running:
        yield running


def views(jobs: list[str]) -> dict[str, str]:
    """The address of each view, and what it shows once it is there."""
    one, other = jobs
    return {
        "/studio": "form",
        "/studio/gallery": ".cell img",
        f"/studio/results/{one}/0": ".viewer img",
        f"/studio/compare/{one}/0/{other}/0": ".compare img",
        "/studio/models": "article.model",
        "/studio/status": "table, .warning",
    }


def violations(page: Page) -> list[str]:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    problems: list[str] = page.evaluate(CHECK)
    return problems


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    theme: str,
    library: Running,
    connection: "redis.Redis",
    settings: Settings,
    visit: Callable[..., Visitor],
) -> None:
    jobs = write_results(connection, settings, library.client, [{"prompt": "a"}, {"prompt": "b"}])
    page = visit(library.url, color_scheme=theme).open()
    problems = {}
    for path, selector in views(jobs).items():
        page.goto(path)
        page.locator(selector).first.wait_for()
        problems[path] = violations(page)
    assert {path: each for path, each in problems.items() if each} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_where_a_key_is_asked_for(
    theme: str, settings: Settings, tmp_path: Path, visit: Callable[..., Visitor]
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"ann {'0' * 64}\n")
    with serving(settings.model_copy(update={"keys_file": keys})) as running:
        visitor = visit(running.url, color_scheme=theme)
        page = visitor.open()
        page.get_by_label("API key").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert").filter(has_text="key")).to_be_visible()
        assert violations(page) == []


def test_a_prompt_is_never_markup(
    library: Running,
    connection: "redis.Redis",
    settings: Settings,
    visit: Callable[..., Visitor],
) -> None:
    jobs = write_results(connection, settings, library.client, [{"prompt": HOSTILE}] * 2)
    page = visit(library.url).open()
    for path, selector in views(jobs).items():
        page.goto(path)
        page.locator(selector).first.wait_for()
        if "models" not in path and "status" not in path:
            expect(page.get_by_text("<img src=x").first).to_be_attached()
        assert_harmless(page, path)
    page.goto(f"/studio/results/{jobs[0]}/0")
    for tab in ("Python", "OpenAI", "curl"):
        label = page.locator(".segments label", has_text=tab)
        if label.count():
            label.click()
            expect(page.locator(".code-box pre")).to_contain_text("onerror")
            assert_harmless(page, tab)


def test_a_live_card_and_a_text_are_never_markup(
    library: Running,
    connection: "redis.Redis",
    settings: Settings,
    visit: Callable[..., Visitor],
) -> None:
    """One job never ends. The other one has a hostile title and text."""
    written, _ = write_jobs(connection, settings, [{"prompt": HOSTILE}] * 2, model=MODEL)
    text = {**store_picture(library.client), "role": "text", "text": HOSTILE, "title": HOSTILE}
    worker = Worker(connection)
    worker.claim()
    worker.finish(written, output=text | {"content_type": "text/plain"})
    page = visit(library.url).open()
    expect(page.locator("article.job")).to_have_count(2)
    expect(page.locator(".tile.text")).to_contain_text("<img src=x")
    assert_harmless(page, "cards")
    page.goto("/studio/gallery")
    expect(page.locator(".cell .tile.text")).to_contain_text("<img src=x")
    assert_harmless(page, "gallery")
    page.goto(f"/studio/results/{written}/0")
    expect(page.locator(".prose")).to_contain_text("<img src=x")
    assert_harmless(page, "result")


def assert_harmless(page: Page, where: str) -> None:
    """Nothing was made of the prompt, and nothing of it ran."""
    assert page.locator("#evil, #app script, [onerror], img[src=x]").count() == 0, where
    assert page.evaluate("window.ran") is None, where


def test_the_first_load_is_small(library: Running, visit: Callable[..., Visitor]) -> None:
    """All bytes that come over the network, also those of GET /models."""
    visitor = visit(library.url)
    page = visitor.context.new_page()
    network = visitor.context.new_cdp_session(page)
    network.send("Network.enable")
    sizes: list[float] = []
    network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto("/")
    page.locator("form").wait_for()
    page.wait_for_load_state("networkidle")
    assert any(x.url.endswith("/models") for x in visitor.requests)
    assert len(sizes) > 30
    print("bytes of the first load:", sum(sizes))
    assert sum(sizes) < FIRST_LOAD
