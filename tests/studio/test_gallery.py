"""A gallery of a thousand results: it filters, and no task of a scroll is long."""

import json
import zipfile
from collections.abc import Callable

import pytest
import redis
from playwright.sync_api import Browser, Page, expect

from app.core.settings import Settings
from tests.app.serving import serving
from tests.studio.library import write_results
from tests.studio.visitor import Visitor

pytestmark = pytest.mark.slow

COUNT = 1000
FRAME = 100_000  # microseconds of one thread's work
SCROLL = """() => new Promise((done) => {
  const count = document.querySelector(".gallery [role=status]");
  let still = 0;
  let most = 0;
  const step = () => {
    const before = scrollY;
    scrollBy(0, 400);
    most = Math.max(most, document.querySelectorAll('.cell').length);
    still = scrollY === before ? still + 1 : 0;
    if (count.textContent === "1000 results" && still > 2) done(most);
    else requestAnimationFrame(step);
  };
  step();
})"""


def longest_task(trace: bytes) -> float:
    """Microseconds that the longest task of a page took of its thread, whatever else runs on the
    machine."""
    events = json.loads(trace)["traceEvents"]
    names = [x for x in events if x["name"] == "thread_name"]
    mains = {(x["pid"], x["tid"]) for x in names if x["args"]["name"] == "CrRendererMain"}
    tasks = [x for x in events if x["name"].endswith("RunTask") and (x["pid"], x["tid"]) in mains]
    assert len(tasks) > 100
    return max(float(x.get("tdur", 0)) for x in tasks)


def scrolled(browser: Browser, page: Page) -> bytes:
    browser.start_tracing(
        page=page, categories=["toplevel", "disabled-by-default-devtools.timeline"]
    )
    most = page.evaluate(SCROLL)
    trace: bytes = browser.stop_tracing()
    assert 0 < most < 200  # cells that exist at a time
    return trace


def test_a_thousand_results_scroll_and_filter(
    browser: Browser,
    settings: Settings,
    connection: "redis.Redis",
    visit: Callable[..., Visitor],
) -> None:
    inputs = [{"prompt": f"{'apple' if i % 100 == 7 else 'pear'} {i}"} for i in range(COUNT)]
    with serving(settings) as running:
        write_results(connection, settings, running.client, inputs)
        page = visit(running.url).open("/studio/gallery")
        page.locator(".cell img").first.wait_for()
        longest = longest_task(scrolled(browser, page))
        print("milliseconds of the longest task:", longest / 1000)
        assert 0 < longest < FRAME
        page.get_by_role("searchbox").fill("apple")
        expect(page.get_by_role("status").filter(has_text="10 results")).to_be_visible()
        expect(page.locator(".cell")).to_have_count(10)
        page.get_by_role("searchbox").fill("apple 907")
        expect(page.locator(".cell")).to_have_count(1)
        page.locator(".cell .star").click()
        page.get_by_role("searchbox").fill("")
        page.get_by_label("Favourites").check()
        expect(page.locator(".cell")).to_have_count(1)
        expect(page.locator(".cell")).to_contain_text("apple 907")
        page.get_by_label("Favourites").uncheck()
        check_selection(page)


def check_selection(page: Page) -> None:
    """Three results with Shift, as a ZIP file; then they are deleted, and no others."""
    page.get_by_role("searchbox").fill("apple")
    expect(page.locator(".cell")).to_have_count(10)
    boxes = page.locator(".cell input[type=checkbox]")
    boxes.nth(1).click()
    boxes.nth(3).click(modifiers=["Shift"])
    bar = page.get_by_role("toolbar")
    expect(bar).to_contain_text("3 selected")
    with page.expect_download() as saved:
        bar.get_by_role("button", name="Download").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        names = archive.namelist()
        prompts = [x["input"]["prompt"] for x in json.loads(archive.read("jobs.json"))["jobs"]]
    assert sorted(name.rpartition(".")[2] for name in names) == ["json", "png", "png", "png"]
    assert sorted(prompts) == ["apple 607", "apple 707", "apple 807"]
    page.on("dialog", lambda dialog: dialog.accept())
    bar.get_by_role("button", name="Delete").click()
    expect(page.locator(".cell")).to_have_count(7)
    expect(bar).to_have_count(0)
