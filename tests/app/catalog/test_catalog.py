"""The folder of checkpoints as the registry, and the request that each model takes."""

import asyncio
import json
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.catalog.catalog import Catalog, CatalogEntry
from app.catalog.request_models import request_class
from app.core.errors import NotFound
from app.queue.worker_leases import HeldModel, Lease, model_state
from models.checkpoint.header import CheckpointError, Header, file_sha256
from models.families import FAMILIES, FamilyEntry
from models.params.base import Params
from tests.conftest import MODEL, save_vae, vae_header


def catalog_of(folder: Path) -> Catalog:
    catalog = Catalog(folder, max_items=8)
    catalog.scan()
    return catalog


def test_a_checkpoint_is_an_entry_by_its_file_name(checkpoints: Path) -> None:
    entry = catalog_of(checkpoints).find(MODEL, "image")
    assert entry.sha256 == file_sha256(checkpoints / f"{MODEL}.safetensors")
    assert entry.header.title == "Clothes"
    with pytest.raises(NotFound, match="makes image, not audio"):
        catalog_of(checkpoints).find(MODEL, "audio")


def test_a_folder_that_is_not_there_has_no_models(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="known models: none"):
        catalog_of(tmp_path / "nothing").find(MODEL)


def broken_files(folder: Path) -> dict[str, str]:
    """Files that can't be used, and a word of why."""
    whole = save_vae(folder / "whole.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[:-10])
    (folder / "empty.safetensors").write_bytes(b"")
    (folder / "pickled.safetensors").write_bytes(pickle.dumps({"a": 1}))
    (folder / "foreign.pt").write_bytes(pickle.dumps({"a": 1}))
    table = json.dumps({"t": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}}).encode()
    (folder / "bare.safetensors").write_bytes(len(table).to_bytes(8, "little") + table)
    save_vae(folder / "Bad Name.safetensors")
    save_vae(folder / "alien.safetensors", family="of-another-star")
    save_vae(folder / "wrong.safetensors", defaults={"temperature": 9})
    save_vae(folder / "unknown.safetensors", limits={"steps": (1, 2)})
    return {
        "cut": "cut short",
        "empty": "cut short",
        "pickled": "not a safetensors file",
        "foreign": "not a safetensors file",
        "bare": "no atelier header",
        "Bad Name": "name must be",
        "alien": "family is unknown",
        "wrong": "temperature a default it refuses",
        "unknown": "unknown parameter: steps",
    }


