"""`atelier train` on other pictures than the recipe's: the card fits, and nothing is lost."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.artifacts import Image
from models.checkpoint.header import file_sha256
from models.checkpoint.weights import load, save
from models.engine.batching import Placement
from models.engine.flow import run_alone
from models.families import FAMILIES
from tests.atelier.commands import Said, atelier, refused
from tests.training.drawn import draw_folder
from tests.training.tiny import DIFFUSION, count_tensors, diffusion_recipe, gan_recipe, wgan_recipe
from training import pipeline
from training.adapt_recipe import adapted_to, rehearse
from training.data.images.sets import source_of
from training.errors import TrainingDiverged, TrainingRefused, TrainingStopped
from training.pipeline import TrainOptions, run
from training.recipe import Data, Recipe
from training.registry import recipe_named

CPU = torch.device("cpu")
SHAPED = DIFFUSION.model_copy(update={"net": DIFFUSION.net | {"channels": 1}})
TINY = {
    "gan": gan_recipe(),
    "wgan": wgan_recipe(),
    "diffusion": replace(diffusion_recipe(), card=SHAPED),
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipes of tiny.py, for whoever asks for one of their names."""
    monkeypatch.setattr(pipeline, "recipe_named", lambda name: TINY.get(name) or recipe_named(name))


def trained(tmp_path: Path, *options: str | Path, recipe: str = "gan") -> Said:
    folders = ("--out", tmp_path / "out", "--runs", tmp_path / "runs")
    return atelier("train", recipe, *folders, *options)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["wgan", "diffusion"])
def test_a_folder_with_labels_becomes_a_model_with_kinds(tmp_path: Path, recipe: str) -> None:
    for name in ("cats", "dogs", "fish"):
        draw_folder(tmp_path / "Our zoo" / name, 4)
    said = trained(tmp_path, "--data", tmp_path / "Our zoo", "--steps", "2", recipe=recipe)
    path = tmp_path / f"out/{TINY[recipe].id}-our-zoo.safetensors"
    assert (said.status, said.out) == (0, f"{path}\n"), said.err
    checkpoint = load(path)
    card = checkpoint.header
    assert card.labels == ["cats", "dogs", "fish"]
    assert card.net == TINY[recipe].card.net | {"classes": 3}
    assert (card.title, card.licence) == (
        f"{TINY[recipe].id.capitalize()} our zoo".replace("-", " "),
        "the user's own",
    )
    assert card.description == "Pictures like those of Our zoo, 8x8 in grey, by kind."
    assert card.data == "The user's own pictures, from the folder Our zoo."
    assert card.recipe["recipe"] == TINY[recipe].id
    assert card.recipe["data"] == "Our zoo"
    assert card.recipe["train_pictures"] == 10
    assert str(tmp_path) not in card.model_dump_json()
    entry = FAMILIES[card.family]
    params = entry.params(class_label="fish")  # type: ignore[call-arg]
    family = entry.load(checkpoint, Placement(CPU))
    (picture,) = run_alone(family.generate(params, torch.Generator().manual_seed(0)))
    assert isinstance(picture, Image)
    assert picture.pixels.shape == (1, 8, 8)


def test_pictures_without_labels_become_a_model_without_kinds(tmp_path: Path) -> None:
    said = trained(tmp_path, "--data", draw_folder(tmp_path / "mine"), "--id", "x.1", recipe="wgan")
    assert said.status == 0, said.err
    card = load(tmp_path / "out/x.1.safetensors").header
    assert (card.labels, card.net["classes"], card.title) == ([], 0, "X.1")
    assert json.loads((tmp_path / "runs/x.1/run.json").read_text())["made"]


def test_a_net_without_kinds_does_not_look_at_labels(tmp_path: Path) -> None:
    draw_folder(tmp_path / "mine/a", 6)
    draw_folder(tmp_path / "mine/b", 6)
    said = trained(tmp_path, "--data", tmp_path / "mine", "--steps", "1")
    card = load(Path(said.out.strip())).header
    assert (card.labels, card.net) == ([], TINY["gan"].card.net)


def test_a_recipes_own_set_leaves_its_card_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = replace(source_of("fashion"), fixed=TINY["gan"].data)
    monkeypatch.setattr(pipeline, "source_of", lambda _: source)
    said = trained(tmp_path, "--data", "fashion", "--steps", "1")
    assert said.out == f"{tmp_path / 'out/tiny-gan.safetensors'}\n"
    assert load(Path(said.out.strip())).header.title == "Tiny"


def test_defaults_that_no_longer_hold_are_left_out() -> None:
    message = {"class_label": "light", "guidance_scale": 2.0, "steps": 20}
    card = TINY["diffusion"].card.model_copy(
        update={"defaults": message, "limits": {"guidance_scale": (1, 3), "steps": (1, 50)}}
    )
    rows = torch.zeros(8, 1, 8, 8, dtype=torch.uint8)
    source = source_of("sprites")
    plain = adapted_to(replace(TINY["diffusion"], card=card), source, Data((rows,), (rows,)))
    assert plain.card.defaults == {"steps": 20}
    assert plain.card.limits == {"steps": (1, 50)}
    label = torch.zeros(8, dtype=torch.int64)
    known = Data((rows, label), (rows, label), ("one",))
    kinds = adapted_to(replace(TINY["diffusion"], card=card), source, known)
    assert kinds.card.defaults == {"guidance_scale": 2.0, "steps": 20}


def test_a_recipe_without_a_size_takes_no_other_data(tmp_path: Path) -> None:
    folder = draw_folder(tmp_path / "mine")
    with pytest.raises(TrainingRefused, match="takes no other data: its net has no size"):
        run(TrainOptions("fashion-classifier", tmp_path, tmp_path, data=str(folder)))


