"""A recipe, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from orchestrator.model.recipe import Recipe, Source, SourceKind
from orchestrator.report.page import Drawing, make_details, make_table, titled


def recipe_details(recipe: Recipe) -> RenderableType:
    """Draw every field of a recipe, the defaults too."""
    return Drawing(lambda _: titled(f"recipe {recipe.name}", make_details(_rows(recipe))))


def recipes_table(recipes: Sequence[tuple[str, str, str]]) -> RenderableType:
    """Draw a row per recipe: name, summary, path."""
    return Drawing(lambda _: make_table(("RECIPE", "FOR", "FILE"), recipes))


def source_words(source: Source) -> str:
    """Name a source: `DeepSpeed 0.19.8`, `DeepSpeed from URL at COMMIT`."""
    if source.kind is SourceKind.VERSION:
        return f"DeepSpeed {source.value}"
    revision = f" at {source.revision}" if source.revision else ""
    return f"DeepSpeed from {source.value}{revision}"


def _rows(recipe: Recipe) -> Iterator[tuple[str, str]]:
    yield "source", source_words(recipe.source)
    yield "accelerator", recipe.accelerator.value if recipe.accelerator else "what each host has"
    yield "wanted ops", ", ".join(recipe.wanted) or "every op of that DeepSpeed"
    yield "required ops", ", ".join(recipe.required) or "none"
    yield "ops off", ", ".join(recipe.off) or "none"
    yield "python", recipe.python or "the hostfile's, else python3"
    yield "CPU level", recipe.cpu_level.value if recipe.cpu_level else f"by policy: {recipe.cpu_policy.value}"
    yield "GPU archs", ", ".join(recipe.archs) or f"by policy: {recipe.arch_policy.value}"
    yield "PTX", recipe.ptx.value
    yield "toolchain", f"by policy: {recipe.toolchain.value}"
    yield "debug sections", "stripped" if recipe.strip else "kept"
    yield "CUDA check", "skipped" if recipe.skip_cuda_check else "done"
    yield "strategy", recipe.strategy.value
    for name, value in recipe.environment.items():
        yield "environment", f"{name}={value}"
    yield "digest", recipe.digest()[:12]
