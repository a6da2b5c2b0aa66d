"""Which params go together, and how it is told where they don't, for a model of every family."""

from collections.abc import Iterator

import httpx
import pytest
import redis

from app.core.settings import ROOT, Settings
from models.params.diffusion import SAMPLERS
from tests.app.serving import serving
from tests.app.test_generate import URL, error_of
from tests.conftest import MODEL, save_vae
from tests.models.families import NETS, tiny_checkpoint


@pytest.fixture(scope="module")
def server_of_all(
    tmp_path_factory: pytest.TempPathFactory, redis_server: str
) -> Iterator[httpx.Client]:
    """Models that have all that their families can have, and one that lacks it."""
    folder = tmp_path_factory.mktemp("all")
    save_vae(folder / f"{MODEL}.safetensors")
    for family in NETS:
        tiny_checkpoint(folder, family)
    settings = Settings(state=folder / "state", redis_url=redis_server, checkpoints=folder)
    with serving(settings) as running:
        yield running.client


@pytest.fixture
def models(server_of_all: httpx.Client, connection: "redis.Redis") -> httpx.Client:
    return server_of_all


VAE, GAN, DIFFUSION = "tiny-vae", "tiny-gan", "tiny-diffusion"
WALK = {"interpolate": {"to_seed": 2}}
NAMED = {"init_image": "ab" * 32}
LABELS = "'shirt', 'shoe', 'bag', or a number between 0 and 2"
TAKEN: list[tuple[str, dict[str, object]]] = [
    (DIFFUSION, {"class_label": "bag", "guidance_scale": 3, "steps": 20}),
    (DIFFUSION, {"class_label": 2, "sampler": "ddim", "eta": 0.5}),
    (GAN, {"class_label": "shoe", "truncation": 0.5, "grid": True, "n": 9}),
    (VAE, {"attributes": {"wide": -1, "bright": 1.5}, "prior": "mixture"}),
    (VAE, WALK | {"n": 3, "output_format": "jpeg"}),
    ("tiny-mixture", {"temperature": 0}),
]


@pytest.mark.parametrize(("model", "asked"), TAKEN)
def test_what_goes_together_is_taken(
    models: httpx.Client, model: str, asked: dict[str, object]
) -> None:
    answer = models.post(URL, json={"model": model, **asked})
    assert answer.status_code == 202, answer.text


def test_a_label_is_known_by_its_name_and_its_number(models: httpx.Client) -> None:
    for label in ("bag", 2):
        job = models.post(URL, json={"model": GAN, "class_label": label}).json()
        assert job["input"]["class_label"] == "bag"


def test_amounts_are_kept_by_name_in_one_order(models: httpx.Client) -> None:
    asked = {"model": VAE, "attributes": {"wide": -1, "bright": 1.5}}
    job = models.post(URL, json=asked).json()
    assert list(job["input"]["attributes"]) == ["bright", "wide"]


