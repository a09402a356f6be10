"""Decides whether a wheel that exists serves a group that it was not built for alone."""

from __future__ import annotations

from dataclasses import replace

from packaging.version import Version

from orchestrator.model.recipe import CpuPolicy, Recipe
from orchestrator.model.signature import Signature
from orchestrator.model.wheels import Manifest
from orchestrator.planning.cpu import runs_code_of


def was_built_for(manifest: Manifest, wanted: Signature, recipe: Recipe) -> bool:
    """Tell whether a wheel is of this recipe and signature, with floors at or below those of the group.

    A CPU level below the group's is accepted only where the recipe lets hosts of several levels share a wheel.
    """
    built = manifest.signature
    if manifest.recipe_digest != recipe.digest():
        return False
    if replace(built, cpu_level=wanted.cpu_level, glibc=wanted.glibc, glibcxx=wanted.glibcxx) != wanted:
        return False
    if Version(built.glibc) > Version(wanted.glibc) or Version(built.glibcxx) > Version(wanted.glibcxx):
        return False
    may_be_lower = recipe.cpu_level is None and recipe.cpu_policy is CpuPolicy.LOWEST
    if may_be_lower:
        return runs_code_of(wanted.cpu_level, built.cpu_level)
    return built.cpu_level is wanted.cpu_level
