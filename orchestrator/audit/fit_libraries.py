"""Which libraries a wheel's files need that neither it, nor torch, nor every system brings along."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.audit.fit_system import short_name
from orchestrator.model.audit import Aspect, Misfit, WheelContents
from orchestrator.model.facts import Facts

_EVERYWHERE = re.compile(
    r"(?:libc|libm|libdl|librt|libpthread|libutil|libresolv|ld-linux[\w-]*|libstdc\+\+|libgcc_s|libgomp[\w-]*)\.so[\d.]*"
    r"|lib(?:torch|c10|shm)\w*\.so"
)
"""Of glibc, of gcc, and of torch."""
_TORCH_WITH_CUDA = re.compile(r"lib(?:c10|torch)_cuda\w*\.so")
_OF_ONE_CUDA = re.compile(r"lib(?:cudart|cublas|cublasLt|nvrtc)\.so\.(\d+)[\d.]*")
"""NVIDIA's libraries whose number is CUDA's major version."""
_OF_NVIDIA = re.compile(
    r"lib(cudart|cublas|cublasLt|nvrtc|curand|cusparse|cusparseLt|cusolver|cufft|cudnn|nccl|cufile|nvjpeg|nvJitLink)\.so.*"
)
_PACKAGES = {"cudart": "cuda-runtime", "cublasLt": "cublas", "nvrtc": "cuda-nvrtc", "nvJitLink": "nvjitlink"}
"""NVIDIA's packages are called as their library is, but for these."""
_DRIVER, _LIBAIO = "libcuda.so.1", "libaio.so.1"
_UNKNOWN = ("which the host must have from elsewhere", True)


def check_libraries(contents: WheelContents, facts: Facts) -> Iterator[Misfit]:
    """Look for each library that is needed where the host must have it from."""
    brought = {path.rpartition("/")[2] for path in contents.shared_objects}
    brought |= {library.soname for library in contents.shared_objects.values() if library.soname}
    needed = {name for library in contents.shared_objects.values() for name in library.needed} - brought
    for name in sorted(needed):
        found = _judge(name, facts)
        if found:
            lack, is_warning = found
            who = [short_name(path) for path, library in contents.shared_objects.items() if name in library.needed]
            yield Misfit(
                aspect=Aspect.LIBRARY, evidence=f"{', '.join(who)} needs {name}, {lack}", is_warning=is_warning
            )


def check_search_paths(contents: WheelContents, facts: Facts) -> Iterator[Misfit]:  # noqa: ARG001 - true for every host
    """Look for packages of the machine that built it, which lie elsewhere on a host."""
    for path, library in contents.shared_objects.items():
        folders = [folder for folder in library.search_path if "-packages" in folder and not folder.startswith("$")]
        if folders:
            evidence = f"{short_name(path)} looks for libraries in {', '.join(folders)}, of the machine that built it"
            yield Misfit(aspect=Aspect.LIBRARY, evidence=evidence)


def _judge(name: str, facts: Facts) -> tuple[str, bool] | None:
    """Return what a host lacks of one library, and whether that is a guess; None when it has it."""
    torch = facts.interpreter.torch if facts.interpreter else None
    if _TORCH_WITH_CUDA.fullmatch(name):
        is_without = torch is not None and torch.cuda is None
        return ("the host's torch is without CUDA", False) if is_without else None
    if _EVERYWHERE.fullmatch(name):
        return None
    if name == _LIBAIO:
        lack = "which the host lacks (apt install libaio1, dnf install libaio)"
        return None if facts.has_libaio_runtime else (lack, False)
    if name == _DRIVER:
        has_driver = any(gpu.driver for gpu in facts.gpus)
        return None if has_driver else ("the NVIDIA driver's, which the host lacks", False)
    return _judge_nvidia(name, facts) if _OF_NVIDIA.fullmatch(name) else _UNKNOWN


def _judge_nvidia(name: str, facts: Facts) -> tuple[str, bool] | None:
    """Judge a library of a CUDA toolkit: a torch for the same CUDA has it, or a package of NVIDIA's."""
    of_nvidia, of_one_cuda = _OF_NVIDIA.fullmatch(name), _OF_ONE_CUDA.fullmatch(name)
    assert of_nvidia  # the caller's choice
    torch = facts.interpreter.torch if facts.interpreter else None
    packages = facts.interpreter.distributions if facts.interpreter else {}
    package = f"nvidia-{_PACKAGES.get(of_nvidia[1], of_nvidia[1]).lower()}"
    if not of_one_cuda:
        is_there = any(each in (package, f"{package}-cu11", f"{package}-cu12", f"{package}-cu13") for each in packages)
        return None if is_there else _UNKNOWN
    has = torch.cuda if torch else None
    is_there = f"{package}-cu{of_one_cuda[1]}" in packages or (has is not None and has.split(".")[0] == of_one_cuda[1])
    return None if is_there else (f"the host's torch is {f'for CUDA {has}' if has else 'without CUDA'}", False)
