"""Fits the attributes of a checkpoint anew, without training it.

    python -m training.refit_attributes checkpoints/vae-fashion.safetensors --out out

The checkpoint's recipe has the pictures and the tags. Its weights stay as they are.
"""

from argparse import ArgumentParser
from pathlib import Path

from models.checkpoint.header import CheckpointError
from models.checkpoint.weights import Checkpoint, load, save
from training.data.images.fashion import fashion_tags
from training.learners.vae import Tags, bare, fit_attributes, latents
from training.recipe import Data, TrainedWeights
from training.registry import recipe_named

TAGS: dict[str, Tags] = {"vae-fashion": fashion_tags}
"""The tags that the attributes of a VAE are fitted to, by the id of its recipe."""
FINISHED = {"dcgan-emoji"}
"""Recipes that fit nothing but attributes after the last step."""


def refit_attributes(checkpoint: Checkpoint, data: Data, tags: Tags) -> TrainedWeights:
    """Returns the card and the tensors of a VAE with attributes fitted to these tags."""
    card, tensors = checkpoint.header, dict(checkpoint.tensors)
    mu, _ = latents(bare(card, tensors), data.train[0])
    return fit_attributes(TrainedWeights(card, tensors), mu, data, tags)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for the new file")
    options = parser.parse_args()
    checkpoint = load(options.checkpoint)
    recipe = str(checkpoint.header.recipe.get("id"))
    if recipe not in FINISHED | TAGS.keys():
        raise CheckpointError(f"{options.checkpoint.name}: no attributes are known for {recipe}")
    known = recipe_named(recipe)
    if recipe in TAGS:
        trained = refit_attributes(checkpoint, known.data(), TAGS[recipe])
    else:
        trained = known.finish(checkpoint.header, checkpoint.tensors, known.data())
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / options.checkpoint.name
    save(path, trained.card, trained.weights)
    print(f"{path}: {', '.join(trained.card.attributes)}")


if __name__ == "__main__":
    main()
