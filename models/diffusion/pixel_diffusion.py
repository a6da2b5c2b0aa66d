"""Family `diffusion`: noise to a picture, a step at a time (Ho et al. 2020; Song et al. 2021)."""

import torch
from torch import Tensor

from models.artifacts import Artifact, Image
from models.checkpoint.configs import DiffusionProcess
from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, build_net
from models.diffusion.clip_guidance import ClipGuidance, ClipTarget, guide_of
from models.diffusion.denoiser import TICKS, Guidance, calls, path_of
from models.diffusion.inpainting import InitImage
from models.diffusion.noise_schedule import NoiseSchedule
from models.diffusion.request import DiffusionRequest
from models.diffusion.timesteps import Timesteps
from models.engine.batching import BatchedFn, Placement
from models.engine.flow import NOTHING, Inputs
from models.image.preprocessing import fitted
from models.nets.unet import UNet
from models.params.diffusion import DiffusionParams

ITEM_BYTES = 24 * 2**20  # without what CLIP holds where it guides
MOST = 12  # rows at once: in single precision, 16 were measured to give other bits than 4


class Diffusion:
    """A U-Net, its noise schedule, and a sampler of the request's choice.

    Guidance awaits two rows of the one function, with the label and without (Ho and Salimans
    2022, equation 6), so requests with any sampler, step count and guidance share a batch.
    """

    max_items = 64

    def __init__(self, checkpoint: Checkpoint, placement: Placement) -> None:
        self.net = build_net(UNet, checkpoint, placement)
        self.process = DiffusionProcess.parse(checkpoint.header.process)
        self.schedule = NoiseSchedule.of(self.process)
        self.labels = checkpoint.header.labels
        if len(self.labels) != self.net.classes:
            raise CheckpointError(
                f"it has {len(self.labels)} labels, and its net {self.net.classes} classes"
            )
        self.shape = (self.net.channels, self.net.size, self.net.size)
        none = torch.tensor(self.net.classes)
        example = (torch.zeros(self.shape), torch.tensor(500 * TICKS), none)
        self.predict: BatchedFn[Tensor] = BatchedFn(
            self._predict, example, max_batch=MOST, dtype=placement.dtype, channels_last=True
        )
        self.clip_guidance = self._clip_guidance(checkpoint, placement)
        guide = self.clip_guidance
        self.batched = (self.predict, *(guide.batched if guide else ()))
        self.item_bytes = ITEM_BYTES + (guide.item_bytes if guide else 0)

    def _clip_guidance(self, checkpoint: Checkpoint, placement: Placement) -> ClipGuidance | None:
        clip = guide_of(checkpoint, placement)
        if clip is None:
            return None
        if self.net.channels not in (1, 3):
            raise CheckpointError(f"CLIP sees no pictures of {self.net.channels} channels")
        return ClipGuidance(clip, lambda x0: x0, torch.zeros(self.shape), placement)

    def _predict(self, x: Tensor, ticks: Tensor, label: Tensor) -> Tensor:
        output: Tensor = self.net(x, ticks / TICKS, label)
        return output

    async def generate(
        self, params: DiffusionParams, rng: torch.Generator, inputs: Inputs = NOTHING
    ) -> tuple[Artifact, ...]:
        path = path_of(params, self.schedule)
        target = await self._clip_target(params, path)
        init = None
        if params.init_image is not None:
            picture = fitted(inputs["init_image"], *self.shape[:2])
            init = InitImage(picture, picture * 2 - 1)
        request = DiffusionRequest(
            params,
            self.predict,
            self.schedule,
            path,
            self._guidance(params),
            preview=lambda x0: Image((x0 + 1) / 2),
            decode=_decode,
            before=int(params.prompt is not None),
            init=init,
            target=target,
        )
        return await request.run(self.shape, rng)

    async def _clip_target(self, params: DiffusionParams, path: Timesteps) -> ClipTarget | None:
        if self.clip_guidance is None or params.prompt is None:
            return None
        scale = params.clip_guidance_scale or self.process.clip_guidance
        progress = (1, 1 + calls(params, path))
        return await self.clip_guidance.encode_target(params, params.prompt, scale, progress)

    def _guidance(self, params: DiffusionParams) -> Guidance:
        none = torch.tensor(self.net.classes)
        if params.class_label is None:
            return Guidance((none,), (none,), 0.0)
        label = torch.tensor(self.labels.index(params.class_label))
        scale = self.process.guidance if params.guidance_scale is None else params.guidance_scale
        return Guidance((label,), (none,), scale)


async def _decode(x0: Tensor) -> Tensor:
    return (x0 + 1) / 2
