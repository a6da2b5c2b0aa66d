"""Measures clips: frames against frames of held-out clips, motion against theirs.

Half of the clips show emoji of the training clips, half emoji that no training clip shows. The
Fréchet distance of frames is no FVD: it knows of no motion.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from models.engine.noise import seeded
from training.data.video.clips import Clips, load_clips
from training.evaluation.evaluator import (
    Evaluation,
    EvaluationRefused,
    FeatureNets,
    Figures,
    Record,
    Task,
    requests_of,
)
from training.evaluation.feature_lens import Lens, lens_over
from training.evaluation.judges import CaptionJudge, judge_of_captions
from training.generate import generate_pixels
from training.metrics.video.motion import (
    jerkiness,
    loop_seam,
    motion_energy,
    nearest_clips,
    seed_variety,
)

REFERENCE = "moving emoji"
CLIPS = 48  # a seed: half of them known by name
AT_ONCE = 4  # clips that are generated together
VARIED, SEEDS = 8, 4  # names that are asked for again, and how often
JUDGED = 4  # frames of each clip that the judge sees
KNOWN, UNSEEN = "", "unseen_"  # prefixes of figures, by what was asked for


@dataclass(frozen=True)
class ClipComparison:
    """What clips are compared with, and the judge of their frames."""

    train: Clips
    test: Clips
    lens: Lens
    judge: CaptionJudge | None
    captions: tuple[str, ...]

    @classmethod
    def over(cls, clips: Clips, nets: FeatureNets, checkpoints: Path) -> "ClipComparison":
        captions = tuple(sorted({str(caption) for caption in clips.caption}))
        train, test = clips.rows(~clips.held_out), clips.rows(clips.held_out)
        frames = torch.from_numpy(test.clips).flatten(0, 1)
        lens = lens_over(frames, nets.features, ("fed", "score"))
        return cls(train, test, lens, judge_of_captions(list(captions), checkpoints), captions)

    def figures(self, clips: Tensor, names: list[str], seed: int) -> Figures:
        """Compares clips (N, F, C, H, W) that should show these names."""
        energy = motion_energy(clips)
        figures = self.lens.figures(self.lens.features(clips.flatten(0, 1)), seeded(seed)) | {
            "motion": float(energy.mean()),
            "motion_spread": float(energy.std()),
            "jerkiness": float(jerkiness(clips).mean()),
            "seam": float(loop_seam(clips).median()),
            "nearest": self._nearest(clips),
        }
        if self.judge is not None:
            number = torch.tensor([self.captions.index(name) for name in names])
            some = clips[:, :: max(1, clips.shape[1] // JUDGED)]
            label = number.repeat_interleave(some.shape[1])
            figures |= self.judge.figures(some.flatten(0, 1), label)
        return figures

    def real(self, count: int, seed: int) -> Figures:
        """Compares training clips with held-out ones.

        `nearest` is that of the held-out clips: how near a clip is that is no copy.
        """
        rows = torch.randperm(len(self.train.clips), generator=seeded(seed))[:count].numpy()
        some = self.train.rows(rows)
        figures = self.figures(torch.from_numpy(some.clips), [str(c) for c in some.caption], seed)
        return figures | {"nearest": self._nearest(torch.from_numpy(self.test.clips))}

    def noise(self, names: list[str], seed: int) -> Figures:
        shape = (len(names), *self.test.clips.shape[1:])
        clips = torch.randint(0, 256, shape, generator=seeded(seed), dtype=torch.uint8)
        return self.figures(clips, names, seed)

    def _nearest(self, clips: Tensor) -> float:
        return float(nearest_clips(clips, torch.from_numpy(self.train.clips))[0].mean())


def evaluate_videos(task: Task) -> Evaluation:
    """Prepares an evaluation against the moving emoji."""
    options = task.options
    if options.reference is not None:
        raise EvaluationRefused(
            "clips are compared with those of the recipe, or with --reference pictures"
        )
    n = CLIPS if options.n is None else options.n
    if n < 4 or n % 2:
        raise EvaluationRefused(f"an even number of clips, at least 4, is measured, not {n}")
    comparison = ClipComparison.over(load_clips(), task.nets, task.checkpoints)
    halves = {KNOWN: names_of(comparison.train, n // 2), UNSEEN: names_of(comparison.test, n // 2)}
    requests = {
        half: requests_of(task.header, options.params, [{"prompt": name} for name in names])
        for half, names in halves.items()
    }

    def measure(seed: int) -> Figures:
        figures: Figures = {}
        for half, names in halves.items():
            clips = generate_pixels(task.model, requests[half], seed, task.device, AT_ONCE)
            figures |= {half + k: v for k, v in comparison.figures(clips, names, seed).items()}
        again = [one for one in requests[KNOWN][:VARIED] for _ in range(SEEDS)]
        clips = generate_pixels(task.model, again, seed, task.device, AT_ONCE)
        variety = seed_variety(clips.view(-1, SEEDS, *clips.shape[1:]))
        return figures | {"variety": float(variety.median())}

    about: Record = {
        "n": n // 2,
        "reference": REFERENCE,
        "held_out": len(comparison.test.clips),
        "features": task.nets.features.name,
    }
    if comparison.judge:
        about["judge"] = comparison.judge.id
    return Evaluation(
        about,
        measure,
        real=lambda seed: comparison.real(n // 2, seed),
        noise=lambda seed: comparison.noise(halves[KNOWN], seed),
    )


def names_of(clips: Clips, count: int) -> list[str]:
    """Returns names of different emoji without a skin tone, in a shuffled order."""
    names = sorted({str(c) for c, tone in zip(clips.caption, clips.tone, strict=True) if not tone})
    order = torch.randperm(len(names), generator=seeded(0)).tolist()
    if len(names) < count:
        raise EvaluationRefused(f"{count} names are asked for, and there are {len(names)}")
    return [names[i] for i in order[:count]]
