"""Find recipes by name, and load them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from orchestrator.config.ops import load_op_catalogue
from orchestrator.config.recipe_text import parse_recipe
from orchestrator.config.suggestion import did_you_mean, listed
from orchestrator.config.text_files import read_text
from orchestrator.errors import UsageError
from orchestrator.model.recipe import Recipe

_SUFFIX = ".yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFile:
    """A recipe that can be chosen by name."""

    name: str
    path: Path
    summary: str
    """The file's first line, when it is a comment."""


def recipe_folders(*, project: Path, user: Path) -> tuple[Path, ...]:
    """Return where recipes are looked for, first match first: `project`/recipes, the user's, those of this package.

    In a checkout the package's recipes lie beside it, in an installed package inside it.
    """
    package = Path(str(resources.files("orchestrator")))
    folders = (project / "recipes", user, package / "recipes", package.parent / "recipes")
    return tuple(dict.fromkeys(folder.resolve() for folder in folders if folder.is_dir()))


def list_recipes(folders: Sequence[Path]) -> tuple[RecipeFile, ...]:
    """Return the recipes in these folders by name; of two with one name, that of the earlier folder."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            found.setdefault(path.stem, path)
    return tuple(RecipeFile(name=name, path=path, summary=_summary_of(path)) for name, path in sorted(found.items()))


def load_recipe(name_or_path: str, *, folders: Sequence[Path]) -> Recipe:
    """Return a recipe by its name in `folders`, or by its path (a word with `/`, or that ends in `.yaml`).

    Raises UsageError when there is none, ConfigError with all faults of its text.
    """
    path = _find(name_or_path, folders)
    hint = "a recipe is named (dsdeploy recipe list) or given as the path of a .yaml file"
    return parse_recipe(read_text(path, kind="recipe", hint=hint), path=path, catalogue=load_op_catalogue())


def _find(name_or_path: str, folders: Sequence[Path]) -> Path:
    if "/" in name_or_path or name_or_path.endswith((_SUFFIX, ".yml")):
        return Path(name_or_path)
    known = {recipe.name: recipe.path for recipe in list_recipes(folders)}
    if name_or_path not in known:
        near = did_you_mean(name_or_path, known)
        raise UsageError(f"no recipe is called {name_or_path}{near}", hint=f"there are: {listed(known) or 'none'}")
    return known[name_or_path]


def _summary_of(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline().strip()
    return first.lstrip("# ") if first.startswith("#") else ""
