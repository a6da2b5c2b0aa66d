"""The recipes by their names."""

import pkgutil
from importlib import import_module
from pathlib import Path

from training.errors import TrainingRefused
from training.recipe import Recipe


def recipes() -> list[str]:
    """The names of all recipes, which are those of the checkpoints they make."""
    modules = pkgutil.iter_modules([str(Path(__file__).with_name("recipes"))])
    return sorted(module.name.replace("_", "-") for module in modules)


def recipe_named(name: str) -> Recipe:
    if name not in recipes():
        raise TrainingRefused(f"no recipe {name!r}; there are {', '.join(recipes())}")
    recipe: Recipe = vars(import_module(f"training.recipes.{name.replace('-', '_')}"))["RECIPE"]
    return recipe
