"""Family `diffusion`: noise to a picture, a step at a time (Ho et al. 2020; Song et al. 2021)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from models.artifacts import Artifact, Image
from models.batching import Batched, Place
from models.checkpoint import Checkpoint, build_net
from models.draws import normal, seeded, slerp, walk
from models.flow import NOTHING, Inputs, Step, abreast, together
from models.header import CheckpointError
from models.levels import Levels, Spacing, levels
from models.nets.unet import UNet
from models.params import DiffusionParams
from models.pictures import fitted, shown
from models.process import Denoised, Process
from models.samplers import SAMPLERS, Sampler, ddim, evaluations

MOST = 12  # rows at once: in single precision, 16 were measured to give other bits than 4
TICKS = 1000  # a time goes to the net as a whole number of these: half precision can't hold it


class Diffusion:
    """A U-Net, its noise process, and a sampler of the request's choice.

    Guidance awaits two rows of the one function, with the label and without (Ho and Salimans
    2022, equation 6), so requests with any sampler, step count and guidance share a batch.
    """

    max_items = 64
    item_bytes = 24 * 2**20

    def __init__(self, checkpoint: Checkpoint, place: Place) -> None:
        self.net = build_net(UNet, checkpoint, place)
        told: Mapping[str, Any] = checkpoint.header.process
        try:
            self.process = Process.of(told)
            self.guidance = guidance_of(told)
            self.spacing: Spacing = told.get("spacing", "even")
            levels(self.process.alpha_bar, 1, self.spacing)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"its noise process can't be made: {error}") from None
        self.labels = checkpoint.header.labels
        if len(self.labels) != self.net.classes:
            raise CheckpointError(
                f"it has {len(self.labels)} labels, and its net {self.net.classes} classes"
            )
        self.shape = (self.net.channels, self.net.size, self.net.size)
        none = torch.tensor(self.net.classes)
        example = (torch.zeros(self.shape), torch.tensor(500 * TICKS), none)
        self.predict: Batched[Tensor] = Batched(
            self._predict, example, most=MOST, dtype=place.dtype, channels_last=True
        )
        self.batched = (self.predict,)

    def _predict(self, x: Tensor, ticks: Tensor, label: Tensor) -> Tensor:
        said: Tensor = self.net(x, ticks / TICKS, label)
        return said

    async def generate(
        self, params: DiffusionParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        # Heun's steps are of the second order in sigma: they want sigmas that fall as its paper's.
        spacing: Spacing = "karras" if params.sampler == "heun" else self.spacing
        path = levels(self.process.alpha_bar, params.steps, spacing)
        noise = normal(rng, *self.shape)
        if params.init_image is not None:
            part = 0.5 if params.strength is None else params.strength
            path = path.last(math.ceil(part * len(path)))
            noise = self._noised(fitted(inputs["init_image"], *self.shape[:2]), noise, path)
        starts = [noise]
        if params.interpolate:
            end = normal(seeded(params.interpolate.to_seed), *self.shape)
            starts = walk(slerp, noise, end, params.interpolate.frames)
        fresh = rng.get_state()  # every frame of a walk meets the same fresh noise
        stories = [self._sample(params, x, path, fresh) for x in starts]
        pictures = await abreast(*stories)
        return shown(pictures, params.interpolate is not None)

    def _noised(self, picture: Tensor, noise: Tensor, path: Levels) -> Tensor:
        """A picture at the first level of a path: Meng et al. 2022 (2108.01073), algorithm 1."""
        x0 = picture * 2 - 1
        if not len(path):
            return x0
        a = path.alpha_bar[0]
        return a**0.5 * x0 + (1 - a) ** 0.5 * noise

    async def _sample(
        self, params: DiffusionParams, x: Tensor, path: Levels, fresh: Tensor
    ) -> Tensor:
        rng = torch.Generator().set_state(fresh)
        if len(path):
            denoise = self._denoiser(params, path)
            sampler = sampler_of(params)
            x = await sampler(denoise, x, path, lambda: normal(rng, *self.shape))
        return (x + 1) / 2

    def _denoiser(self, params: DiffusionParams, path: Levels) -> "Denoiser":
        label, guidance = self.net.classes, 1.0
        if params.class_label is not None:
            label = self.labels.index(params.class_label)
            guidance = self.guidance if params.guidance_scale is None else params.guidance_scale
        return Denoiser(
            self.predict,
            self.process,
            count=evaluations(params.sampler, len(path)),
            ticks=list((path.t * TICKS).round().long()),
            signal=list(path.signal),
            noise=list(path.noise),
            label=torch.tensor(label),
            none=torch.tensor(self.net.classes),
            guidance=guidance,
        )


@dataclass(slots=True)
class Denoiser:
    """What one story asks of the net: it guides, counts, and keeps the last x0 for previews."""

    predict: Batched[Tensor]
    process: Process
    count: int  # calls in all
    ticks: list[Tensor]  # by level, as are the next two
    signal: list[Tensor]
    noise: list[Tensor]
    label: Tensor
    none: Tensor  # the label that means none
    guidance: float
    done: int = 0
    seen: Tensor | None = None

    async def __call__(self, x: Tensor, level: int) -> Denoised:
        self.done += 1
        said = await self._asked(x, self.ticks[level])
        found = self.process.denoised(x, said, self.signal[level], self.noise[level])
        self.seen = found.x0
        return found

    async def _asked(self, x: Tensor, ticks: Tensor) -> Tensor:
        progress = (self.done, self.count)
        preview = None if self.seen is None else partial(_picture, self.seen)
        told = Step(self.predict, (x, ticks, self.label), progress, preview)
        if self.guidance == 1.0:
            return await told
        free = Step(self.predict, (x, ticks, self.none), progress)
        with_label, without = await together(told, free)
        guided: Tensor = without + self.guidance * (with_label - without)
        return guided


def _picture(x0: Tensor, _: Tensor) -> Image:
    """The clean picture predicted a step ago: what there is to see before this one is guided."""
    return Image((x0 + 1) / 2)


def guidance_of(told: Mapping[str, Any]) -> float:
    """The scale of a checkpoint that none is asked for. Raises ValueError out of 1 to 20."""
    scale = float(told.get("guidance", 1.0))
    if not 1 <= scale <= 20:
        raise ValueError(f"guidance must be between 1 and 20, not {scale}")
    return scale


def sampler_of(params: DiffusionParams) -> Sampler:
    if params.sampler == "ddim" and params.eta is not None:
        return partial(ddim, eta=params.eta)
    return SAMPLERS[params.sampler]
