"""Says why an op cannot be compiled, by what it needs of the machine, of torch, of the toolkit and of the GPUs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet

from orchestrator.model.facts import Facts
from orchestrator.model.ops import Need, OpSpec
from orchestrator.model.recipe import Recipe, SourceKind
from orchestrator.model.signature import Signature
from orchestrator.model.toolchain import Toolchain, ToolchainKind
from orchestrator.planning.archs import is_below

_NEWEST = "9999"
_BRINGS_CUFILE = SpecifierSet(">=2.7", prereleases=True)
"""The versions of torch that require nvidia-cufile (their wheels' metadata)."""
_READS_TWO_DIGITS = SpecifierSet(">=0.16.4")
_READS_LETTERS = SpecifierSet(">=0.16.4,<0.19.1")
"""The versions whose op_builder/builder.py, `compute_capability_args()`, makes the right flags of `10.0`, of `9.0a`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a wheel is compiled for, and with what."""

    recipe: Recipe
    signature: Signature
    builder: Facts
    """The machine that compiles."""
    toolchain: Toolchain


def deepspeed_version(recipe: Recipe) -> str:
    """Return the version (PEP 440) whose ops the recipe means; a git tree or folder counts as the newest."""
    return recipe.source.value if recipe.source.kind is SourceKind.VERSION else _NEWEST


def archs_of_op(spec: OpSpec, archs: Sequence[str]) -> tuple[str, ...]:
    """Return for which of a group's GPU archs an op is compiled: DeepSpeed leaves out those that are too old for it."""
    minimum = spec.min_arch
    return tuple(arch for arch in archs if minimum is None or not is_below(arch, minimum))


def find_obstacle(spec: OpSpec, given: Circumstances) -> str | None:
    """Return why the op cannot be compiled under these circumstances; None when it can."""
    return next(_obstacles(spec, given), None)


def _obstacles(spec: OpSpec, given: Circumstances) -> Iterator[str]:
    yield from _missing_needs(spec, given)
    yield from _wrong_versions(spec, given)
    yield from _wrong_hardware(spec, given.signature)
    if Need.NVCC in spec.needs:
        yield from _unreadable_archs(given)


def _missing_needs(spec: OpSpec, given: Circumstances) -> Iterator[str]:
    builder, toolchain = given.builder, given.toolchain
    # The torch of the package index brings NVIDIA's wheels along. The controller compiles with that one, and a toolkit
    # of wheels is for CUDA 13, newer than any torch without them; a host with a toolkit may have a torch of its own.
    has_wheels = toolchain.kind is not ToolchainKind.HOST
    is_new = toolchain.kind is ToolchainKind.WHEELS or _BRINGS_CUFILE.contains(given.signature.torch_version)
    has_cufile = builder.has_cufile or (has_wheels and is_new)
    for need in spec.needs:
        match need:
            case Need.LIBAIO if not builder.has_libaio:
                yield "libaio's headers are missing on the builder: apt install libaio-dev"
            case Need.ONECCL if not given.recipe.environment.get("CCL_ROOT"):
                yield "needs oneCCL, and the recipe's environment has no CCL_ROOT"
            case Need.NVCC if toolchain.cuda is None:
                yield "there is no CUDA toolkit to compile it with"
            case Need.CUFILE if not has_cufile:
                package = f"libcufile-dev-{toolchain.cuda or ''}".replace(".", "-")
                yield f"libcufile's header and dev link are missing on the builder: apt install {package}"
            case Need.NCCL if not (builder.has_nccl or has_wheels):
                yield "nccl.h is missing on the builder: apt install libnccl-dev"


def _wrong_versions(spec: OpSpec, given: Circumstances) -> Iterator[str]:
    torch, cuda = given.signature.torch_version, given.toolchain.cuda
    if spec.torch and not SpecifierSet(spec.torch).contains(torch, prereleases=True):
        yield f"it needs torch {spec.torch}, the hosts have {torch}"
    if cuda and not SpecifierSet(spec.nvcc).contains(cuda):
        yield f"the compiler of CUDA {cuda} rejects its source; it needs CUDA {spec.nvcc}"


def _wrong_hardware(spec: OpSpec, signature: Signature) -> Iterator[str]:
    if spec.only_machines and signature.machine not in spec.only_machines:
        yield f"{_origin_of(spec)} exists for {_listed(spec.only_machines)} only, not for {signature.machine}"
    archs = archs_of_op(spec, signature.gpu_archs)
    if signature.gpu_archs and not archs:
        yield f"it needs a GPU of {spec.min_arch} or newer, and this wheel is for {_listed(signature.gpu_archs)}"
    outside = [arch for arch in archs if spec.only_archs and arch not in spec.only_archs]
    if outside:
        yield f"{_origin_of(spec)} has code for {_listed(spec.only_archs)} only, not for {_listed(outside)}"


def _unreadable_archs(given: Circumstances) -> Iterator[str]:
    version = deepspeed_version(given.recipe)
    for arch in given.signature.gpu_archs:
        has_letter, has_two_digits = not arch[-1].isdigit(), not is_below(arch, "sm_100")
        is_read = (_READS_LETTERS.contains(version) or not has_letter) and (
            _READS_TWO_DIGITS.contains(version) or not has_two_digits
        )
        if not is_read:
            yield f"DeepSpeed {given.recipe.source.value} cannot read the arch {arch}"


def _origin_of(spec: OpSpec) -> str:
    return _listed(spec.host_packages) or "it"


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