@pytest.mark.parametrize("field", ["finish", "measure"])
def test_what_would_fail_at_the_end_fails_at_the_beginning(tmp_path: Path, field: str) -> None:
    def fails(*_: object) -> object:
        raise ValueError("only garments")

    recipe: Recipe = replace(gan_recipe(), **{field: fails})
    with pytest.raises(TrainingRefused, match="tiny-gan can't be trained so: only garments"):
        rehearse(recipe, recipe.data(), CPU)


def test_a_rehearsal_leaves_nothing_behind(tmp_path: Path) -> None:
    recipe = replace(gan_recipe(), measure=count_tensors)
    one, other = recipe.learner(recipe.card, CPU), recipe.learner(recipe.card, CPU)
    rehearse(recipe, recipe.data(), CPU)
    for name, tensor in one.weights().items():
        assert torch.equal(tensor, other.weights()[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "{}/none"], "neither a folder nor the name of a set"),
        (["--data", "{}/few"], "few holds 1 picture "),
        (["--data", "{}/empty"], "empty holds no pictures"),
        (["--data", "{}/few/00.png"], "is a file"),
        (["--id", "No id"], "'No id' is no id"),
        (["--id", "../out"], "'../out' is no id"),
        (["--device", "nonsense"], "no device 'nonsense'"),
        (["--device", "cuda:99"], "there is no cuda:99 here"),
        (["--device", "meta"], "no training on meta"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    tmp_path: Path, options: list[str], message: str
) -> None:
    draw_folder(tmp_path / "few", 1)
    (tmp_path / "empty").mkdir()
    said = trained(tmp_path, *(option.format(tmp_path) for option in options))
    assert message in refused(said)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "runs").exists()


def test_anothers_checkpoint_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    path = tmp_path / "out/tiny-gan.safetensors"
    path.write_bytes(b"another's")
    said = trained(tmp_path, "--steps", "1")
    assert "is there already and didn't come out of" in refused(said)
    assert path.read_bytes() == b"another's"
    assert not (tmp_path / "runs").exists()
    assert trained(tmp_path, "--steps", "1", "--replace").status == 0
    first = file_sha256(path)
    assert trained(tmp_path, "--steps", "2", "--resume").status == 0  # its own
    assert file_sha256(path) != first


def test_a_run_knows_its_checkpoint_by_the_weights_and_not_by_the_card(tmp_path: Path) -> None:
    path = tmp_path / "out/tiny-gan.safetensors"
    assert trained(tmp_path, "--steps", "1").status == 0
    checkpoint = load(path)
    card = checkpoint.header.model_copy(update={"quality": {"evaluated": []}})
    save(path, card, checkpoint.tensors)  # as `atelier eval` does
    assert trained(tmp_path, "--steps", "2", "--resume").status == 0
    others = {name: tensor + 1 for name, tensor in load(path).tensors.items()}
    save(path, load(path).header, others)
    assert "didn't come out of" in refused(trained(tmp_path, "--steps", "3", "--resume"))


@pytest.mark.slow
def test_a_run_goes_on_as_it_was_begun_or_not_at_all(tmp_path: Path) -> None:
    mine, other = draw_folder(tmp_path / "mine"), draw_folder(tmp_path / "other", 13)
    begun = ("--id", "x", "--steps", "1", "--data", mine)
    assert trained(tmp_path, *begun).status == 0
    assert "--resume, or move it away" in refused(trained(tmp_path, *begun))
    resumed = ("--id", "x", "--steps", "2", "--resume", "--data")
    assert "begun with other pictures, settings;" in refused(trained(tmp_path, *resumed, other))
    message = refused(trained(tmp_path, *resumed, mine, recipe="wgan"))
    assert "begun with other batch, net, pictures, settings;" in message
    assert trained(tmp_path, *resumed, mine).status == 0
    (tmp_path / "runs/x/run.json").unlink()  # a run of before there was one
    (tmp_path / "out/x.safetensors").unlink()
    assert trained(tmp_path, *resumed, mine).status == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("state.pt", b"foreign", "state.pt is no state of a training"),
        ("state.pt", b"", "state.pt is no state of a training"),
        ("run.json", b"[1]", "run.json is damaged"),
        ("run.json", b"{", "run.json is damaged"),
    ],
)
def test_a_foreign_file_in_a_run_is_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    assert trained(tmp_path, "--steps", "1").status == 0
    (tmp_path / "runs/tiny-gan" / name).write_bytes(content)
    assert message in refused(trained(tmp_path, "--steps", "2", "--resume"))


def test_the_state_of_another_learner_is_one_line(tmp_path: Path) -> None:
    assert trained(tmp_path, "--steps", "1", "--id", "x", recipe="wgan").status == 0
    (tmp_path / "runs/x/run.json").unlink()
    (tmp_path / "out/x.safetensors").unlink()
    said = trained(tmp_path, "--steps", "2", "--id", "x", "--resume")
    assert "is that of another training" in refused(said)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (TrainingStopped("x: stopped at step 3", 15), 143, "step 3; the same command goes on with"),
        (KeyboardInterrupt(), 130, "what was saved goes on with --resume"),
        (TrainingDiverged("x: loss is nan"), 1, "x: loss is nan"),
    ],
)
def test_how_a_training_ended_is_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, message: str
) -> None:
    def ends(_: TrainOptions) -> Path:
        raise error

    monkeypatch.setattr(pipeline, "run", ends)
    assert message in refused(trained(tmp_path), status)
