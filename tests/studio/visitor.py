"""A person at the Studio: a browser's storage, its pages, and everything that they ask for."""

from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, WebError

REPORT = """
document.addEventListener('securitypolicyviolation', (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
REFUSED = "Failed to load resource"  # the console's note on every answer from 400 on


class Visitor:
    """A browser context. It notes the requests, the errors and the breaches of the page's policy.

    `problems` is empty after normal use: no script failed, the policy was never broken, and no
    request left the service.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        usual = {"locale": "en-US", "viewport": {"width": 1280, "height": 800}}
        self.url = url
        self.context: BrowserContext = browser.new_context(
            base_url=url, reduced_motion="reduce", **usual | options
        )
        self.context.set_default_timeout(30_000)
        self.context.add_init_script(REPORT)
        self.requests: list[Request] = []
        self.problems: list[str] = []
        self.context.on("request", self._asked)
        self.context.on("console", self._said)
        self.context.on("weberror", self._failed)

    def open(self, path: str = "/") -> Page:
        page = self.context.new_page()
        page.goto(path)
        return page

    def close(self) -> None:
        self.context.close()

    def _asked(self, request: Request) -> None:
        self.requests.append(request)
        address = urlsplit(request.url)
        own = urlsplit(self.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != own.netloc:
            self.problems.append(f"a request left the service: {request.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(REFUSED):
            self.problems.append(message.text)

    def _failed(self, error: WebError) -> None:
        self.problems.append(str(error.error))
