import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import JsonValue
from torch import Tensor

from models.checkpoint.header import CheckpointError, Header, read_header
from models.checkpoint.weights import load, save
from models.nets.classifier import Classifier
from tests.models.families import tiny_checkpoint
from training.data.images.sets import BUILT
from training.evaluation import reference
from training.evaluation.evaluate import evaluate
from training.evaluation.evaluator import EvalOptions, EvaluationRefused, FeatureNets
from training.evaluation.image import image_requests
from training.evaluation.judges import judge_of
from training.evaluation.reference import Reference, cropped
from training.evaluation.report.report import write_report
from training.metrics.image.features import Described
from training.recipe import Data

CPU = torch.device("cpu")
LABELS = ("shirt", "shoe", "bag")
KINDS = ["vae", "gan", "diffusion", "mixture"]
QUICK = {"diffusion": {"steps": 2}}


class Means:
    """Features that cost nothing: the means of quarters, and of bands as probabilities."""

    name = "means"

    def __call__(self, pictures: Tensor) -> Described:
        x = pictures.float().div(255).mean(1)
        quarters = torch.nn.functional.adaptive_avg_pool2d(x[:, None], 2).flatten(1)
        return Described(quarters, (x.mean(1)[:, :3] * 5).softmax(1))


NETS = FeatureNets(Means())


def real(rows: int, seed: int, side: int = 8) -> tuple[Tensor, Tensor]:
    """Pictures that are dark at the top, and a label by turns."""
    rng = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(0, 200, side).view(1, 1, side, 1)
    x = ramp + torch.rand(rows, 1, side, side, generator=rng) * 50
    return x.byte(), torch.arange(rows) % 3


