"""Measures images: against held-out ones through the features of nets, and by a judge.

Real images are training images, which no model that has learnt from them can hope to beat.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from pydantic import JsonValue
from torch import Tensor

from models.checkpoint.header import Header
from models.engine.noise import seeded
from models.families import FAMILIES
from models.params.base import Params, posted_files
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
from training.evaluation.judges import Judge, judge_of, judge_of_captions
from training.evaluation.reference import Reference, cropped, reference_of
from training.generate import generate_pixels
from training.metrics.image.features import remembered
from training.recipe import Data

IMAGES = 2_000  # a seed, where there are so many to compare with
A_WORD = Data((torch.zeros(1), torch.zeros(1).long()), (), ("face",))
"""Captions for images whose content doesn't matter."""


@dataclass(frozen=True, slots=True)
class ImageRequests:
    """The params of every image of a seed, and the numbers of its labels, (N,), if any."""

    params: list[Params]
    label: Tensor | None


@dataclass(frozen=True, slots=True)
class ImageComparison:
    """A reference, the lenses that images are seen through, and a judge of labels or captions."""

    reference: Reference
    lenses: list[Lens]
    judge: Judge | None

    def figures(
        self, images: Tensor, label: Tensor | None, seed: int, *, cache: bool = False
    ) -> Figures:
        """Compares images; `cache` keeps their features for other checkpoints."""
        figures: Figures = {}
        for lens in self.lenses:
            features = partial(remembered, lens.features) if cache else lens.features
            figures |= lens.figures(features(images), seeded(seed))
        if self.judge and label is not None:
            figures |= self.judge.figures(images, label)
        return figures

    def real(self, count: int, seed: int) -> Figures:
        """Compares training images; the judge chooses the real images that it judges itself."""
        figures = self.figures(self.reference.sample(count, seed), None, seed, cache=True)
        judged = self.judge.of_real(self.reference.data) if self.judge and seed == 0 else {}
        return figures | judged

    def noise(self, count: int, label: Tensor | None, seed: int) -> Figures:
        return self.figures(self.reference.noise(count, seed), label, seed, cache=True)


def evaluate_images(task: Task) -> Evaluation:
    """Prepares an evaluation against the reference that is asked for, or that of the recipe."""
    header, params, device = task.header, task.options.params, task.device
    first = generate_pixels(task.model, image_requests(header, params, 1).params, 0, device)
    shape = (min(first.shape[2:]), first.shape[1])  # an oblong image's middle square
    reference = reference_of(header, task.options.reference, shape)
    judge = _judge_for(task, reference.data)
    count = _count(reference, task.options.n)
    comparison = ImageComparison(reference, _lenses(reference, task.nets), judge)
    requests = image_requests(header, params, count, reference.data)
    side = reference.data.test[0].shape[2]

    def measure(seed: int) -> Figures:
        images = cropped(generate_pixels(task.model, requests.params, seed, device), side)
        return comparison.figures(images, requests.label, seed)

    return Evaluation(
        _about(comparison, task.nets, count),
        measure,
        real=lambda seed: comparison.real(count, seed),
        noise=lambda seed: comparison.noise(count, requests.label, seed),
    )


def _count(reference: Reference, n: int | None) -> int:
    """n None is 2,000, or as many as there are training images, which are compared as well."""
    train, held_out = (columns[0] for columns in (reference.data.train, reference.data.test))
    count = min(IMAGES, len(train)) if n is None else n
    if not 2 <= count <= len(train) or len(held_out) < 2:
        raise EvaluationRefused(
            f"{count} pictures can't be measured against {reference.name}, which has "
            f"{len(train)} training and {len(held_out)} held-out pictures"
        )
    return count


def _lenses(reference: Reference, nets: FeatureNets) -> list[Lens]:
    held_out = reference.data.test[0]
    lenses = [lens_over(held_out, nets.features, ("fed", "score"))]
    if nets.inception:
        lenses.append(lens_over(held_out, nets.inception, ("fid", "is")))
    return lenses


def _judge_for(task: Task, data: Data) -> Judge | None:
    """Only where the model, its data and the judge mean the same by a label, or by a caption."""
    header = task.header
    if takes_prompt(header):
        return judge_of_captions(list(data.labels), task.checkpoints)
    if not header.labels or list(data.labels) != header.labels:
        return None
    return judge_of(header.labels, task.checkpoints)


def _about(comparison: ImageComparison, nets: FeatureNets, count: int) -> Record:
    about: Record = {
        "n": count,
        "reference": comparison.reference.name,
        "held_out": len(comparison.reference.data.test[0]),
        "features": nets.features.name,
    }
    if nets.inception:
        about["inception"] = nets.inception.name
    if comparison.judge:
        about["judge"] = comparison.judge.id
    return about


def takes_prompt(header: Header) -> bool:
    """Whether it makes nothing without them."""
    prompt = FAMILIES[header.family].params.model_fields.get("prompt")
    return prompt is not None and prompt.is_required()


def image_requests(
    header: Header, params: Mapping[str, JsonValue], count: int, data: Data = A_WORD
) -> ImageRequests:
    """Returns params for `count` images: each label in turn, where a model has any and `params`
    has none; the captions of the training images, in an order of their own, for text to image.

    Raises EvaluationRefused for params that this checkpoint doesn't take.
    """
    labels = header.labels
    if "class_label" not in FAMILIES[header.family].params.model_fields:
        labels = []
    kinds: Sequence[int] = range(len(labels))
    if labels and params.get("class_label") is not None:
        kinds = [_label_index(params["class_label"], labels)]
    number = [kinds[i % len(kinds)] for i in range(count)] if kinds else []
    own: list[Record] = [{"class_label": labels[k]} for k in number] or [{}] * count
    if takes_prompt(header) and "prompt" not in params:
        number = _captions(data, count)
        own = [{"prompt": data.labels[k]} for k in number]
    requests = requests_of(header, params, own)
    attributes = params.get("attributes")
    if isinstance(attributes, dict) and (unknown := attributes.keys() - set(header.attributes)):
        raise EvaluationRefused(f"attributes: it has no {', '.join(sorted(unknown))}")
    first = dict(requests[0])
    if first.get("interpolate") is not None or posted_files(requests[0]):
        raise EvaluationRefused("pictures are measured that stand alone: no walk, and no file")
    if first.get("upscale", 1) != 1:
        raise EvaluationRefused(
            "pictures are measured as large as what was learnt from: no upscale"
        )
    return ImageRequests(requests, torch.tensor(number) if number else None)


def _captions(data: Data, count: int) -> list[int]:
    """Numbers of captions that were learnt from, each once before any comes again."""
    if not data.labels:
        raise EvaluationRefused("it paints what words say, and the reference has no captions")
    known = torch.tensor(sorted(set(data.train[1].tolist())))
    order = known[torch.randperm(len(known), generator=seeded(0))].tolist()
    return [order[i % len(order)] for i in range(count)]


def _label_index(label: JsonValue, labels: list[str]) -> int:
    """Returns the index of a label, which may be a name or an index."""
    if isinstance(label, str) and label in labels:
        return labels.index(label)
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(labels):
        return label
    raise EvaluationRefused(f"class_label: {label!r} is none of {', '.join(labels)}")
