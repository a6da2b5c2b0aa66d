"""The learners of text to image at tiny size: autoencoder, CLIP, and the U-Net that reads."""

from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint.header import COMPONENTS, Header, Requirement, component_path
from models.checkpoint.weights import load, save, weights_sha256
from models.clip.tokenizer import WordTokenizer
from models.diffusion.latent_diffusion import LatentDiffusion
from models.engine.batching import Placement
from models.engine.flow import run_alone
from models.engine.noise import seeded
from models.nets.autoencoder import Autoencoder
from models.nets.unet import Guess
from models.params.diffusion import TextToImageParams
from tests.models.families import CLIP, LATENT, ROWS, WORDS, tiny_parts
from training.components import load_component
from training.data.cache import DataMissing
from training.data.images.lexicon import Taught
from training.errors import TrainingRefused
from training.learners.autoencoder import (
    AutoencoderObjective,
    AutoencoderSettings,
    measure_reconstruction,
    with_measures,
)
from training.learners.clip import CLIPObjective, CLIPSettings
from training.learners.latent_diffusion import LatentDiffusionObjective, LatentDiffusionSettings
from training.learners.prior import (
    GuessObjective,
    GuessSettings,
    in_vectors,
    measure_guess,
)
from training.learners.standard import StandardLearner
from training.pretrained import encode_images, in_latents, load_text_tower
from training.publish import bring_parts
from training.recipe import Data, Learner

CPU = torch.device("cpu")
GUESS = Header(
    family="guess", net={"told": 16, "classes": 2, "width": 24, "channels": 4, "size": 8}
)
CODER = Header(family="autoencoder", net=LATENT["autoencoder"])  # type: ignore[arg-type]
TEXTS = ["red apple", "green apple", "dog", "rocket"]


def pictures(count: int, size: int = 32) -> torch.Tensor:
    """Squares of one colour each on white, uint8."""
    rng = torch.Generator().manual_seed(3)
    x = torch.full((count, 3, size, size), 255, dtype=torch.uint8)
    x[:, :, 8:24, 8:24] = torch.randint(0, 256, (count, 3, 1, 1), generator=rng, dtype=torch.uint8)
    return x


def captions(count: int) -> tuple[torch.Tensor, ...]:
    """Concept, style, short and long texts of so many pictures."""
    tokenizer = WordTokenizer.of(WORDS, ROWS)
    concept = torch.arange(count) % len(TEXTS)
    short = tokenizer.table([TEXTS[i] for i in concept.tolist()], 8)[:, None]
    long = tokenizer.table(["红苹果" for _ in range(count)], 32)[:, None]
    return concept, concept % 2, short.to(torch.int16), long.to(torch.int16)


def run(learner: Learner, batch: tuple[torch.Tensor, ...], first: int, last: int) -> list[float]:
    return [
        learner.step(batch, torch.Generator().manual_seed(step))["loss"]
        for step in range(first, last)
    ]


def goes_on_exactly(make: Any, batch: tuple[torch.Tensor, ...]) -> list[float]:
    """Four steps at once equal two, a state, and two more; their losses."""
    whole, first, second = make(), make(), make()
    losses = run(whole, batch, 0, 4)
    run(first, batch, 0, 2)
    second.restore(first.state())
    assert run(second, batch, 2, 4) == losses[2:]
    for name, weight in whole.weights().items():
        assert torch.equal(weight, second.weights()[name]), name
    return losses


@pytest.mark.slow
def test_an_autoencoder_learns_and_goes_on_exactly() -> None:
    settings = AutoencoderSettings(steps=40, warmup=2)
    batch = (pictures(8),)
    goes_on_exactly(lambda: StandardLearner(AutoencoderObjective(CODER, settings, CPU)), batch)
    learner = StandardLearner(AutoencoderObjective(CODER, settings, CPU))
    losses = run(learner, batch, 0, 40)
    assert losses[-1] < losses[0] / 2
    assert learner.sample(8, seeded(0)).shape == (8, 3, 32, 32)


@pytest.mark.slow
def test_latents_have_deviation_one_and_come_back() -> None:
    learner = StandardLearner(
        AutoencoderObjective(CODER, AutoencoderSettings(steps=60, warmup=2), CPU)
    )
    data = Data((pictures(16),), (pictures(4),))
    run(learner, data.train, 0, 60)
    before = measure_reconstruction(CODER, learner.weights(), data)["test_psnr"]
    done = with_measures(CODER, learner.weights(), data)
    net = Autoencoder(**LATENT["autoencoder"])  # type: ignore[arg-type]
    net.load_state_dict(done.weights)
    z = encode_images(net.eval(), data.train[0])
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(4), atol=1e-4)
    assert torch.allclose(z.std((0, 2, 3)), torch.ones(4), atol=1e-3)
    after = measure_reconstruction(CODER, done.weights, data)["test_psnr"]
    assert before == pytest.approx(after, abs=0.05)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("teacher", [False, True])
def test_clip_learns_which_words_are_whose(teacher: bool) -> None:
    tokenizer = WordTokenizer.of(WORDS, ROWS)
    lesson = Taught(tuple(TEXTS), torch.nn.functional.normalize(torch.randn(4, 384), dim=1))
    card = Header(family="clip", net=CLIP)
    settings = CLIPSettings(steps=60, warmup=5, taught=4)
    batch = (pictures(4), *captions(4))

    def make() -> StandardLearner[Any]:
        return StandardLearner(
            CLIPObjective(card, tokenizer, settings, CPU, lesson if teacher else None)
        )

    goes_on_exactly(make, batch)
    learner = make()
    assert ("lesson" in learner.step(batch, seeded(0))) is teacher
    learner = make()
    losses = run(learner, batch, 0, 60)
    assert losses[-1] < losses[0]
    again = WordTokenizer.from_tensors(learner.weights())
    assert again.known == tokenizer.known