@pytest.fixture(autouse=True)
def known_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every checkpoint has learnt from `real`; what is described is kept in a folder of its own."""
    monkeypatch.setenv("ATELIER_CACHE", str(tmp_path / "cache"))
    data = Data(real(60, 0), real(30, 1), LABELS)
    monkeypatch.setattr(
        "training.evaluation.image.reference_of",
        lambda header, named, shape: Reference("ramps", data),
    )


def judge(folder: Path, labels: tuple[str, ...] = LABELS) -> Path:
    net = Classifier(channels=1, classes=3, widths=[4])
    path = folder / "judges" / "tiny-judge.safetensors"
    config = {"channels": 1, "classes": 3, "widths": [4]}
    save(path, Header(family="classifier", net=config, labels=list(labels)), net.state_dict())
    return path


@pytest.mark.parametrize("family", KINDS)
def test_a_checkpoint_of_any_family_is_measured_beside_its_floors(
    family: str, tmp_path: Path
) -> None:
    path = tiny_checkpoint(tmp_path, family)
    before = load(path)
    order = EvalOptions(params=QUICK.get(family, {}), n=12, seeds=2)
    record = evaluate(path, order, NETS, CPU)
    for figures in (record, record["real"], record["noise"]):
        assert isinstance(figures, dict)
        for name in ("fed", "score", "precision", "recall"):
            assert np.isfinite(figures[name]["mean"])  # type: ignore[index, call-overload]
            assert figures[name]["ci95"] >= 0  # type: ignore[index, call-overload, operator]
    assert record["real"]["fed"]["mean"] < record["noise"]["fed"]["mean"]  # type: ignore[index, call-overload, operator]
    after = load(path)
    assert after.header.quality["evaluated"] == [json.loads(json.dumps(record))]
    assert after.header.model_copy(update={"quality": {}}) == before.header
    assert after.tensors.keys() == before.tensors.keys()
    assert all(torch.equal(after.tensors[k], before.tensors[k]) for k in before.tensors)


def test_params_stand_side_by_side_and_the_same_params_once(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path, "vae")
    card = load(path)
    save(path, card.header.model_copy(update={"quality": {"test_elbo_nats": -9.5}}), card.tensors)
    evaluate(path, EvalOptions(n=5, seeds=1), NETS, CPU)
    evaluate(path, EvalOptions(params={"prior": "mixture"}, n=5, seeds=1), NETS, CPU)
    evaluate(path, EvalOptions(n=6, seeds=1), NETS, CPU)
    quality = read_header(path).quality
    assert quality["test_elbo_nats"] == -9.5
    records = quality["evaluated"]
    assert isinstance(records, list)
    assert [(r["params"], r["n"]) for r in records] == [({"prior": "mixture"}, 5), ({}, 6)]  # type: ignore[index, call-overload]


def test_the_same_evaluation_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = (tiny_checkpoint(tmp_path / name, "gan") for name in ("a", "b"))
    for path in (one, other):
        evaluate(path, EvalOptions(n=9, seeds=2), NETS, CPU)
    assert one.read_bytes() == other.read_bytes()


def test_a_judge_who_knows_the_labels_is_asked(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path, "gan")
    judge(tmp_path)
    record = evaluate(path, EvalOptions(n=9, seeds=2), NETS, CPU)
    assert record["judge"] == "tiny-judge"
    for figures in (record, record["real"], record["noise"]):
        assert 0 <= figures["class_accuracy"]["mean"] <= 1  # type: ignore[index, call-overload, operator]
    judge(tmp_path, ("cat", "dog", "cow"))
    assert "class_accuracy" not in evaluate(path, EvalOptions(n=9, seeds=1), NETS, CPU)


def test_a_judge_counts_what_is_taken_for_its_label(tmp_path: Path) -> None:
    path = judge(tmp_path)
    checkpoint = load(path)
    leave = torch.tensor([0.0, 5.0, 0.0])  # whatever it sees is a shoe
    save(
        path,
        checkpoint.header,
        checkpoint.tensors | {"leave.bias": leave, "leave.weight": torch.zeros(3, 4)},
    )
    known = judge_of(list(LABELS), tmp_path)
    assert known is not None
    assert known.figures(*real(30, 2)) == {"class_accuracy": pytest.approx(1 / 3)}
    assert judge_of([], tmp_path) is None
    save(path, checkpoint.header, {"leave.bias": leave})
    with pytest.raises(CheckpointError, match="tiny-judge"):
        judge_of(list(LABELS), tmp_path)


def test_each_label_is_asked_for_in_turn_or_the_one_that_was_given(tmp_path: Path) -> None:
    header = read_header(tiny_checkpoint(tmp_path, "diffusion"))
    asked = image_requests(header, {"steps": 3}, 7)
    assert asked.label is not None
    assert asked.label.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert [dict(p)["class_label"] for p in asked.params[:3]] == list(LABELS)
    assert {dict(p)["steps"] for p in asked.params} == {3}
    for label in ("bag", 2):
        one = image_requests(header, {"class_label": label}, 4)
        assert one.label is not None
        assert one.label.tolist() == [2] * 4
    free = read_header(tiny_checkpoint(tmp_path, "vae"))
    assert image_requests(free, {}, 4).label is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "params", "message"),
    [
        ("vae", {"class_label": "shoe"}, "class_label: Extra inputs"),
        ("vae", {"temperature": 7}, "temperature: Input should be less"),
        ("gan", {"class_label": "hat"}, "class_label: 'hat' is none of shirt, shoe, bag"),
        ("gan", {"class_label": 3}, "class_label: 3 is none of"),
        ("diffusion", {"steps": 0}, "steps"),
        ("mixture", {"interpolate": {"to_seed": 3}}, "stand alone"),
        ("vae", {"init_image": "ab12" * 16}, "stand alone"),
        ("latent_diffusion", {"prompt": "dog", "steps": 1, "upscale": 4}, "no upscale"),
    ],
)
def test_params_that_a_checkpoint_does_not_take_are_refused(
    family: str, params: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tiny_checkpoint(tmp_path, family)
    before = path.read_bytes()
    with pytest.raises(EvaluationRefused, match=message):
        evaluate(path, EvalOptions(params=params, n=5), NETS, CPU)  # type: ignore[arg-type]
    assert path.read_bytes() == before


def test_what_a_checkpoint_lacks_is_refused(tmp_path: Path) -> None:
    header = replace_net(read_header(tiny_checkpoint(tmp_path, "vae")), components=0)
    with pytest.raises(EvaluationRefused, match="takes no prior"):
        image_requests(header, {"prior": "mixture"}, 1)


def replace_net(header: Header, **changes: int) -> Header:
    return header.model_copy(update={"net": header.net | changes})


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (
            EvalOptions(n=61),
            "61 pictures can't be measured against ramps.*60 training and 30 held-out",
        ),
        (EvalOptions(n=1), "1 pictures"),
        (EvalOptions(n=5, seeds=11), "1 to 10 seeds, not 11"),
    ],
)
def test_more_than_there_is_is_refused(order: EvalOptions, message: str, tmp_path: Path) -> None:
    with pytest.raises(EvaluationRefused, match=message):
        evaluate(tiny_checkpoint(tmp_path, "mixture"), order, NETS, CPU)


def test_an_oblong_picture_is_measured_by_its_middle_square(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []

    def folder(header: Header, named: str | None, shape: tuple[int, int]) -> Reference:
        shapes.append(shape)
        return Reference("ramps", Data(real(30, 0, shape[0]), real(9, 1, shape[0])))

    monkeypatch.setattr("training.evaluation.image.reference_of", folder)
    path = tiny_checkpoint(tmp_path, "stable_diffusion")
    asked: dict[str, JsonValue] = {"prompt": "red", "steps": 1, "width": 16, "height": 32}
    record = evaluate(path, EvalOptions(params=asked, n=3, seeds=1), NETS, CPU)
    assert (record["n"], shapes) == (3, [(16, 3)])


def test_a_border_is_cut_off_and_a_picture_that_is_too_small_refused() -> None:
    x = torch.arange(36).view(1, 1, 6, 6).byte()
    assert torch.equal(cropped(x, 4), x[:, :, 1:5, 1:5])
    with pytest.raises(EvaluationRefused, match="smaller"):
        cropped(x, 8)


def test_a_checkpoint_whose_data_is_not_known_wants_it_named() -> None:
    own = Header(family="vae", net={}, recipe={"id": "vae-fashion", "recipe": "vae-fashion"})
    for header in (own, Header(family="vae", net={})):
        with pytest.raises(EvaluationRefused, match="--reference"):
            reference.reference_of(header, None, (8, 1))


def test_a_recipe_names_its_data(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Data(real(4, 0), real(4, 1))
    source = replace(BUILT["sprites"], fixed=lambda: data)
    monkeypatch.setattr(reference, "source_of", {"sprites": source}.__getitem__)
    match = reference.reference_of(Header(family="vae", net={}), "sprites", (8, 1))
    assert (match.name, match.data) == ("sprites", data)


def test_the_page_tells_what_the_cards_know_and_is_the_same_again(tmp_path: Path) -> None:
    folder, out = tmp_path / "checkpoints", tmp_path / "docs"
    families = ("vae", "gan", "mixture")
    for family in families:
        record = evaluate(tiny_checkpoint(folder, family), EvalOptions(n=6, seeds=2), NETS, CPU)
    judge(folder)
    page = write_report(folder, out)
    assert page == out / "quality.md"
    text = page.read_text()
    fed = record["fed"]
    assert f" {fed['mean']:.3f} " in text  # type: ignore[index, call-overload]
    assert "±" not in text  # of two seeds
    assert "6 pictures for each of 2 seeds, against 30 held-out ones; seen by means." in text
    for family in families:
        assert f"## tiny-{family}\n" in text
        assert (out / "quality" / f"tiny-{family}.png").stat().st_size < 150_000
    assert "## tiny-judge" in text
    first = {p: p.read_bytes() for p in out.rglob("*.*")}
    write_report(folder, out)
    assert {p: p.read_bytes() for p in out.rglob("*.*")} == first
    earlier = out / "quality" / "tiny-vae-before.png"
    earlier.write_bytes((out / "quality" / "tiny-vae.png").read_bytes())
    assert write_report(folder, out).read_text().count("-before.png") == 1


def test_sheets_of_some_are_drawn_and_the_page_has_all(tmp_path: Path) -> None:
    folder, out = tmp_path / "checkpoints", tmp_path / "docs"
    for family in ("vae", "mixture"):
        tiny_checkpoint(folder, family)
    text = write_report(folder, out, ["tiny-vae"]).read_text()
    assert "## tiny-mixture\n" in text
    assert [file.name for file in (out / "quality").iterdir()] == ["tiny-vae.png"]
    with pytest.raises(EvaluationRefused, match="no checkpoint nothing; known: tiny-mixture"):
        write_report(folder, out, ["nothing"])


def test_a_page_without_figures_says_so(tmp_path: Path) -> None:
    tiny_checkpoint(tmp_path / "checkpoints", "mixture")
    text = write_report(tmp_path / "checkpoints", tmp_path).read_text()
    assert "No checkpoint has been measured yet." in text
