"""Makes a clip begin with a posted picture: each predicted x0 is shifted by one correction."""

from torch import Tensor

from models.diffusion.denoiser import Progress, X0Hook


def first_frame_hook(latent: Tensor) -> X0Hook:
    """Returns a hook that moves a predicted x0 (F, C, h, w) towards `latent` (C, h, w).

    Frame 0 becomes `latent`, as the known pixels do in Lugmayr et al. 2022 (2201.09865). All other
    frames get the same correction, so the changes between frames stay those that the net predicts.
    """

    async def begin_with_picture(x0: Tensor, _level: int, _progress: Progress) -> Tensor:
        moved: Tensor = x0 + (latent - x0[0])
        return moved

    return begin_with_picture