@pytest.fixture
def components(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of checkpoints with a tiny CLIP and autoencoder by the names of the real ones."""
    torch.manual_seed(0)
    clip = tiny_parts(tmp_path)["clip"]
    here = tmp_path / COMPONENTS
    (here / f"{clip.id}.safetensors").rename(here / "clip-emoji.safetensors")
    net = Autoencoder(**LATENT["autoencoder"])  # type: ignore[arg-type]
    save(here / "autoencoder-emoji.safetensors", CODER, net.state_dict())
    save(here / "guess-emoji.safetensors", GUESS, Guess(**GUESS.net).state_dict())  # type: ignore[arg-type]
    monkeypatch.setenv("ATELIER_CHECKPOINTS", str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_a_painter_learns_goes_on_exactly_and_can_be_served(components: Path) -> None:
    process = {"schedule": "cosine", "prediction": "v", "clip": False, "guidance": 2.0}
    card = Header(
        family="latent_diffusion",
        net={"unet": LATENT["unet"]},
        process=process,  # type: ignore[arg-type]
        labels=["flat", "round"],
    )
    data = in_latents(Data((pictures(8), *captions(8)), (pictures(2),)))
    assert data.train[0].shape == (8, 4, 8, 8)
    settings = LatentDiffusionSettings(steps=60, warmup=5)
    losses = goes_on_exactly(
        lambda: StandardLearner(LatentDiffusionObjective(card, TEXTS, settings, CPU)), data.train
    )
    learner = StandardLearner(LatentDiffusionObjective(card, TEXTS, settings, CPU))
    assert sum(run(learner, data.train, 0, 60)[-10:]) / 10 < losses[0]
    assert learner.sample(5, seeded(0)).shape == (5, 3, 32, 32)
    guess = load_component("guess-emoji").tensors  # stays as it is
    assert all(torch.equal(learner.weights()[f"unet.guess.{k}"], w) for k, w in guess.items())
    need = Requirement(
        id="clip-emoji", weights=weights_sha256(load_component("clip-emoji").tensors)
    )
    served = card.model_copy(update={"net": LATENT, "requires": {"clip": need}})
    save(components / "painter.safetensors", served, learner.weights())
    family = LatentDiffusion(load(components / "painter.safetensors"), Placement(CPU))
    asked = TextToImageParams(prompt="red apple", steps=2)
    (picture,) = run_alone(family.generate(asked, seeded(1)))
    assert picture.pixels.shape == (3, 32, 32)


def test_a_checkpoint_made_elsewhere_has_its_parts_beside_it(
    components: Path, tmp_path: Path
) -> None:
    need = Requirement(
        id="clip-emoji", weights=weights_sha256(load_component("clip-emoji").tensors)
    )
    card = Header(family="latent_diffusion", net=LATENT, requires={"clip": need})
    elsewhere = tmp_path / "elsewhere" / "painter.safetensors"
    bring_parts(card, elsewhere)
    save(elsewhere, card, {"w": torch.zeros(1)})
    assert load(elsewhere).requires["clip"].header == load_component("clip-emoji").header
    before = component_path(elsewhere, need.id).stat().st_mtime_ns
    bring_parts(card, elsewhere)
    assert component_path(elsewhere, need.id).stat().st_mtime_ns == before
    other = {
        k: t + 1 if t.is_floating_point() else t
        for k, t in load_component("clip-emoji").tensors.items()
    }
    save(component_path(elsewhere, need.id), load_component("clip-emoji").header, other)
    with pytest.raises(TrainingRefused, match="another clip-emoji"):
        bring_parts(card, elsewhere)


def test_a_guess_learns_what_to_expect_and_goes_on_exactly(components: Path) -> None:
    data = in_vectors(Data((pictures(8), *captions(8)), (pictures(4), *captions(4))))
    z0, _, vectors, empty = data.train
    assert (z0.shape, vectors.shape, empty.shape) == ((8, 4, 8, 8), (8, 2, 16), (8, 16))
    text_tower = load_text_tower(CPU)
    short = captions(8)[2]
    own = text_tower.encode(short[:, 0].long()).pooled
    assert torch.allclose(vectors[:, 0].float(), own, atol=1e-3)
    settings = GuessSettings(steps=300, warmup=5, text_dropout=0.0, style_dropout=0.0)
    goes_on_exactly(lambda: StandardLearner(GuessObjective(GUESS, settings, CPU)), data.train)
    learner = StandardLearner(GuessObjective(GUESS, settings, CPU))
    losses = run(learner, data.train, 0, 300)
    assert losses[-1] < losses[0] / 2
    assert learner.sample(3, seeded(0)).shape == (3, 3, 32, 32)
    figures = measure_guess(GUESS, learner.weights(), data)
    assert figures["train_error"] < figures["train_error_untold"]


def test_a_part_that_is_not_there_says_how_to_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_CHECKPOINTS", str(tmp_path))
    with pytest.raises(DataMissing, match="atelier train clip-emoji"):
        load_component("clip-emoji")
