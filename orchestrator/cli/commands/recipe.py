"""`dsdeploy recipe …`: what can be built."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.answer import Answer
from orchestrator.cli.options import Output, spread

app = typer.Typer(name="recipe", help="List, show and check what can be built.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A recipe's name, or a YAML file.", metavar="RECIPE")]


@app.command("list")
@spread
def list_all(output: Output) -> Answer:  # noqa: ARG001 - its options are the edge's
    """List the recipes that have a name, and where they lie.

    Example:  dsdeploy recipe list
    """
    from orchestrator.cli.user_files import find_recipe_folders
    from orchestrator.config.recipes import list_recipes
    from orchestrator.report.documents import recipes_document
    from orchestrator.report.tables.recipe import recipes_table

    found = [(recipe.name, recipe.summary, str(recipe.path)) for recipe in list_recipes(find_recipe_folders())]
    return Answer(document=lambda: recipes_document(found), draw=lambda: recipes_table(found))


@app.command("show")
@spread
def show_one(name: Name, output: Output) -> Answer:  # noqa: ARG001 - its options are the edge's
    """Show what a recipe means, defaults filled in.

    Example:  dsdeploy recipe show cpu-training
    """
    from orchestrator.cli.user_files import find_recipe_folders
    from orchestrator.config.recipes import load_recipe
    from orchestrator.report.documents import recipe_document
    from orchestrator.report.tables.recipe import recipe_details

    recipe = load_recipe(name, folders=find_recipe_folders())
    return Answer(document=lambda: recipe_document(recipe), draw=lambda: recipe_details(recipe))


@app.command("check")
def check_one(name: Name) -> None:
    """Tell all faults of a recipe.

    Each with its file, line and key; silence and exit code 0 when there are none.

    Example:  dsdeploy recipe check ./mine.yaml
    """
    from orchestrator.cli.user_files import find_recipe_folders
    from orchestrator.config.recipes import load_recipe

    load_recipe(name, folders=find_recipe_folders())
