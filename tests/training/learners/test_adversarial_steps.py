"""A whole step of each adversarial recipe, beside the same step written by hand.

The hand-written step takes gradients with `torch.autograd.grad`, and moves the weights by the
formulas of Adam (Kingma and Ba 2015, algorithm 1) and RMSprop (Hinton's lecture 6e).
"""

import copy
import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.checkpoint.header import Header
from tests.models.families import VIDEO_GAN
from tests.training import clips as made_up
from tests.training.learners.test_latent_diffusion import components
from training.learners.gan import GANLearner, GANSettings
from training.learners.video.video_gan import VideoGANLearner, VideoGANSettings
from training.optim.augment import augment_latents, diff_augment
from training.recipes.image import (
    cgan_fashion,
    dcgan_emoji,
    gan_fashion,
    wgan_fashion,
    wgan_gp_fashion,
)

__all__ = ["components"]  # a fixture

CPU = torch.device("cpu")
RECIPES = [gan_fashion, cgan_fashion, wgan_fashion, wgan_gp_fashion, dcgan_emoji]
SMALL = {"mlp": {"hidden": 8, "size": 8}, "conv": {"width": 4, "size": 8}}
SMALL["dcgan"] = {"width": 4, "size": 16}


class Adam:
    """Adam without weight decay, for a list of weights."""

    def __init__(self, rate: float, beta1: float, beta2: float) -> None:
        self.rate, self.beta1, self.beta2 = rate, beta1, beta2
        self.count, self.mean, self.square = 0, [0.0], [0.0]

    def move(self, weights: list[Tensor], gradients: list[Tensor]) -> None:
        if not self.count:
            self.mean, self.square = [0.0] * len(weights), [0.0] * len(weights)
        self.count += 1
        for i, (weight, g) in enumerate(zip(weights, gradients, strict=True)):
            self.mean[i] = self.beta1 * self.mean[i] + (1 - self.beta1) * g  # type: ignore[call-overload]
            self.square[i] = self.beta2 * self.square[i] + (1 - self.beta2) * g * g  # type: ignore[call-overload]
            mean = self.mean[i] / (1 - self.beta1**self.count)
            square = torch.as_tensor(self.square[i] / (1 - self.beta2**self.count))
            weight.data -= self.rate * mean / (square.sqrt() + 1e-8)


class RMSprop:
    """RMSprop with torch's smoothing constant."""

    def __init__(self, rate: float) -> None:
        self.rate, self.square = rate, [0.0]

    def move(self, weights: list[Tensor], gradients: list[Tensor]) -> None:
        if len(self.square) != len(weights):
            self.square = [0.0] * len(weights)
        for i, (weight, g) in enumerate(zip(weights, gradients, strict=True)):
            self.square[i] = 0.99 * self.square[i] + 0.01 * g * g  # type: ignore[call-overload]
            weight.data -= self.rate * g / (torch.as_tensor(self.square[i]).sqrt() + 1e-8)


def optimiser(settings: GANSettings, rate: float) -> Adam | RMSprop:
    if settings.optimiser == "rmsprop":
        return RMSprop(rate)
    return Adam(rate, settings.beta1, settings.beta2)


def weights_of(net: nn.Module) -> list[Tensor]:
    return list(net.parameters())


def shifted_away(net: nn.Module) -> set[str]:
    """The names of biases before a batch norm, which subtracts them: their gradients are noise."""
    names = set()
    for path, chain in net.named_modules():
        layers = list(chain.named_children()) if isinstance(chain, nn.Sequential) else []
        for (name, _), (_, following) in itertools.pairwise(layers):
            if isinstance(following, nn.BatchNorm1d | nn.BatchNorm2d):
                names.add(f"{path}.{name}.bias")
    return names


def critic_loss(settings: GANSettings, real: Tensor, fake: Tensor) -> Tensor:
    if settings.loss == "wasserstein":
        return fake.mean() - real.mean()
    return -(real.sigmoid().log() + (1 - fake.sigmoid()).log()).mean()


