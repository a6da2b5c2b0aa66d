"""One browser and one service for all tests of the Studio."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.conftest import PAINTER, WRITER, Stack, running, save_makers
from tests.models.families import tiny_checkpoint
from tests.studio.visitor import Visitor

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PLAYER, FILMER = "wavenet-music", "video-diffusion-emoji"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Playwright's loop runs in this thread until the last of these tests has ended."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium to open pages with")
    expect.set_options(timeout=30_000)
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def service(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service of tiny models of every kind. It shows previews as often as it can."""
    folder = tmp_path_factory.mktemp("studio")
    save_makers(folder)
    tiny_checkpoint(folder, "latent_diffusion")
    settings = {
        "ATELIER_CHECKPOINTS": str(folder),
        "ATELIER_DEFAULT_STORY_MODEL": WRITER,
        "ATELIER_DEFAULT_TEXT_TO_IMAGE_MODEL": PAINTER,
        "ATELIER_PREVIEW_INTERVAL": "0.05",
    }
    with running(**settings) as stack:
        yield stack


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens browsers at a service: `visit(url, **options)`. Their problems fail the test."""
    visitors: list[Visitor] = []

    def new(url: str, **options: Any) -> Visitor:
        visitors.append(Visitor(browser, url, **options))
        return visitors[-1]

    yield new
    for visitor in visitors:
        visitor.close()
    assert [problem for visitor in visitors for problem in visitor.problems] == []


@pytest.fixture
def visitor(service: Stack, visit: Callable[..., Visitor]) -> Visitor:
    return visit(service.url)


@pytest.fixture
def page(visitor: Visitor) -> Page:
    """The Studio of the whole service, at its start."""
    return visitor.open()


@pytest.fixture
def api(service: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client
