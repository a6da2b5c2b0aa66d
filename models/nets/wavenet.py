"""WaveNet: a causal, gated stack of dilated convolutions over samples (van den Oord et al. 2016).

1609.03499, sections 2.1 to 2.5: residual and skip ways, 256 classes, conditioned globally by a
style and locally by a piano roll. Sound is laid out (B, T, channels), where a convolution over two
samples is one linear layer: measured on one core, twice as fast as `conv1d`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.nets.activations import sigmoid


class WaveNetModel(nn.Module):
    """The class of every next sample, from the classes before it, a style and a piano roll.

    `blocks` times `layers` layers, of dilation 1 to 2^(layers - 1) in each block; `residual` and
    `skip` channels wide, with `gate` gated units a layer. A roll has `pitches` keys, each in
    [0, 1], at a frame of `hop` samples; the net sees `around` frames to both sides of its own, so
    that it hears a note coming. Style number `styles` is none, and without `pitches` there is
    nothing in a roll but whether it is known. The condition goes through `width` channels.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a checkpoint's configuration
        self,
        blocks: int = 3,
        layers: int = 10,
        residual: int = 32,
        gate: int = 32,
        skip: int = 256,
        classes: int = 256,
        styles: int = 0,
        pitches: int = 0,
        hop: int = 160,
        around: int = 4,
        width: int = 64,
    ) -> None:
        super().__init__()
        least = min(blocks, layers, residual, gate, skip, hop, width)
        if least < 1 or layers > 16 or classes < 2 or min(styles, pitches, around) < 0:
            raise ValueError("a WaveNet needs one of everything, two classes, 16 layers at most")
        self.layers, self.residual, self.gate, self.skip = blocks * layers, residual, gate, skip
        self.classes, self.styles, self.pitches = classes, styles, pitches
        self.hop, self.around = hop, around
        self.dilations: list[int] = [1 << i for _ in range(blocks) for i in range(layers)]
        self.embed = nn.Embedding(classes, residual)
        self.look = nn.Conv1d(pitches + 1, width, 2 * around + 1)
        self.embed_style = nn.Embedding(styles + 1, width)
        self.mix = nn.Linear(width, width)
        self.tell = nn.Linear(width, self.layers * 2 * gate)
        self.gates = nn.ModuleList(
            nn.Linear(2 * residual, 2 * gate, bias=False) for _ in self.dilations
        )
        self.carry = nn.ModuleList(nn.Linear(gate, residual) for _ in self.dilations[1:])
        self.gather = nn.Linear(self.layers * gate, skip)  # every layer's skip way, in one
        self.hidden = nn.Linear(skip, skip)
        self.out = nn.Linear(skip, classes)

    @property
    def receptive_field(self) -> int:
        """How many samples before it one is predicted from."""
        return sum(self.dilations) + 1

    def scored(self, roll: Tensor) -> Tensor:
        """A roll (..., frames, pitches) as `condition` takes it: with a key that says it is known,
        and `around` unknown frames at both ends."""
        known = F.pad(roll, (0, 1), value=1.0)
        return F.pad(known, (0, 0, self.around, self.around))

    def unscored(self, frames: int) -> Tensor:
        """A roll of which nothing is known, (frames + 2 around, pitches + 1)."""
        return torch.zeros(frames + 2 * self.around, self.pitches + 1)

    def condition(self, roll: Tensor, style: Tensor) -> Tensor:
        """What each layer's units are told in every frame, (B, frames, layers, 2 gate).

        roll (B, frames + 2 around, pitches + 1), as `scored` has it; style (B,).
        """
        h = self.look(roll.transpose(1, 2)).transpose(1, 2)  # (B, frames, width)
        h = F.relu(h + self.embed_style(style)[:, None])
        conditioning: Tensor = self.tell(F.relu(self.mix(h)))
        return conditioning.view(*conditioning.shape[:2], self.layers, 2 * self.gate)

    def forward(self, previous: Tensor, roll: Tensor, style: Tensor) -> Tensor:
        """Logits (B, T, classes) of the samples whose predecessors are given.

        previous (B, T), where entry t is the class of sample t - 1, T a whole number of frames;
        before the first there is silence: zeros in every layer.
        """
        conditioning = self.condition(roll, style)
        x: Tensor = self.embed(previous)  # (B, T, residual)
        units = []
        for number, dilation in enumerate(self.dilations):
            before = F.pad(x, (0, 0, dilation, 0))[:, : x.shape[1]]
            a: Tensor = self.gates[number](torch.cat([before, x], 2))
            framed = a.view(len(a), -1, self.hop, a.shape[2]) + conditioning[:, :, None, number]
            signal, gate = framed.flatten(1, 2).chunk(2, 2)
            units.append(torch.tanh(signal) * sigmoid(gate))
            if number < len(self.carry):
                x = x + self.carry[number](units[-1])
        h = F.relu(self.gather(torch.cat(units, 2)))
        logits: Tensor = self.out(F.relu(self.hidden(h)))
        return logits
