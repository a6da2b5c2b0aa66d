"""A model's sample: where its card says it is, whole or in part, and none where there is none."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.catalog.samples import FOLDER, LARGEST, TYPES, find_samples
from app.core.settings import Settings
from tests.app.serving import Running, eventually, serving
from tests.app.test_generate import error_of
from tests.conftest import MODEL

URL = f"/models/{MODEL}/sample"
DATA = b"RIFF pretends to be WebP"
SHIPPED = Path(__file__).parents[2] / "checkpoints" / FOLDER


@pytest.fixture
def folder(settings: Settings) -> Path:
    path = settings.checkpoints / FOLDER
    path.mkdir()
    (path / f"{MODEL}.webp").write_bytes(DATA)
    (path / f"{MODEL}.exe").write_bytes(b"no sample")
    (path / "big.ogg").write_bytes(bytes(LARGEST + 1))
    return path


@pytest.fixture
def service(settings: Settings, folder: Path) -> Iterator[Running]:
    changed = {"trusted_proxies": ("127.0.0.1",)}
    with serving(settings.model_copy(update=changed)) as running:
        yield running


def test_the_card_says_where_it_is(service: Running, folder: Path) -> None:
    card = service.client.get(f"/models/{MODEL}").json()
    assert card["sample"] == {"url": URL, "content_type": "image/webp"}
    prefix = {"X-Forwarded-Prefix": "/atelier"}
    (listed,) = service.client.get("/models", headers=prefix).json()["data"]
    assert listed["sample"]["url"] == f"/atelier{URL}"
    answer = service.client.get(URL)
    assert (answer.content, answer.headers["content-type"]) == (DATA, "image/webp")
    tag = answer.headers["etag"]
    assert service.client.get(URL, headers={"If-None-Match": tag}).status_code == 304
    (folder / f"{MODEL}.webp").write_bytes(DATA * 2)
    assert service.client.get(URL, headers={"If-None-Match": tag}).content == DATA * 2


def test_it_is_sent_in_part(service: Running) -> None:
    piece = service.client.get(URL, headers={"Range": "bytes=5-7"})
    assert (piece.status_code, piece.content) == (206, DATA[5:8])
    assert piece.headers["content-range"] == f"bytes 5-7/{len(DATA)}"
    beyond = service.client.get(URL, headers={"Range": "bytes=900-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(DATA)}")
    assert error_of(beyond)["param"] == "Range"


def test_there_may_be_none(service: Running, folder: Path, api: httpx.Client) -> None:
    assert api.get(f"/models/{MODEL}").json()["sample"] is None
    (folder / f"{MODEL}.webp").unlink()
    for client in (api, service.client):
        answer = client.get(URL)
        assert (answer.status_code, error_of(answer)["code"]) == (404, "sample_not_found")
    assert eventually(lambda: service.client.get(f"/models/{MODEL}").json()["sample"] is None)
    missing = service.client.get("/models/nope/sample")
    assert (missing.status_code, error_of(missing)["code"]) == (404, "model_not_found")


def test_the_first_folder_counts(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / FOLDER).mkdir(parents=True)
    for name in (f"{MODEL}.txt", "story.txt"):
        (other / FOLDER / name).write_text("another")
    samples = find_samples(folder.parent, tmp_path / "none", other)
    assert samples[MODEL].path == folder / f"{MODEL}.webp"
    assert samples.keys() == {MODEL, "story"}


def test_the_shipped_samples_are_small_and_of_shipped_models() -> None:
    files = [path for path in SHIPPED.iterdir() if path.suffix in TYPES]
    assert sum(path.stat().st_size for path in files) < 1_000_000
    models = {path.stem for path in SHIPPED.parent.glob("*.safetensors")} | {"smollm2-135m"}
    assert {path.stem for path in files} == models
    beginnings = {".webp": b"RIFF", ".ogg": b"OggS"}
    for path in files:
        content = path.read_bytes()
        assert content.startswith(beginnings.get(path.suffix, b"")), path
        assert 500 < len(content) < 100_000, path
