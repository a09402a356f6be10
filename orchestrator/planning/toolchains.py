"""Chooses what a machine compiles with for a signature, or says everything that it lacks."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version

from orchestrator.model.facts import Facts
from orchestrator.model.recipe import Recipe
from orchestrator.model.signature import Accelerator, Signature
from orchestrator.model.toolchain import Toolchain, ToolchainKind, ToolchainPolicy
from orchestrator.planning.compilers import choose_compiler
from orchestrator.planning.lacks import Lacks, find_lacks
from orchestrator.planning.nvcc import fault_of_nvcc, faults_of_archs, major_minor

_FIRST_CUDA_OF_WHEELS = "13.0"
"""NVIDIA's wheels hold a whole compiler since; those of CUDA 11 and 12 lack nvcc, cicc and cudafe++."""
_COMPILER_WHEELS = ("nvcc", "nvvm", "crt", "cccl", "cudart", "profiler")
"""Extras of `cuda-toolkit`, which pins all to one CUDA; torch's own dependencies bring the mathematical libraries."""
_FIRST_TORCH_WITHOUT_CURAND = (2, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Toolkit:
    """A CUDA toolkit that will do; on the CPU, none, which will do there."""

    kind: ToolchainKind
    reason: str = ""
    version: str | None = None
    """`13.0.88`, or `13.0` where no nvcc was run."""
    cuda_home: str | None = None
    requirements: tuple[str, ...] = ()


def choose_toolchain(machine: Facts, signature: Signature, recipe: Recipe, *, is_controller: bool) -> Toolchain | Lacks:
    """Return the machine's own toolkit where it will do, else one from wheels; the recipe's policy narrows it.

    The C++ compiler is the first that is new enough and that the toolkit's nvcc accepts.
    """
    if signature.accelerator is Accelerator.ROCM:
        return Lacks(reasons=("ROCm wheels cannot be built yet",))
    own = ToolchainKind.SYSTEM if is_controller else ToolchainKind.HOST
    toolkit = _choose_toolkit(machine, signature, recipe, own)
    nvcc_version = toolkit.version if isinstance(toolkit, _Toolkit) else None
    compiler = choose_compiler(machine.compilers, signature.cpu_level, nvcc_version)
    lacks = find_lacks(machine, signature)
    if isinstance(toolkit, Lacks) or isinstance(compiler, Lacks) or lacks:
        more = [reason for part in (compiler, toolkit) if isinstance(part, Lacks) for reason in part.reasons]
        return Lacks(reasons=tuple(dict.fromkeys((*lacks, *more))))
    assert compiler.version is not None
    return Toolchain(
        kind=toolkit.kind,
        reason=toolkit.reason,
        cxx=compiler.path,
        cxx_version=compiler.version,
        cuda=toolkit.version and major_minor(toolkit.version),
        nvcc_version=None if toolkit.kind is ToolchainKind.WHEELS else toolkit.version,
        cuda_home=toolkit.cuda_home,
        requirements=toolkit.requirements,
    )


def _choose_toolkit(machine: Facts, signature: Signature, recipe: Recipe, own: ToolchainKind) -> _Toolkit | Lacks:
    if signature.accelerator is Accelerator.CPU:
        return _Toolkit(kind=own)
    policy = recipe.toolchain
    if policy is ToolchainPolicy.WHEELS:
        return _take_wheels(signature, "as the recipe says")
    if policy is not ToolchainPolicy.AUTO and policy.value != own.value:
        who = "the controller" if policy is ToolchainPolicy.SYSTEM else "a host of the hostfile"
        return Lacks(reasons=(f"the recipe's `toolchain: {policy.value}` leaves the build to {who}",))
    found = _take_own(machine, signature, recipe, own)
    if isinstance(found, _Toolkit) or policy is not ToolchainPolicy.AUTO:
        return found
    nvcc = machine.nvcc.version if machine.nvcc else None
    wheels = _take_wheels(signature, f"its own nvcc is {nvcc}" if nvcc else "it has no working nvcc")
    return wheels if isinstance(wheels, _Toolkit) else Lacks(reasons=(*found.reasons, *wheels.reasons))


def _take_own(machine: Facts, signature: Signature, recipe: Recipe, kind: ToolchainKind) -> _Toolkit | Lacks:
    torch_cuda = _cuda_of(signature)
    nvcc = machine.nvcc
    if nvcc is None or nvcc.version is None:
        how = f" ({nvcc.error})" if nvcc else ""
        return Lacks(reasons=(f"it has no working nvcc{how}: install the toolkit of CUDA {torch_cuda}",))
    fault = fault_of_nvcc(nvcc.version, torch_cuda, skips_cuda_check=recipe.skip_cuda_check)
    if fault:
        return Lacks(reasons=(fault,))
    faults = faults_of_archs(nvcc.version, torch_cuda, signature.gpu_archs, listed=machine.nvcc_archs)
    if faults:
        return Lacks(reasons=faults)
    return _Toolkit(kind=kind, reason="its own toolkit", version=nvcc.version, cuda_home=machine.cuda_home)


def _take_wheels(signature: Signature, why: str) -> _Toolkit | Lacks:
    cuda = _cuda_of(signature)
    if Version(cuda) < Version(_FIRST_CUDA_OF_WHEELS):
        what = f"NVIDIA's wheels hold no compiler before CUDA {_FIRST_CUDA_OF_WHEELS}, and torch is built for {cuda}"
        fix = "take a toolkit of NVIDIA's packages or conda's cuda-toolkit, or a host that has one: --builder HOST"
        return Lacks(reasons=(f"{what}: {fix}",))
    faults = faults_of_archs(cuda, cuda, signature.gpu_archs)
    if faults:
        return Lacks(reasons=faults)
    has_curand = Version(signature.torch_version).release[:2] < _FIRST_TORCH_WITHOUT_CURAND
    extras = _COMPILER_WHEELS if has_curand else (*_COMPILER_WHEELS, "curand")
    return _Toolkit(
        kind=ToolchainKind.WHEELS,
        reason=why,
        version=cuda,
        requirements=(f"cuda-toolkit[{','.join(extras)}]=={cuda}.*",),
    )


def _cuda_of(signature: Signature) -> str:
    assert signature.torch_cuda is not None  # a host with GPUs and another torch is in no group
    return signature.torch_cuda