def slope(critic: nn.Module, x: Tensor, label: Tensor) -> Tensor:
    """The length of each row's gradient."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x, label).sum(), x, create_graph=True)
    return (gradient**2).flatten(1).sum(1).sqrt()


class ByHand:
    """The nets of a learner, trained by hand."""

    def __init__(self, learner: GANLearner) -> None:
        self.settings, self.latent = learner.settings, learner.latent
        self.generator = copy.deepcopy(learner.generator)
        self.critic = copy.deepcopy(learner.critic)
        self.average = [weight.detach().clone() for weight in self.generator.parameters()]
        self.for_generator = optimiser(self.settings, self.settings.generator_rate)
        self.for_critic = optimiser(self.settings, self.settings.critic_rate)
        self.count = learner.steps

    def step(self, pictures: Tensor, label: Tensor, rng: torch.Generator) -> None:
        s = self.settings
        real = pictures.float() / 127.5 - 1
        if s.mirror:
            flip = torch.rand(len(real), 1, 1, 1, generator=rng) < 0.5
            real = torch.where(flip, real.flip(3), real)
        rows = len(real) // s.critic_steps
        for i in range(s.critic_steps):
            x, y = real[i * rows : (i + 1) * rows], label[i * rows : (i + 1) * rows]
            fake = self.generator(torch.randn(rows, self.latent, generator=rng), y)
            self.improve_critic(x, fake.detach(), y, rng)
        verdict = self.critic(self.seen(fake, rng), y)
        loss = -verdict.mean() if s.loss == "wasserstein" else -verdict.sigmoid().log().mean()
        weights = weights_of(self.generator)
        self.for_generator.move(weights, list(torch.autograd.grad(loss, weights)))
        self.count += 1
        half_life = min(s.half_life, 0.05 * self.count * rows)
        kept = 0.5 ** (rows / half_life)
        self.average = [
            kept * a + (1 - kept) * w for a, w in zip(self.average, weights, strict=True)
        ]

    def seen(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return diff_augment(x, rng) if self.settings.augment else x

    def improve_critic(self, x: Tensor, fake: Tensor, y: Tensor, rng: torch.Generator) -> None:
        s = self.settings
        on_real = self.critic(self.seen(x, rng), y)
        loss = critic_loss(s, on_real, self.critic(self.seen(fake, rng), y))
        if s.r1 and self.count % s.r1_every == 0:
            half = len(x) // 2
            steepness = slope(self.critic, self.seen(x[:half], rng), y[:half])
            loss = loss + s.r1 / 2 * s.r1_every * (steepness**2).mean()
        if s.penalty:
            share = torch.rand(len(x), 1, 1, 1, generator=rng)
            between = share * x + (1 - share) * fake
            loss = loss + s.penalty * ((slope(self.critic, between, y) - 1) ** 2).mean()
        weights = weights_of(self.critic)
        self.for_critic.move(weights, list(torch.autograd.grad(loss, weights)))
        if s.clip:
            for weight in weights:
                weight.data = weight.data.clip(-s.clip, s.clip)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.RECIPE.id)
def test_a_step_equals_the_one_by_hand(recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.optim.amp.has_bfloat16", lambda device: False)
    kind = recipe.CARD.net["kind"]
    net = dict(recipe.CARD.net) | {"latent": 4} | SMALL[kind]
    judge = {k: 4 if k in ("hidden", "width") else v for k, v in recipe.JUDGE.items()}
    settings = replace(recipe.SETTINGS, steps=2000, cool=0.0, r1_every=2, half_life=12)
    learner = GANLearner(Header(family="gan", net=net), judge, settings, CPU)
    learner.steps = 1000  # the average follows at once in the first steps
    shape = (12 * settings.critic_steps, int(net.get("channels", 3)), net["size"], net["size"])
    pictures = torch.randint(0, 256, shape, dtype=torch.uint8)
    label = (
        torch.arange(len(pictures)) % 10 if learner.classes else torch.zeros(len(pictures)).long()
    )
    by_hand = ByHand(learner)
    for step in range(3):
        learner.step((pictures, label), torch.Generator().manual_seed(step))
        by_hand.step(pictures, label, torch.Generator().manual_seed(step))
    for one, other in ((learner.generator, by_hand.generator), (learner.critic, by_hand.critic)):
        for (name, weight), expected in zip(
            one.named_parameters(), other.parameters(), strict=True
        ):
            if name not in shifted_away(one):
                torch.testing.assert_close(weight, expected, rtol=1e-3, atol=1e-4, msg=name)
    for weight, expected in zip(learner.average.net.parameters(), by_hand.average, strict=True):
        torch.testing.assert_close(weight, expected, rtol=1e-3, atol=1e-4)


def distance_of(fake: Tensor, real: Tensor, *, alone: bool) -> Tensor:
    """Of all frames, or beside critics of the mean frames."""
    apart = fake - real if alone else (fake - real).mean(1)
    return apart.abs().mean()


@pytest.mark.usefixtures("components")
def test_a_step_of_the_video_gan_equals_the_one_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.optim.amp.has_bfloat16", lambda device: False)
    settings = VideoGANSettings(steps=100, alone=0.01, r1_every=2, cool=0.0)
    card = Header(family="video_gan", net=VIDEO_GAN)
    learner = VideoGANLearner(card, {"width": 2}, settings, CPU)
    clips, vectors = made_up.latents(4), made_up.texts(4).pooled[made_up.texts(4).clip_texts]
    generator = copy.deepcopy(learner.generator)
    critics = [copy.deepcopy(learner.critic), copy.deepcopy(learner.frame_critic)]
    for_generator = Adam(settings.generator_rate, settings.beta1, settings.beta2)
    for_critics = Adam(settings.critic_rate, settings.beta1, settings.beta2)

    def judged(x: Tensor, text: Tensor, rng: torch.Generator) -> list[Tensor]:
        """Logits of whole clips and of four frames of each, both augmented."""
        which = torch.randint(8, (4, 4), generator=rng)
        frames = torch.stack([x[i, f] for i in range(4) for f in which[i]])
        frames, moving = augment_latents(frames[:, None], rng), augment_latents(x, rng)
        each = torch.stack([text[i] for i in range(4) for _ in range(4)])
        return [critics[0](moving, text), critics[1](frames[:, 0], each)]

    for step in range(4):
        learner.step((clips, vectors), torch.Generator().manual_seed(step))
        rng = torch.Generator().manual_seed(step)
        pick = torch.randint(vectors.shape[1], (4,), generator=rng)
        text = torch.stack([vectors[i, pick[i]] for i in range(4)]).float()
        z, ones = torch.randn(4, 20, generator=rng), torch.ones(4, dtype=torch.int64)
        sharp = generator(z, text, learner.guess(text, ones))
        distance = distance_of(sharp, clips[:, 0].float(), alone=step == 0)
        weights = weights_of(generator)
        if step == 0:  # the generator is alone
            for_generator.rate = settings.first_rate
            for_generator.move(weights, list(torch.autograd.grad(distance, weights)))
            for_generator.rate = settings.generator_rate
            continue
        mirrored = torch.randint(2, (4,), generator=rng)
        real = torch.stack([clips[i, mirrored[i]] for i in range(4)]).float()
        text = F.normalize(text + 0.5 / 16**0.5 * z[:, :16], dim=1)
        fake = generator(z, text, learner.guess(text, ones))
        on_real, on_fake = judged(real, text, rng), judged(fake.detach(), text, rng)
        on_wrong = judged(real, text[[3, 0, 1, 2]], rng)
        loss = torch.zeros(())
        for right, drawn, wrong in zip(on_real, on_fake, on_wrong, strict=True):
            loss = loss - F.logsigmoid(right).mean() - F.logsigmoid(-drawn).mean()
            loss = loss - F.logsigmoid(-wrong).mean() / 2
        if step % settings.r1_every == 0:
            seen = augment_latents(real[:2], rng)
            steepness = slope(critics[0], seen, text[:2]) ** 2 / 8
            steepness = steepness + slope(critics[1], seen[:, 0], text[:2]) ** 2
            loss = loss + settings.r1 / 2 * settings.r1_every * steepness.mean()
        judges = [*critics[0].parameters(), *critics[1].parameters()]
        for_critics.move(judges, list(torch.autograd.grad(loss, judges)))
        loss = torch.stack([-F.logsigmoid(v).mean() for v in judged(fake, text, rng)]).sum()
        loss = loss + settings.reconstruction * distance
        for_generator.move(weights, list(torch.autograd.grad(loss, weights)))
    nets = (learner.generator, learner.critic, learner.frame_critic)
    for one, other in zip(nets, (generator, *critics), strict=True):
        expected = dict(other.named_parameters())
        torch.testing.assert_close(dict(one.named_parameters()), expected, rtol=1e-3, atol=1e-4)
