"""How good a checkpoint's clips are: figures over seeds, written into its card.

Half of the clips are asked for by names that were learnt from, half by names of emoji that were
never seen to move. Frames are held against frames of held-out clips, motion against theirs. The
floors are training clips, and noise. A Fréchet distance of frames is no FVD: it knows of no motion.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import JsonValue, ValidationError
from torch import Tensor

from models.checkpoint.weights import Checkpoint
from models.engine.noise import seeded
from models.families import FAMILIES
from models.params.base import Params
from training.data.video.clips import Clips, load_clips
from training.evaluation.feature_lens import Lens, lens_over
from training.evaluation.image_trial import Eyes
from training.evaluation.judges import CaptionJudge, judge_of_captions
from training.evaluation.options import EvalOptions, Record
from training.evaluation.reference import EvaluationRefused
from training.generate import generate_pixels, load_model
from training.metrics.interval import interval
from training.metrics.motion import jerkiness, motion_energy, nearest_clips

REFERENCE = "moving emoji"
CLIPS = 48  # a seed: half of them known by name
AT_ONCE = 4  # clips that are generated together
SEEN = 4  # frames of each clip that the judge is shown
KNOWN, UNSEEN = "", "unseen_"  # how the names of figures begin, by what was asked for

Series = dict[str, list[float]]


@dataclass(frozen=True)
class Watch:
    """What clips are held against, and by whom they are judged."""

    train: Clips
    test: Clips
    lens: Lens
    judge: CaptionJudge | None
    captions: tuple[str, ...]

    @classmethod
    def over(cls, clips: Clips, eyes: Eyes, checkpoints: Path) -> "Watch":
        captions = tuple(sorted({str(caption) for caption in clips.caption}))
        train, test = clips.rows(~clips.held), clips.rows(clips.held)
        frames = torch.from_numpy(test.clips).flatten(0, 1)
        lens = lens_over(frames, eyes.features, ("fed", "score"))
        return cls(train, test, lens, judge_of_captions(list(captions), checkpoints), captions)

    def figures(self, clips: Tensor, names: list[str], seed: int) -> dict[str, float]:
        """Of clips (N, F, C, H, W) that should show these."""
        found = self.lens.figures(self.lens.features(clips.flatten(0, 1)), seeded(seed))
        energy = motion_energy(clips)
        near, _ = nearest_clips(clips, torch.from_numpy(self.train.clips))
        found |= {
            "motion": float(energy.mean()),
            "motion_spread": float(energy.std()),
            "jerkiness": float(jerkiness(clips).mean()),
            "nearest": float(near.mean()),
        }
        if self.judge is not None:
            number = torch.tensor([self.captions.index(name) for name in names])
            some = clips[:, :: max(1, clips.shape[1] // SEEN)]
            label = number.repeat_interleave(some.shape[1])
            found |= self.judge.figures(some.flatten(0, 1), label)
        return found


def watched(
    checkpoint: Checkpoint,
    order: EvalOptions,
    eyes: Eyes,
    checkpoints: Path,
    device: torch.device,
) -> Record:
    """The record of one evaluation. Raises EvaluationRefused."""
    if order.reference is not None:
        raise EvaluationRefused("clips are held against those of the recipe alone: no --reference")
    n, given = CLIPS if order.n is None else order.n, order.params
    if n < 4 or n % 2:
        raise EvaluationRefused(f"an even number of clips, at least 4, is measured, not {n}")
    watch = Watch.over(load_clips(), eyes, checkpoints)
    model = load_model(checkpoint, device)
    halves = {KNOWN: named(watch.train, n // 2), UNSEEN: named(watch.test, n // 2)}
    asked = {half: params_of(checkpoint, given, names) for half, names in halves.items()}

    def made(seed: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for half, names in halves.items():
            clips = generate_pixels(model, asked[half], seed, device, AT_ONCE)
            found |= {half + k: v for k, v in watch.figures(clips, names, seed).items()}
        return found

    return {
        "params": dict(given),
        "n": n // 2,
        "seeds": order.seeds,
        "reference": REFERENCE,
        "held_out": len(watch.test.clips),
        "features": eyes.features.name,
        **({} if watch.judge is None else {"judge": watch.judge.id}),
        **over_seeds(made, order.seeds),
        "real": over_seeds(lambda seed: real(watch, n // 2, seed), order.seeds),
        "noise": over_seeds(lambda seed: noise(watch, halves[KNOWN], seed), order.seeds),
    }


def real(watch: Watch, count: int, seed: int) -> dict[str, float]:
    """Training clips against held-out ones; how near a training clip is to others says how near
    held-out ones are to it."""
    rows = torch.randperm(len(watch.train.clips), generator=seeded(seed))[:count].numpy()
    some = watch.train.rows(rows)
    found = watch.figures(torch.from_numpy(some.clips), [str(c) for c in some.caption], seed)
    test = torch.from_numpy(watch.test.clips)
    near, _ = nearest_clips(test, torch.from_numpy(watch.train.clips))
    return found | {"nearest": float(near.mean())}


def noise(watch: Watch, names: list[str], seed: int) -> dict[str, float]:
    shape = (len(names), *watch.test.clips.shape[1:])
    clips = torch.randint(0, 256, shape, generator=seeded(seed), dtype=torch.uint8)
    return watch.figures(clips, names, seed)


def named(clips: Clips, count: int) -> list[str]:
    """So many names of different emoji without a skin tone, in an order of their own."""
    names = sorted({str(c) for c, tone in zip(clips.caption, clips.tone, strict=True) if not tone})
    order = torch.randperm(len(names), generator=seeded(0)).tolist()
    if len(names) < count:
        raise EvaluationRefused(f"{count} names are asked for, and there are {len(names)}")
    return [names[i] for i in order[:count]]


def params_of(
    checkpoint: Checkpoint, given: Mapping[str, JsonValue], names: list[str]
) -> list[Params]:
    """Raises EvaluationRefused for params that this checkpoint doesn't take."""
    header = checkpoint.header
    entry = FAMILIES[header.family]
    if unknown := given.keys() & entry.lacks(header):
        raise EvaluationRefused(f"this checkpoint takes no {', '.join(sorted(unknown))}")
    try:
        return [
            entry.params.model_validate({**header.defaults, **given, "prompt": name})
            for name in names
        ]
    except ValidationError as error:
        first = error.errors()[0]
        raise EvaluationRefused(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def over_seeds(measure: Callable[[int], dict[str, float]], seeds: int) -> Record:
    """Mean and interval of each figure."""
    series: Series = {}
    for seed in range(seeds):
        for name, value in measure(seed).items():
            series.setdefault(name, []).append(value)
    return {name: interval(values).card() for name, values in series.items()}
