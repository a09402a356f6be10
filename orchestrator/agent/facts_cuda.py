"""Where CUDA's toolkit is on this machine, and what its compiler says of itself."""

from __future__ import annotations

import glob
import os
import re
import shutil

from .errors import AgentError
from .facts_tools import run_tool
from .processes import capture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

    from .processes import Children

    Tool = dict[str, Any]

_TIMEOUT_S = 10.0
_USUAL_HOME = "/usr/local/cuda"
_VERSION = r"release [\d.]+, V([\d.]+)"


class Nvcc:
    """Where CUDA is, its compiler when it was looked for there, and the GPU archs that this one lists."""

    def __init__(self, cuda_home: str | None = None, tool: Tool | None = None, archs: list[str] | None = None) -> None:
        self.cuda_home = cuda_home
        self.tool = tool
        self.archs = archs or []


def find_nvcc(children: Children) -> Nvcc:
    """Look where torch.utils.cpp_extension looks: CUDA_HOME, CUDA_PATH, nvcc on PATH, /usr/local/cuda.

    That takes for the toolkit whatever folder an nvcc on PATH lies in, even where it only leads to another one.
    """
    cuda_home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or _home_of_nvcc_on_path(children)
    if cuda_home is None:
        if not os.path.isdir(_USUAL_HOME):
            return Nvcc()
        cuda_home = _USUAL_HOME
    program = os.path.join(cuda_home, "bin", "nvcc")
    tool = run_tool(children, program, "-V", _VERSION)
    return Nvcc(cuda_home, tool, _archs(children, program) if tool["version"] else None)


def include_folders(cuda_home: str) -> list[str]:
    """Return where a toolkit may keep its headers; conda's has them by target only."""
    return [os.path.join(cuda_home, "include"), *glob.glob(os.path.join(glob.escape(cuda_home), "targets/*/include"))]


def library_folders(cuda_home: str) -> list[str]:
    """Return where a toolkit may keep its libraries."""
    by_target = glob.glob(os.path.join(glob.escape(cuda_home), "targets/*/lib"))
    return [os.path.join(cuda_home, "lib64"), os.path.join(cuda_home, "lib"), *by_target]


def _home_of_nvcc_on_path(children: Children) -> str | None:
    program = shutil.which("nvcc")
    if program is None:
        return None
    return next(filter(_is_toolkit, _possible_homes(children, program)), _two_above(program))


def _possible_homes(children: Children, program: str) -> Iterator[str]:
    yield _two_above(program)
    yield _two_above(os.path.realpath(program))
    try:
        steps = capture(children, [program, "--dryrun", "-x", "cu", "/dev/null"], _TIMEOUT_S)
    except AgentError:
        return
    top = re.search(r"^#\$ TOP=(.+)$", steps, re.MULTILINE)
    if top:
        yield os.path.realpath(top.group(1).strip())


def _is_toolkit(folder: str) -> bool:
    has_headers = any(os.path.exists(os.path.join(place, "cuda_runtime.h")) for place in include_folders(folder))
    return has_headers and os.path.exists(os.path.join(folder, "bin", "nvcc"))


def _two_above(path: str) -> str:
    return os.path.dirname(os.path.dirname(path))


def _archs(children: Children, program: str) -> list[str]:
    """Ask for the archs; an nvcc before CUDA 11 does not know the question."""
    try:
        listed = capture(children, [program, "--list-gpu-arch"], _TIMEOUT_S)
    except AgentError:
        return []
    return ["sm_" + number for number in re.findall(r"^compute_(\w+)$", listed, re.MULTILINE)]
