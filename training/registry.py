"""The recipes by their names."""

import pkgutil
from importlib import import_module
from pathlib import Path

from training.errors import TrainingRefused
from training.recipe import Recipe


def recipes() -> list[str]:
    """Returns the names of all recipes, which are those of the checkpoints they make."""
    return sorted(_modules())


def recipe_named(name: str) -> Recipe:
    modules = _modules()
    if name not in modules:
        raise TrainingRefused(f"no recipe {name!r}; there are {', '.join(sorted(modules))}")
    recipe: Recipe = vars(import_module(modules[name]))["RECIPE"]
    return recipe


def _modules() -> dict[str, str]:
    """Returns the module of each recipe: a file in a folder of `training/recipes`."""
    folders = [str(folder) for folder in Path(__file__).with_name("recipes").iterdir()]
    return {
        module.name.replace("_", "-"): f"{__package__}.recipes.{Path(folder).name}.{module.name}"
        for folder in folders
        for module in pkgutil.iter_modules([folder])
    }
