"""`dsdeploy recipe …`: what can be built."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import Output, spread

app = typer.Typer(name="recipe", help="What can be built.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="A recipe's name, or a YAML file.", metavar="RECIPE")]


@app.command("list")
@spread
def list_all(output: Output) -> None:
    """List the recipes that can be chosen by name, and where each lies."""
    from orchestrator.cli.render import show
    from orchestrator.cli.user_files import find_recipe_folders
    from orchestrator.config.recipes import list_recipes
    from orchestrator.report.documents import recipes_document
    from orchestrator.report.tables.recipe import recipes_table

    found = [(recipe.name, recipe.summary, str(recipe.path)) for recipe in list_recipes(find_recipe_folders())]
    show(recipes_document(found), lambda: recipes_table(found), output)


@app.command("show")
@spread
def show_one(output: Output, name: Name) -> None:
    """Show what a recipe means, defaults filled in.

    Example:  dsdeploy recipe show cpu-training
    """
    from orchestrator.cli.render import show
    from orchestrator.cli.user_files import find_recipe_folders
    from orchestrator.config.recipes import load_recipe
    from orchestrator.report.documents import recipe_document
    from orchestrator.report.tables.recipe import recipe_details

    recipe = load_recipe(name, folders=find_recipe_folders())
    show(recipe_document(recipe), lambda: recipe_details(recipe), output)


@app.command("check")
def check_one(name: Name) -> None:
    """Read a recipe and tell all its faults with file, line and key; silent and 0 when there are none."""
    from orchestrator.cli.user_files import find_recipe_folders
    from orchestrator.config.recipes import load_recipe

    load_recipe(name, folders=find_recipe_folders())
