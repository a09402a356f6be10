"""Decides whether a wheel fits a host, and says with evidence why not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from orchestrator.audit.fit_libraries import check_libraries, check_search_paths
from orchestrator.audit.fit_system import check_instructions, check_machine, check_symbol_versions, check_tags
from orchestrator.audit.fit_torch import check_driver, check_gpus, check_torch
from orchestrator.audit.shared_objects import version_order
from orchestrator.model.audit import Aspect, FitVerdict, Misfit, WheelContents
from orchestrator.model.facts import Facts
from orchestrator.model.signature import Accelerator, CpuLevel
from orchestrator.model.wheels import Manifest, OpRecord
from orchestrator.planning.archs import ptx_runs_on, runs_on
from orchestrator.planning.eligibility import arch_of_gpu

LIBAIO = "libaio.so.1"

Check = Callable[[WheelContents, Facts], Iterable[Misfit]]
_CHECKS_OF_FILES: tuple[Check, ...] = (
    check_tags,
    check_machine,
    check_instructions,
    check_symbol_versions,
    check_libraries,
    check_search_paths,
    check_torch,
    check_gpus,
    check_driver,
)


def judge(contents: WheelContents, facts: Facts) -> FitVerdict:
    """Return what a wheel is to a host by all that its files show and, where it has one, its manifest says.

    What both tell of one aspect is told once, in the manifest's words, but for libraries, of which the files know more.
    """
    said = tuple(each for each in _said_by_manifest(contents, facts) if each.aspect is not Aspect.LIBRARY)
    told = {misfit.aspect for misfit in said}
    shown = (each for check in _CHECKS_OF_FILES for each in check(contents, facts) if each.aspect not in told)
    return FitVerdict.of((*said, *shown))


def _said_by_manifest(contents: WheelContents, facts: Facts) -> tuple[Misfit, ...]:
    return audit(contents.manifest, facts) if contents.manifest else ()


def audit(manifest: Manifest, facts: Facts) -> tuple[Misfit, ...]:
    """Return every reason why a wheel that is what its manifest says would not work on this host; empty: it fits."""
    checks = (_python, _machine, _cpu, _symbol_versions, _libaio, _search_paths, _torch, _gpus)
    return tuple(misfit for check in checks for misfit in check(manifest, facts))


def _python(manifest: Manifest, facts: Facts) -> Iterator[Misfit]:
    needs = manifest.signature.python_tag
    if facts.interpreter is None:
        reason = facts.interpreter_error or "none was found"
        yield Misfit(aspect=Aspect.PYTHON, evidence=f"built for {needs}, the host has no interpreter: {reason}")
    elif facts.interpreter.abi_tag != needs:
        has = f"{facts.interpreter.abi_tag} ({facts.interpreter.executable})"
        yield Misfit(aspect=Aspect.PYTHON, evidence=f"built for {needs}, the host has {has}")


def _machine(manifest: Manifest, facts: Facts) -> Iterator[Misfit]:
    needs, has = manifest.signature.machine, facts.system.machine
    if needs != has:
        yield Misfit(aspect=Aspect.MACHINE, evidence=f"built for {needs}, the host is {has}")


def _cpu(manifest: Manifest, facts: Facts) -> Iterator[Misfit]:
    needs, has = manifest.signature.cpu_level, facts.system.cpu_level
    is_known = has is not CpuLevel.OTHER or needs is CpuLevel.OTHER
    if needs.machine in ("", facts.system.machine) and not (is_known and has.rank >= needs.rank):
        evidence = f"uses {needs.value} instructions, the host has {has.value} ({facts.system.cpu_model})"
        yield Misfit(aspect=Aspect.CPU, evidence=evidence)


def _symbol_versions(manifest: Manifest, facts: Facts) -> Iterator[Misfit]:
    """Compare the symbol versions that were found in the files; the signature's floors are only the builder's."""
    floors = (
        (Aspect.GLIBC, "GLIBC", manifest.glibc, facts.system.glibc),
        (Aspect.GLIBCXX, "GLIBCXX", manifest.glibcxx, facts.system.glibcxx),
    )
    for aspect, prefix, needs, has in floors:
        if needs and (has is None or version_order(has) < version_order(needs)):
            who = _ops_with(manifest.ops, aspect, needs) or "the wheel"
            evidence = f"{who} needs {prefix}_{needs}, the host has {has or 'none'}"
            yield Misfit(aspect=aspect, evidence=evidence)


def _libaio(manifest: Manifest, facts: Facts) -> Iterator[Misfit]:
    """Look for the one library that an op needs and neither torch nor the system brings along."""
    who = ", ".join(op.name for op in manifest.ops if LIBAIO in op.needed)
    if who and not facts.has_libaio_runtime:
        evidence = f"{who} needs {LIBAIO}, which the host lacks (apt install libaio1, dnf install libaio)"
        yield Misfit(aspect=Aspect.LIBRARY, evidence=evidence)


def _search_paths(manifest: Manifest, facts: Facts) -> Iterator[Misfit]:  # noqa: ARG001 - true for every host
    """Look for packages of the machine that built it, which here lie elsewhere.

    Other folders of that machine, as a conda Python's own link flags name them, are missing here and do no harm.
    """
    for op in manifest.ops:
        folders = [folder for folder in op.foreign_folders if "-packages" in folder]
        if folders:
            evidence = f"{op.name} looks for libraries in {', '.join(folders)}, of the machine that built it"
            yield Misfit(aspect=Aspect.LIBRARY, evidence=evidence)


def _ops_with(ops: Iterable[OpRecord], aspect: Aspect, version: str) -> str:
    found = [op.name for op in ops if (op.glibc if aspect is Aspect.GLIBC else op.glibcxx) == version]
    return ", ".join(found)


def _torch(manifest: Manifest, facts: Facts) -> Iterator[Misfit]:
    if facts.interpreter is None:
        return
    built, torch = manifest.signature, facts.interpreter.torch
    if torch is None:
        yield Misfit(aspect=Aspect.TORCH, evidence=f"built for torch {built.torch_version}, the host has no torch")
        return
    pairs = (
        ("torch", built.torch_version, torch.version),
        ("a torch for CUDA", built.torch_cuda, torch.cuda),
        ("a torch for HIP", built.torch_hip, torch.hip),
        ("a torch with C++11 ABI", _word(built.cxx11_abi), _word(torch.cxx11_abi)),
    )
    for what, needs, has in pairs:
        if needs != has:
            evidence = f"built for {what} {needs or 'none'}, the host has {has or 'none'}"
            yield Misfit(aspect=Aspect.TORCH, evidence=evidence)


def _word(value: bool) -> str:  # noqa: FBT001 - it turns a boolean into its word
    return "on" if value else "off"


def _gpus(manifest: Manifest, facts: Facts) -> Iterator[Misfit]:
    """Compare what was found in all files together: an op without code for some GPU is too new for that one."""
    built = manifest.signature
    if built.accelerator is Accelerator.CPU:
        return
    if built.accelerator is not facts.accelerator:
        evidence = f"built for {built.accelerator.value}, the host has {facts.accelerator.value}"
        yield Misfit(aspect=Aspect.ACCELERATOR, evidence=evidence)
        return
    found = {code for op in manifest.ops for code in (*op.gpu_archs, *op.ptx_archs)}
    codes = sorted(found) or built.gpu_archs  # what was not read was at least ordered
    for arch, name in dict.fromkeys((arch_of_gpu(gpu), gpu.name) for gpu in facts.gpus):
        if arch and not any(_serves(code, arch) for code in codes):
            holds = ", ".join(codes) or "no GPU code"
            yield Misfit(aspect=Aspect.GPU_ARCH, evidence=f"holds {holds}, the host has {arch} ({name})")


def _serves(code: str, arch: str) -> bool:
    return ptx_runs_on(code, arch) if code.startswith("compute_") else runs_on(code, arch)
