"""What this machine can build with; every program is really run, because one that is there may still be broken."""

from __future__ import annotations

import os
import re
import shutil

from .errors import AgentError
from .gathering import gather
from .processes import capture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

    from .processes import Children

    Tool = dict[str, Any]

_TIMEOUT_S = 10.0
_VERSIONED = re.compile(r"(?:g\+\+|clang\+\+)-(\d+)")
_COMPILER_VERSION = r"clang version (\d[\d.]*)|\) (\d[\d.]*)"
_INCLUDE_VARIABLES = ("CPATH", "CPLUS_INCLUDE_PATH", "C_INCLUDE_PATH")


def find_compilers(children: Children) -> list[Tool]:
    """Return every C++ compiler: CXX, c++, g++, clang++, then those with a number in their name, newest first."""
    names = [os.environ.get("CXX", "").partition(" ")[0], "c++", "g++", "clang++", *_versioned_names()]
    programs: dict[str, str] = {}
    for program in filter(None, map(shutil.which, filter(None, names))):
        programs.setdefault(_identity(program), program)
    return gather(*[_asking(children, program) for program in programs.values()])


def find_ninja(children: Children, *, beside: str) -> Tool | None:
    """Return ninja from PATH, else from the folder of the target interpreter."""
    program = shutil.which("ninja") or (beside and shutil.which("ninja", path=beside))
    return run_tool(children, program, "--version", r"^(\d[\w.]*)") if program else None


def find_ccache(children: Children) -> Tool | None:
    """Return ccache from PATH."""
    program = shutil.which("ccache")
    return run_tool(children, program, "--version", r"^ccache version (\d[\w.]*)") if program else None


def has_header(name: str, *, beside: Sequence[str] = ()) -> bool:
    """Return whether a compiler would find a header; `beside` are folders that it is told of."""
    system = ["/usr/include", f"/usr/include/{_triplet()}", "/usr/local/include"]
    return _is_in([*beside, *system, *_folders_in(*_INCLUDE_VARIABLES)], name)


def has_dev_link(name: str, *, beside: Sequence[str] = ()) -> bool:
    """Return whether a linker would find a library by its `.so` name; `beside` are folders that it is told of."""
    return _is_in([*beside, *_library_folders(), *_folders_in("LIBRARY_PATH")], name)


def has_runtime(name: str) -> bool:
    """Return whether the loader would find a library by its soname."""
    return _is_in([*_library_folders(), *_folders_in("LD_LIBRARY_PATH")], name)


def _library_folders() -> list[str]:
    triplet = _triplet()
    folders = [f"/usr/lib/{triplet}", "/usr/lib64", "/usr/lib", f"/lib/{triplet}", "/lib64", "/lib"]
    return [*folders, "/usr/local/lib64", "/usr/local/lib"]


def _triplet() -> str:
    return f"{os.uname().machine}-linux-gnu"


def run_tool(children: Children, program: str, question: str, pattern: str) -> Tool:
    """Return the document of the model's `Tool`: its version, or the way in which it failed to say it."""
    try:
        text = capture(children, [program, question], _TIMEOUT_S)
    except AgentError as error:
        return {"path": program, "version": None, "error": error.message}
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        return {"path": program, "version": None, "error": f"{program} {question} named no version: {text[:80]!r}"}
    return {"path": program, "version": next(filter(None, found.groups())), "error": None}


def _asking(children: Children, program: str) -> Any:  # noqa: ANN401 - a task for gather
    return lambda: run_tool(children, program, "--version", _COMPILER_VERSION)


def _identity(program: str) -> str:
    """Return what two names of one compiler share; compiler wrappers act on the name they are called by."""
    target = os.path.realpath(program)
    return target if "++" in os.path.basename(target) or "clang" in os.path.basename(target) else program


def _versioned_names() -> list[str]:
    names = {name for folder in _folders_in("PATH") for name in _names_in(folder) if _VERSIONED.fullmatch(name)}
    return sorted(names, key=lambda name: (name.startswith("clang"), -int(name.rpartition("-")[2])))


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _folders_in(*variables: str) -> list[str]:
    return [folder for name in variables for folder in os.environ.get(name, "").split(os.pathsep) if folder]


def _is_in(folders: list[str], name: str) -> bool:
    return any(os.path.exists(os.path.join(folder, name)) for folder in folders)
