"""Decides whether a host can take a wheel at all, and says what stands in the way and how to move it."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.model.facts import Facts, Gpu, Interpreter, System, Torch
from orchestrator.model.recipe import Recipe
from orchestrator.model.signature import Accelerator
from orchestrator.planning.archs import arch_of, is_cuda, ptx_archs, ptx_runs_on, runs_on
from orchestrator.planning.cpu import runs_code_of

_NAME_A_PYTHON = "name another interpreter with python= in the hostfile, or with --python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why a host is rejected, and what to do about it."""

    reason: str
    hint: str


def find_obstacle(facts: Facts, recipe: Recipe) -> Obstacle | None:
    """Return the first thing that keeps a wheel of this recipe off the host; None when nothing does."""
    interpreter = facts.interpreter
    if interpreter is None:
        return Obstacle(reason=facts.interpreter_error or "no target interpreter was found", hint=_NAME_A_PYTHON)
    return (
        _find_in_environment(interpreter)
        or _find_in_system(facts.system)
        or _find_in_torch(facts, interpreter, recipe)
        or _find_in_cpu(facts.system, recipe)
    )


def accelerator_of(facts: Facts, recipe: Recipe) -> Accelerator:
    """Return what DeepSpeed shall run on there: the recipe's word, else what the host has."""
    return recipe.accelerator or facts.accelerator


def archs_of(facts: Facts, accelerator: Accelerator) -> tuple[str, ...]:
    """Return the host's own GPU archs, sorted; none on CPU."""
    if accelerator is Accelerator.CPU:
        return ()
    return tuple(sorted({arch for gpu in facts.gpus if (arch := arch_of_gpu(gpu))}))


def arch_of_gpu(gpu: Gpu) -> str | None:
    """Return a GPU's arch; None when its driver does not tell."""
    return gpu.gfx or (gpu.compute_capability and arch_of(gpu.compute_capability))


def _find_in_environment(interpreter: Interpreter) -> Obstacle | None:
    if interpreter.is_externally_managed:
        return Obstacle(
            reason=f"{interpreter.executable} belongs to the operating system, which forbids installing (PEP 668)",
            hint=f"make a virtual environment with torch in it; {_NAME_A_PYTHON}",
        )
    if not interpreter.is_writable:
        return Obstacle(
            reason=f"{interpreter.platlib} cannot be written by this user",
            hint=f"log in as its owner (user= in the hostfile), or {_NAME_A_PYTHON}",
        )
    deepspeed = interpreter.deepspeed
    if deepspeed is not None and deepspeed.is_editable:
        return Obstacle(
            reason=f"DeepSpeed {deepspeed.version} is an editable installation of {deepspeed.location}",
            hint=f"{interpreter.executable} -m pip uninstall deepspeed",
        )
    return None


def _find_in_system(system: System) -> Obstacle | None:
    if system.glibc is None:
        return Obstacle(
            reason=f"{system.os} has no glibc, and torch's wheels need it",
            hint="use a system or container with glibc: Debian, Ubuntu, Enterprise Linux",
        )
    if system.glibcxx is None:
        return Obstacle(
            reason="no libstdc++ was found, and every op needs it",
            hint="install libstdc++6 (apt) or libstdc++ (dnf)",
        )
    return None


def _find_in_torch(facts: Facts, interpreter: Interpreter, recipe: Recipe) -> Obstacle | None:
    if interpreter.torch is None:
        return Obstacle(
            reason=f"{interpreter.executable} has no torch",
            hint=f"install torch into {interpreter.prefix}, or {_NAME_A_PYTHON}",
        )
    return _find_in_accelerator(facts, interpreter.torch, recipe)


def _find_in_accelerator(facts: Facts, torch: Torch, recipe: Recipe) -> Obstacle | None:
    accelerator = accelerator_of(facts, recipe)
    if accelerator is Accelerator.CPU:
        return None
    word = accelerator.value
    if facts.accelerator is not accelerator:
        return Obstacle(
            reason=f"the recipe asks for {word}, and no such GPU was found",
            hint="leave the host out with --exclude, or use a recipe with `accelerator: cpu`",
        )
    # DeepSpeed alone would make a CPU wheel of the same file name here and say nothing.
    if (torch.cuda if accelerator is Accelerator.CUDA else torch.hip) is None:
        return Obstacle(
            reason=f"the host has GPUs, but its torch {torch.version} is not built for {word}",
            hint=f"install a {word} build of torch, or use a recipe with `accelerator: cpu`",
        )
    return _find_in_gpus(facts, accelerator, recipe)


def _find_in_gpus(facts: Facts, accelerator: Accelerator, recipe: Recipe) -> Obstacle | None:
    unknown = [gpu.name for gpu in facts.gpus if arch_of_gpu(gpu) is None]
    if unknown and not recipe.archs:
        return Obstacle(
            reason=f"the driver does not tell the arch of {unknown[0]}",
            hint="give `archs:` in the recipe, or update the driver",
        )
    uncovered = [arch for arch in archs_of(facts, accelerator) if recipe.archs and not _is_covered(arch, recipe)]
    if uncovered:
        return Obstacle(
            reason=f"its GPU is {uncovered[0]}, and the recipe builds for {', '.join(recipe.archs)} only",
            hint=f"add {uncovered[0]} to `archs:` in the recipe",
        )
    return None


def _is_covered(arch: str, recipe: Recipe) -> bool:
    """Whether a wheel of the recipe's archs holds machine code, or PTX, that runs there."""
    if any(runs_on(code, arch) for code in recipe.archs):
        return True
    return any(ptx_runs_on(virtual, arch) for virtual in ptx_archs(filter(is_cuda, recipe.archs), recipe.ptx))


def _find_in_cpu(system: System, recipe: Recipe) -> Obstacle | None:
    if recipe.cpu_level is None or runs_code_of(system.cpu_level, recipe.cpu_level):
        return None
    return Obstacle(
        reason=f"its CPU is {system.cpu_level.value} and cannot run the recipe's {recipe.cpu_level.value}",
        hint="`cpu: lowest` in the recipe goes down to it; or leave the host out with --exclude",
    )
