"""Recipe text into a Recipe: which keys there are and what they may say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.config.faults import Faults
from orchestrator.config.names import fault_of_python, quoted
from orchestrator.config.ops import ops_for
from orchestrator.config.recipe_ops import OP_KEYS, KnownOps, is_op_switch, read_op_lists
from orchestrator.config.recipe_source import read_source
from orchestrator.config.suggestion import did_you_mean, listed
from orchestrator.config.yaml_sections import Section, Word, open_sections
from orchestrator.model.ops import OpSpec
from orchestrator.model.recipe import ArchPolicy, BuildStrategy, CpuPolicy, PtxPolicy, Recipe, Source, SourceKind
from orchestrator.model.signature import Accelerator, CpuLevel
from orchestrator.model.toolchain import ToolchainPolicy

RECIPE_KEYS = (
    "deepspeed",
    "accelerator",
    "ops",
    "python",
    "env",
    "cpu",
    "archs",
    "ptx",
    "strip",
    "skip_cuda_check",
    "strategy",
    "toolchain",
)

_INSTEAD_OF_VARIABLE = {
    "DS_ACCELERATOR": "write the key `accelerator`",
    "TORCH_CUDA_ARCH_LIST": "write the key `archs`",
    "DS_SKIP_CUDA_CHECK": "write the key `skip_cuda_check`",
    "DS_BUILD_STRING": "the local version is written by the build",
    "CUDA_HOME": "write the key `toolchain`; the toolkit of `system` is that of CUDA_HOME where dsdeploy runs",
    "MAX_JOBS": "--jobs says how many compilers run at once",
    "DS_NVCC_THREADS": "--jobs says how many compilers run at once, and each takes one core",
}
"""Variables that the build sets by itself."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CAPABILITY = re.compile(r"(\d{1,2})\.(\d)([af]?)")
_ARCH = re.compile(r"sm_\d{2,3}[af]?|gfx[0-9a-f]{3,4}")


def parse_recipe(text: str, *, path: Path, catalogue: Sequence[OpSpec]) -> Recipe:
    """Return the recipe that a file's text describes; a relative folder in it is meant from the file's own.

    Raises ConfigError with every fault: line, key path, and the near name where there is one.
    """
    faults = Faults(str(path))
    root = open_sections(text, faults, keys=RECIPE_KEYS)
    recipe = _read_recipe(root, path, catalogue, faults) if root else None
    faults.raise_any(hint="the recipes that dsdeploy brings along are commented examples: dsdeploy recipe list")
    assert recipe is not None  # without a source there is a fault
    return recipe


def _read_recipe(root: Section, path: Path, catalogue: Sequence[OpSpec], faults: Faults) -> Recipe | None:
    source = read_source(root, path.parent, faults)
    accelerator = root.choice("accelerator", Accelerator)
    environment, switches = _read_environment(root, faults)
    known = _known_ops(catalogue, source, accelerator)
    ops = read_op_lists(root.section("ops", keys=OP_KEYS), switches, known, faults)
    cpu_policy, cpu_level = _read_cpu(root)
    arch_policy, archs = _read_archs(root, faults)
    if accelerator is Accelerator.CPU and "archs" in root:
        root.complain("archs", "a recipe for the CPU has no GPU archs")
    python = _read_python(root, faults)
    if source is None:
        return None
    return Recipe(
        name=path.stem,
        source=source,
        accelerator=accelerator,
        wanted=ops.wanted,
        required=ops.required,
        off=ops.off,
        python=python,
        environment=environment,
        cpu_policy=cpu_policy,
        cpu_level=cpu_level,
        arch_policy=arch_policy,
        archs=archs,
        ptx=root.choice("ptx", PtxPolicy) or PtxPolicy.NEVER,
        strip=root.flag("strip", default=True),
        skip_cuda_check=root.flag("skip_cuda_check", default=False),
        strategy=root.choice("strategy", BuildStrategy) or BuildStrategy.PER_OP,
        toolchain=root.choice("toolchain", ToolchainPolicy) or ToolchainPolicy.AUTO,
    )


def _known_ops(catalogue: Sequence[OpSpec], source: Source | None, accelerator: Accelerator | None) -> KnownOps:
    """Return what may be named; a git tree or folder may have the ops of any version."""
    accelerators = [accelerator] if accelerator else list(Accelerator)
    here = [spec for spec in catalogue if spec.accelerator in accelerators]
    place = "DeepSpeed"
    if source and source.kind is SourceKind.VERSION:
        here = [spec for each in accelerators for spec in ops_for(catalogue, source.value, each)]
        place = f"DeepSpeed {source.value}"
    return KnownOps(catalogue=catalogue, here=here, place=place + (f" on {accelerator.value}" if accelerator else ""))


def _read_environment(root: Section, faults: Faults) -> tuple[Mapping[str, str], Mapping[str, Word]]:
    """Return build variables, and apart from them DeepSpeed's op switches."""
    environment: dict[str, str] = {}
    switches: dict[str, Word] = {}
    section = root.section("env")
    for variable, word in section.items() if section else ():
        if is_op_switch(variable):
            switches[variable] = word
        elif variable in _INSTEAD_OF_VARIABLE:
            word.complain(faults, f"not here: {_INSTEAD_OF_VARIABLE[variable]}")
        elif not _VARIABLE.fullmatch(variable) or not word.text.isprintable():
            word.complain(faults, "a variable is a NAME of letters, digits and _, its value one line of text")
        else:
            environment[variable] = word.text
    return environment, switches


def _read_cpu(root: Section) -> tuple[CpuPolicy, CpuLevel | None]:
    word = root.word("cpu")
    if word is None:
        return CpuPolicy.LOWEST, None
    policies = {policy.value: policy for policy in CpuPolicy}
    levels = {level.value: level for level in CpuLevel if level is not CpuLevel.OTHER}
    if word.text not in policies and word.text not in levels:
        known = [*policies, *levels]
        root.complain("cpu", f"{quoted(word.text)} is not one of: {listed(known)}{did_you_mean(word.text, known)}")
    return policies.get(word.text, CpuPolicy.LOWEST), levels.get(word.text)


def _read_archs(root: Section, faults: Faults) -> tuple[ArchPolicy, tuple[str, ...]]:
    if not root.is_list("archs"):
        return root.choice("archs", ArchPolicy) or ArchPolicy.PER_SIGNATURE, ()
    archs: list[str] = []
    for word in root.words("archs"):
        arch = _CAPABILITY.sub(r"sm_\1\2\3", word.text)
        if not _ARCH.fullmatch(arch):
            word.complain(
                faults, f"{quoted(word.text)} is no GPU arch: sm_90, 9.0 or gfx942 is meant; PTX has its own key"
            )
        archs.append(arch)
    return ArchPolicy.PER_SIGNATURE, tuple(dict.fromkeys(archs))


def _read_python(root: Section, faults: Faults) -> str | None:
    word = root.word("python")
    fault = fault_of_python(word.text) if word else None
    if word and fault:
        word.complain(faults, fault)
    return word.text if word else None
