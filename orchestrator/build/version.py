"""Names a wheel so that no two signatures share a file name."""

from __future__ import annotations

import re

from packaging.version import Version

from orchestrator.model.signature import Accelerator, Signature
from orchestrator.model.wheels import BuildKey

_KEY_DIGITS = 8


def torch_minor(torch_version: str) -> str:
    """Return what torch keeps its C++ interface within: `2.13.0+cpu` → `2.13`."""
    version = Version(torch_version)
    return f"{version.major}.{version.minor}"


def local_version(signature: Signature, key: BuildKey) -> str:
    """Return the local part of the wheel's version: `+torch2.13.cpu.x8664v3.k0123abcd` (PEP 440).

    The key's letter keeps its digits: a part that is all digits would be read as a number.
    """
    parts = (f"torch{torch_minor(signature.torch_version)}", *_machine_words(signature), f"k{key[:_KEY_DIGITS]}")
    return "+" + ".".join(parts)


def _machine_words(signature: Signature) -> tuple[str, ...]:
    archs = tuple(_plain(arch) for arch in signature.gpu_archs)
    match signature.accelerator:
        case Accelerator.CPU:
            return ("cpu", _plain(signature.cpu_level.value))
        case Accelerator.CUDA:
            return (_plain(f"cu{signature.torch_cuda}"), *archs)
        case Accelerator.ROCM:
            return (_plain(f"rocm{signature.torch_hip}"), *archs)


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())
