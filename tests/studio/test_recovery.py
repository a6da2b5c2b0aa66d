"""The Studio while the API is away: it says so, and goes on by itself."""

import os
import signal
import subprocess

import pytest
from playwright.sync_api import expect

from tests.app.serving import eventually
from tests.e2e.conftest import PAINTER, Stack
from tests.studio.forms import card, form, generate, has_picture
from tests.studio.visitor import Visitor

pytestmark = [pytest.mark.stack, pytest.mark.slow]


def api_processes(stack: Stack) -> list[int]:
    """The process ids of the service's API."""
    listed = subprocess.run(
        ["ps", "-eww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    parent = str(stack.process.pid)
    return [int(pid) for pid, ppid, args in rows if ppid == parent and "app.main" in args]


def test_the_page_goes_on_after_the_api_was_killed(service: Stack, visitor: Visitor) -> None:
    """The job ends while nobody answers, or after; its card shows it without a reload."""
    page = visitor.open(form(PAINTER, prompt="a red apple", steps=60, seed=5))
    job = generate(page)
    expect(card(page, job).locator("img.preview")).to_be_visible()
    page.evaluate("window.stays = true")
    (api,) = api_processes(service)
    os.kill(api, signal.SIGKILL)
    expect(page.get_by_text("The service doesn’t answer.")).to_be_visible()
    assert eventually(lambda: api_processes(service) not in ([], [api]), 60)
    expect(card(page, job).locator(".badge.completed")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("The service doesn’t answer.")).to_have_count(0)
    assert has_picture(card(page, job).get_by_role("img", name="a red apple"))
    page.locator("#field-steps").fill("2")
    again = generate(page)
    expect(card(page, again).locator(".badge.completed")).to_be_visible()
    assert page.evaluate("window.stays")
    # what failed while the API was away is no fault of the page
    visitor.problems = [x for x in visitor.problems if "net::ERR" not in x]