REFUSED: list[tuple[str, dict[str, object], str]] = [
    (GAN, {"class_label": "hat"}, f"class_label must be one of {LABELS}"),
    (GAN, {"class_label": 3}, f"class_label must be one of {LABELS}"),
    (GAN, {"class_label": True}, f"class_label must be one of {LABELS}"),
    (GAN, {"steps": 5}, "steps is not a parameter here; known parameters: interpolate, "),
    (DIFFUSION, {"steps": 0}, "steps must be between 1 and 1000"),
    (DIFFUSION, {"steps": 100_000}, "steps must be between 1 and 1000"),
    (DIFFUSION, {"eta": 1.5}, "eta must be between 0.0 and 1.0"),
    (DIFFUSION, {"eta": 1, "sampler": "heun"}, "eta needs the sampler ddim"),
    (DIFFUSION, {"guidance_scale": 2.0}, "guidance_scale needs class_label"),
    (DIFFUSION, {"guidance_scale": 0.5}, "guidance_scale must be between 1.0 and 20.0"),
    (DIFFUSION, {"sampler": "magic"}, "sampler must be one of 'ddpm', 'ddim', 'euler', 'heun'"),
    (DIFFUSION, {"truncation": 1}, "truncation is not a parameter here"),
    (MODEL, {"prior": "mixture"}, "prior is not a parameter here"),
    (MODEL, {"attributes": {}}, "attributes is not a parameter here"),
    (VAE, {"class_label": "bag"}, "class_label is not a parameter here"),
    (VAE, {"prior": "magic"}, "prior must be one of 'normal', 'mixture'"),
    (VAE, {"attributes": {"smile": 1}}, "attributes.smile must be one of 'bright', 'wide'"),
    (VAE, {"attributes": {"wide": 9}}, "attributes.wide must be between -5.0 and 5.0"),
    (VAE, {"strength": 0.5}, "strength needs init_image"),
    (VAE, {"init_image": "zz"}, "init_image must be the SHA-256 of a file that was posted"),
    (VAE, NAMED | WALK, "init_image and interpolate don't go together"),
    (VAE, NAMED | {"prior": "mixture"}, "prior and init_image don't go together"),
    (VAE, WALK | {"grid": True}, "grid and interpolate don't go together"),
    (VAE, {"grid": 1}, "grid must be true or false"),
    (VAE, {"interpolate": {}}, "interpolate.to_seed is required"),
    (VAE, {"interpolate": {"to_seed": -1}}, "interpolate.to_seed must be between 0 and 9007"),
    (VAE, {"interpolate": WALK["interpolate"] | {"frames": 65}}, "interpolate.frames must be"),
    (
        VAE,
        {"interpolate": WALK["interpolate"] | {"speed": 2}},
        "interpolate.speed is not a parameter here; known parameters: to_seed, frames",
    ),
]


@pytest.mark.parametrize(("model", "asked", "message"), REFUSED)
def test_what_does_not_go_together_is_told(
    models: httpx.Client, model: str, asked: dict[str, object], message: str
) -> None:
    answer = models.post(URL, json={"model": model, **asked})
    error = error_of(answer)
    assert (answer.status_code, error["param"]) == (422, message.split(maxsplit=1)[0])
    assert error["message"].startswith(message)


def test_cards_tell_what_can_be_asked(models: httpx.Client) -> None:
    cards = {card["id"]: card for card in models.get("/models").json()["data"]}
    assert cards[VAE]["attributes"] == ["bright", "wide"]
    assert cards[DIFFUSION]["samplers"] == list(SAMPLERS)
    assert cards[DIFFUSION]["labels"] == ["shirt", "shoe", "bag"]
    assert cards[DIFFUSION]["process"]["schedule"] == "cosine"
    plain = cards[MODEL]
    assert plain["attributes"] == plain["samplers"] == plain["labels"] == []
    assert "prior" not in plain["params"]["properties"]


def test_the_document_shows_every_field_and_bodies_that_are_taken(models: httpx.Client) -> None:
    document = models.get("/openapi.json").json()
    body = document["paths"]["/generate/image"]["post"]["requestBody"]
    for example in body["content"]["application/json"]["examples"].values():
        assert models.post(URL, json=example["value"]).status_code == 202
    shown = document["components"]["schemas"][DIFFUSION]["properties"]
    shown |= document["components"]["schemas"][VAE]["properties"]
    shown |= document["components"]["schemas"][GAN]["properties"]
    for name, field in shown.items():
        assert field["description"], name
        if name not in {"model", "n", "seed", "metadata", "temperature"}:
            assert field["examples"], name
    assert any("artifact" in form for form in shown["init_image"]["anyOf"])


PAGES = {"image": "images", "story": "stories", "embedding": "embeddings"}


def test_the_pages_tell_of_every_field(models: httpx.Client) -> None:
    for card in models.get("/models").json()["data"]:
        name = PAGES.get(card["modality"], card["modality"])
        page = (ROOT / "docs" / f"{name}.md").read_text()
        for field in card["params"]["properties"].keys() - {"model", "metadata"}:
            assert f"`{field}`" in page, field
