"""What people do with the Studio's form."""

from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, Response

DROP = """([box, name, type, content]) => {
  const bytes = Uint8Array.from(atob(content), (x) => x.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, {type}));
  for (const event of ['dragenter', 'dragover', 'drop']) {
    box.dispatchEvent(new DragEvent(event, {dataTransfer: files, bubbles: true, cancelable: true}));
  }
}"""
SHOWN = "(image) => image.complete && image.naturalWidth > 0"


def form(model: str, **values: object) -> str:
    """The address of a model's form with these values."""
    return f"/studio/make#{urlencode({'model': model, **values})}"


def generate(page: Page) -> str:
    """Asks for what the form says, and returns the job's id."""
    with page.expect_response(is_request) as answer:
        page.get_by_role("button", name="Generate").click()
    assert answer.value.status == 202, answer.value.text()
    job: str = answer.value.json()["id"]
    return job


def is_request(response: Response) -> bool:
    return response.request.method == "POST" and "/generate/" in response.url


def card(page: Page, job: str) -> Locator:
    return page.locator(f'.card[data-job="{job}"]')


def field(page: Page, name: str) -> Locator:
    return page.locator(f'[data-field="{name}"]')


def has_picture(image: Locator) -> bool:
    """Waits until an image is there, and says whether it has pixels."""
    handle = image.element_handle()
    assert handle is not None
    image.page.wait_for_function("(image) => image.complete", arg=handle)
    return bool(image.evaluate(SHOWN))
