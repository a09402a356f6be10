"""Makes one CUDA_HOME on the builder, out of a toolkit's folders and of what torch brings along."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from orchestrator.build.steps import Workshop, result_of
from orchestrator.ports import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCache:
    """What stands in for nvcc's inner tools, and where it keeps their results; paths on the builder."""

    script: str
    """Run as `PYTHON -IS script folder REAL_TOOL ARGUMENT ...`."""
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaHome:
    """A CUDA_HOME to make; paths on the builder."""

    folder: str
    """A new folder."""
    roots: tuple[str, ...]
    """As a ToolchainProvider returns them."""
    compiler: str
    """The host compiler; it makes libcuda's stub."""
    stage_cache: StageCache | None = None
    """None: nvcc calls its tools itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedHome:
    """What was made."""

    nvcc_version: str
    """Full version, as its nvcc told it from there: `13.0.88`."""
    has_own_stub: bool
    """Whether no root had a stub of libcuda, so that one was compiled."""
    libraries: int
    """How many names the linker finds."""


def link_cuda_home(shop: Workshop, python: str, home: CudaHome) -> LinkedHome:
    """Make the folder `home` describes: `bin`, `include`, `lib64`, `lib`, `nvvm`, all links but for a few.

    `python` is the build environment's: its torch is the one whose libraries are linked. Raises BuildError when the
    roots together are no toolkit, or their nvcc would look for it elsewhere.
    """
    driver = shop.send_driver("link_cuda_home")
    command = Command(argv=(python, "-I", driver, json.dumps(asdict(home))))
    return LinkedHome(**result_of(shop.run("toolchain", command)))