def test_a_file_that_cant_be_used_says_why_and_logs_it_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reasons = broken_files(tmp_path)
    catalog = Catalog(tmp_path, max_items=8)
    with caplog.at_level(logging.WARNING):
        catalog.scan()
        (tmp_path / "another.txt").touch()
        save_vae(tmp_path / "more.safetensors")
        catalog.scan()
    assert list(catalog.entries) == ["more", "whole"]
    assert len(caplog.records) == len(reasons)
    for model, reason in reasons.items():
        with pytest.raises(NotFound, match=reason) as caught:
            catalog.find(model)
        assert str(tmp_path) not in caught.value.message
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_files_come_and_go_and_are_hashed_once(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return file_sha256(path)

    monkeypatch.setattr("models.registry.file_sha256", counted)
    catalog = catalog_of(checkpoints)
    save_vae(checkpoints / "other.safetensors")
    catalog.scan()
    catalog.scan()
    assert set(catalog.entries) == {"other", MODEL}
    (checkpoints / "other.safetensors").unlink()
    catalog.scan()
    assert list(catalog.entries) == [MODEL]
    assert hashed == [f"{MODEL}.safetensors", "other.safetensors"]


def test_the_folder_is_looked_at_once_a_second_at_most(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(checkpoints, max_items=8)
    looks: list[int] = []
    monkeypatch.setattr(catalog, "scan", lambda: looks.append(1))

    async def ask() -> None:
        await asyncio.gather(*(catalog.refresh() for _ in range(50)))
        await catalog.refresh()

    asyncio.run(ask())
    assert len(looks) == 1


def request_of(**changes: object) -> type[Params]:
    return request_class(MODEL, vae_header(**changes), FAMILIES["vae"], max_items=8)


def test_a_request_has_the_params_and_the_common_fields() -> None:
    validated = request_of().model_validate({})
    assert validated.model_dump() == {
        "model": MODEL,
        "n": 1,
        "seed": None,
        "output_format": "png",
        "grid": False,
        "output_size": None,
        "metadata": {},
        "interpolate": None,
        "init_image": None,
        "strength": None,
        "temperature": 1.0,
    }


def test_a_header_sets_defaults_and_tightens_bounds() -> None:
    request = request_of(defaults={"temperature": 0.7}, limits={"temperature": (0.5, 1.5)})
    field = request.model_json_schema()["properties"]["temperature"]
    assert (field["default"], field["minimum"], field["maximum"]) == (0.7, 0.5, 1.5)
    for refused in (0.4, 1.6):
        with pytest.raises(ValidationError):
            request.model_validate({"temperature": refused})


def test_a_header_cant_widen_what_the_family_allows() -> None:
    request = request_of(limits={"temperature": (-5, 50)})
    field = request.model_json_schema()["properties"]["temperature"]
    assert (field["minimum"], field["maximum"]) == (0.0, 2.0)


def test_a_default_outside_the_tightened_bounds_is_refused() -> None:
    with pytest.raises(CheckpointError, match="temperature"):
        request_of(limits={"temperature": (0.0, 0.5)})


class Labelled(Params):
    label_fields = frozenset({"class_label"})

    class_label: str | None = None


class Required(Params):
    prompt: str


def test_labels_are_the_values_of_class_label() -> None:
    family = FamilyEntry("image", Labelled, "none:None")
    request = request_class("m", vae_header(labels=["boot", "bag"]), family, max_items=8)
    assert request.model_validate({"class_label": "boot"}).model_dump()["class_label"] == "boot"
    assert request.model_validate({}).model_dump()["class_label"] is None
    with pytest.raises(ValidationError):
        request.model_validate({"class_label": "hat"})


def test_a_parameter_without_default_stays_required() -> None:
    family = FamilyEntry("image", Required, "none:None")
    request = request_class("m", vae_header(), family, max_items=8)
    assert request.model_json_schema()["required"] == ["prompt"]


HELD: list[tuple[list[str], tuple[Any, Any]]] = [
    ([], ("unloaded", None)),
    (["loading", "ready"], ("ready", "bitwise")),
    (["failed", "loading"], ("loading", None)),
    (["failed"], ("failed", None)),
]


@pytest.mark.parametrize(("states", "expected"), HELD)
def test_a_model_is_as_its_best_worker_has_it(states: list[Any], expected: object) -> None:
    leases = [
        Lease(models={"a": HeldModel(state=s, determinism="bitwise" if s == "ready" else None)})
        for s in states
    ]
    assert model_state(leases, "a") == expected


def test_a_card_shows_header_and_state(checkpoints: Path) -> None:
    entry: CatalogEntry = catalog_of(checkpoints).find(MODEL)
    card = entry.card([Lease(models={entry.sha256: HeldModel(state="ready")})])
    assert (card.id, card.family, card.title, card.state) == (MODEL, "vae", "Clothes", "ready")
    assert "temperature" in card.params["properties"]


def diffusion_request(**changes: Any) -> type[Params]:
    header = Header.model_validate({"family": "diffusion", "net": {}, **changes})
    return request_class("d", header, FAMILIES["diffusion"], max_items=8)


@pytest.mark.parametrize(
    "defaults",
    [
        {"eta": 0.5},
        {"strength": 0.2},
        {"interpolate": {"to_seed": 1}},
        {"clip_guidance_scale": 9.0},
        {"clip_guidance_every": 2},
    ],
)
def test_a_default_that_other_fields_could_contradict_is_refused(defaults: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="depends on others"):
        diffusion_request(defaults=defaults)


def test_a_negative_prompt_is_no_default() -> None:
    """It would contradict a request's guidance scale of 1."""
    facts = {"family": "latent_diffusion", "net": {}, "defaults": {"negative_prompt": "text"}}
    header = Header.model_validate(facts)
    with pytest.raises(CheckpointError, match="negative_prompt a default"):
        request_class("d", header, FAMILIES["latent_diffusion"], max_items=8)


def test_steps_are_no_more_than_the_process_has_levels() -> None:
    request = diffusion_request(process={"steps": 30})
    assert request().steps == 30  # type: ignore[attr-defined]
    request.model_validate({"steps": 30})
    with pytest.raises(ValidationError, match="less than or equal to 30"):
        request.model_validate({"steps": 31})


@pytest.mark.parametrize(("value", "label"), [("1", "1"), (1, "2"), ("0", "1"), ("x", None)])
def test_digits_are_a_name_first_and_then_a_number(value: Any, label: str | None) -> None:
    request = diffusion_request(labels=["1", "2"])
    if label is None:
        with pytest.raises(ValidationError):
            request.model_validate({"class_label": value})
    else:
        assert request.model_validate({"class_label": value}).class_label == label  # type: ignore[attr-defined]


def test_a_model_of_latin_letters_refuses_a_prompt_in_others() -> None:
    header = Header(family="language", net={}, languages=["en"])
    request = request_class("m", header, FAMILIES["language"], max_items=8)
    assert request.model_validate({"prompt": "ein Käfer — 🐞"})
    for field, text in (("prompt", "一个故事"), ("theme", "о море")):
        with pytest.raises(ValidationError, match="can't write: it knows en") as error:
            request.model_validate({field: text})
        assert error.value.errors()[0]["loc"] == (field,)
    chat = {"kind": "chat", "messages": [{"role": "user", "content": "你好"}]}
    assert request.model_validate(chat)
    chinese = header.model_copy(update={"languages": ["en", "zh"]})
    both = request_class("m", chinese, FAMILIES["language"], max_items=8)
    assert both.model_validate({"prompt": "一个故事"})
