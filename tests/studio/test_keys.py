"""The Studio where keys are asked for: what each sees, and where the key is."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Page, expect

from app.core.settings import Settings
from tests.app.queue.test_jobs import make
from tests.app.serving import serving
from tests.app.working import Worker
from tests.studio.forms import has_picture
from tests.studio.library import store_picture
from tests.studio.visitor import Visitor

pytestmark = pytest.mark.slow


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def test_each_key_sees_its_own_and_is_in_no_address(
    settings: Settings, connection: "redis.Redis", tmp_path: Path, visit: Callable[..., Visitor]
) -> None:
    keys = tmp_path / "keys"
    hashes = {x: hashlib.sha256(f"{x}-key".encode()).hexdigest() for x in ("ann", "bob")}
    keys.write_text("".join(f"{name} {digest}\n" for name, digest in hashes.items()))
    with serving(settings.model_copy(update={"keys_file": keys})) as running:
        with running.as_key("ann-key") as ann:
            (job,) = make(ann)
            output = store_picture(ann)
        worker = Worker(connection)
        worker.claim()
        worker.finish(job, output=output)
        anns, bobs = visit(running.url), visit(running.url)
        page = anns.open("/studio/gallery")
        sign_in(page, "no-key")
        expect(page.locator("#key-error")).to_be_visible()
        sign_in(page, "ann-key")
        assert has_picture(page.locator(".cell img"))  # read with the cookie alone
        page.locator(".cell a").click()
        assert has_picture(page.locator(".viewer img"))
        page.reload()
        assert has_picture(page.locator(".viewer img"))
        other = bobs.open(f"/studio/results/{job}/0")
        sign_in(other, "bob-key")
        expect(other.get_by_role("alert").filter(has_text="job")).to_be_visible()
        other.goto("/studio/gallery")
        expect(other.get_by_text("Nothing here yet.")).to_be_visible()
        assert other.request.get(f"/artifacts/{output['sha256']}").status == 404
        for visitor in (anns, bobs):
            assert not [x.url for x in visitor.requests if "-key" in x.url]
        assert page.evaluate("JSON.stringify(localStorage)").find("ann-key") < 0
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API key")).to_be_visible()
        assert page.request.get(f"/artifacts/{output['sha256']}").status == 401
