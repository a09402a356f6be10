"""What a wheel's files need of a host's torch, GPUs and driver."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.requirements import InvalidRequirement, Requirement

from orchestrator.audit.fit_system import short_name, who_has
from orchestrator.model.audit import Aspect, Misfit, SharedObject, WheelContents
from orchestrator.model.facts import Facts, Torch
from orchestrator.model.signature import Accelerator
from orchestrator.planning.archs import ptx_runs_on, runs_on
from orchestrator.planning.eligibility import arch_of_gpu

LEAST_DRIVERS = {11: 450, 12: 525, 13: 580}
"""Major version of CUDA → branch of the oldest driver that runs programs of all its minor versions: NVIDIA, "CUDA
Compatibility", "Minor Version Compatibility", table 1."""
_RUNTIME = re.compile(r"libcudart(?:[.-][0-9a-f]{8})?\.so\.(\d+)[\d.]*")
"""Also as auditwheel renames it: `libcudart.faf08d9a.so.13`."""
_NONE = ("", "0.0")


def check_torch(contents: WheelContents, facts: Facts) -> Iterator[Misfit]:
    """Compare the torch that the wheel says and shows to be made for with the host's."""
    torch = facts.interpreter.torch if facts.interpreter else None
    if torch is None:
        if facts.interpreter and contents.torch_symbols:
            yield Misfit(aspect=Aspect.TORCH, evidence="needs torch, the host has none")
        return
    yield from _check_record(contents, torch)
    yield from _check_requirements(contents, torch)
    for abi in (True, False):
        who = who_has(contents, lambda library: library.cxx11_abi, abi)
        if who and abi is not torch.cxx11_abi:
            needs, has = ("on", "off") if abi else ("off", "on")
            evidence = f"{who} is for a torch with C++11 ABI {needs}, the host's torch {torch.version} has it {has}"
            yield Misfit(aspect=Aspect.TORCH, evidence=evidence)


def check_gpus(contents: WheelContents, facts: Facts) -> Iterator[Misfit]:
    """Compare the GPU code with the host's GPUs; libraries that the wheel brings along do not count."""
    own = {
        short_name(path): library
        for path, library in contents.shared_objects.items()
        if (library.gpu_archs or library.ptx_archs) and not path.partition("/")[0].endswith(".libs")
    }
    if facts.accelerator is not Accelerator.CUDA:
        return
    yield from _check_unread(contents)
    for arch, name in dict.fromkeys((arch_of_gpu(gpu), gpu.name) for gpu in facts.gpus):
        if arch and own:
            yield from _check_gpu(own, arch, name)


def check_driver(contents: WheelContents, facts: Facts) -> Iterator[Misfit]:
    """Compare the driver with the CUDA runtime that the files are linked with."""
    names = {name for library in contents.shared_objects.values() for name in library.needed}
    runtimes = {int(match[1]) for name in names if (match := _RUNTIME.fullmatch(name))}
    drivers = dict.fromkeys(gpu.driver for gpu in facts.gpus if gpu.driver)
    for cuda in sorted(runtimes & LEAST_DRIVERS.keys()):
        least = LEAST_DRIVERS[cuda]
        for driver in drivers:
            branch = driver.split(".")[0]
            if branch.isdigit() and int(branch) < least:
                evidence = f"is linked with CUDA {cuda}, which needs driver {least} or newer, the host has {driver}"
                yield Misfit(aspect=Aspect.DRIVER, evidence=evidence)


def _check_record(contents: WheelContents, torch: Torch) -> Iterator[Misfit]:
    """Compare what DeepSpeed refuses to load with: torch's major.minor (op_builder/builder.py, 0.19)."""
    made_for = contents.torch.get("version", "")
    if made_for not in (*_NONE, _minor(torch.version)):
        yield Misfit(aspect=Aspect.TORCH, evidence=f"was built for torch {made_for}, the host has {torch.version}")
    for key, what, has in (("cuda_version", "CUDA", torch.cuda), ("hip_version", "HIP", torch.hip)):
        needs = contents.torch.get(key, "")
        if needs not in _NONE and needs != has:
            evidence = f"was built for a torch for {what} {needs}, the host has {has or 'none'}"
            yield Misfit(aspect=Aspect.TORCH, evidence=evidence)


def _check_requirements(contents: WheelContents, torch: Torch) -> Iterator[Misfit]:
    for line in contents.requires:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        is_meant = requirement.name == "torch" and (requirement.marker is None or requirement.marker.evaluate())
        if is_meant and not requirement.specifier.contains(torch.version, prereleases=True):
            yield Misfit(aspect=Aspect.TORCH, evidence=f"requires {requirement}, the host has {torch.version}")


def _check_unread(contents: WheelContents) -> Iterator[Misfit]:
    for path, library in contents.shared_objects.items():
        if library.unread_gpu_code:
            evidence = f"{short_name(path)} has GPU code that cannot be read: {library.unread_gpu_code}"
            yield Misfit(aspect=Aspect.GPU_ARCH, evidence=evidence, is_warning=True)


def _check_gpu(own: dict[str, SharedObject], arch: str, name: str) -> Iterator[Misfit]:
    has = f"the host has {arch} ({name})"
    lacking = [who for who, library in own.items() if not _serves(library, arch)]
    if len(lacking) == len(own):
        holds = sorted({code for library in own.values() for code in (*library.gpu_archs, *library.ptx_archs)})
        yield Misfit(aspect=Aspect.GPU_ARCH, evidence=f"holds {', '.join(holds)} only, {has}")
        return
    if lacking:
        evidence = f"{', '.join(lacking)} holds no code for it: {has}"
        yield Misfit(aspect=Aspect.GPU_ARCH, evidence=evidence, is_warning=True)
    slow = [who for who, library in own.items() if who not in lacking and not _is_compiled_for(library, arch)]
    if slow:
        evidence = f"{', '.join(slow)} holds PTX only, which the driver must compile first: {has}"
        yield Misfit(aspect=Aspect.GPU_ARCH, evidence=evidence, is_warning=True)


def _serves(library: SharedObject, arch: str) -> bool:
    return _is_compiled_for(library, arch) or any(ptx_runs_on(code, arch) for code in library.ptx_archs)


def _is_compiled_for(library: SharedObject, arch: str) -> bool:
    return any(runs_on(code, arch) for code in library.gpu_archs)


def _minor(version: str) -> str:
    return ".".join(version.split("+", maxsplit=1)[0].split(".")[:2])
