"""The Studio by keyboard alone: from the form to a result, a favourite and a cancel."""

import pytest
from playwright.sync_api import Page, expect

from tests.studio.forms import card, is_request
from tests.studio.visitor import Visitor

pytestmark = [pytest.mark.stack, pytest.mark.slow]

MOST = 80  # presses of Tab to reach what a page has


def tab_to(page: Page, selector: str) -> None:
    """Presses Tab until that has the focus, which is visible at each stop on the way."""
    for _ in range(MOST):
        page.keyboard.press("Tab")
        if page.evaluate("(x) => document.activeElement?.matches(x)", selector):
            assert page.evaluate(OUTLINED), selector
            return
    raise AssertionError(f"Tab doesn't reach {selector}")


OUTLINED = """() => {
  const own = getComputedStyle(document.activeElement);
  const around = getComputedStyle(document.activeElement.parentElement);
  return [own, around].some((x) => x.outlineStyle !== 'none' && parseFloat(x.outlineWidth) > 0);
}"""


def ask(page: Page) -> str:
    with page.expect_response(is_request) as answer:
        page.keyboard.press("Control+Enter")
    job: str = answer.value.json()["id"]
    return job


def test_the_whole_flow_by_keyboard(visitor: Visitor) -> None:
    page = visitor.open()
    page.locator("form").wait_for()
    tab_to(page, "input[name=type]")
    while not page.evaluate("document.activeElement.value === 'text-to-image'"):
        page.keyboard.press("ArrowRight")
    tab_to(page, "#model")
    tab_to(page, "#field-prompt")
    page.keyboard.type("a red apple")
    tab_to(page, "details.advanced summary")
    page.keyboard.press("Enter")
    tab_to(page, "#field-steps")
    page.keyboard.press("Control+a")
    page.keyboard.type("1000")
    slow = ask(page)
    expect(card(page, slow).locator(".badge.in_progress")).to_be_visible()
    tab_to(page, f'[data-job="{slow}"] footer button')
    page.keyboard.press("Enter")
    expect(card(page, slow).locator(".badge.canceled")).to_be_visible()
    page.keyboard.press("Escape")
    tab_to(page, "#field-steps")
    page.keyboard.press("Control+a")
    page.keyboard.type("2")
    job = ask(page)
    expect(card(page, job).locator(".badge.completed")).to_be_visible()
    tab_to(page, f'[data-job="{job}"] a.tile')
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="a red apple")).to_be_visible()
    tab_to(page, "nav a[href$=gallery]")
    page.keyboard.press("Enter")
    page.locator(".cell").first.wait_for()
    tab_to(page, ".cell .star")
    page.keyboard.press("Enter")
    expect(page.locator(".cell .star").first).to_have_attribute("aria-pressed", "true")
