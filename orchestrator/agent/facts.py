"""Everything that one host says about itself, as the controller's model `Facts` wants it."""

from __future__ import annotations

import os

from .drift import MOST_NAMED, find_edits
from .errors import AgentError
from .facts_cuda import find_nvcc, include_folders, library_folders
from .facts_gpus import find_gpus
from .facts_system import describe_system
from .facts_tools import find_ccache, find_compilers, find_ninja, has_dev_link, has_header, has_runtime
from .gathering import gather
from .interpreter import describe_interpreter
from .ledger import Ledger
from .shared_folder import folder_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cache import Cache
    from .request import Request


def facts(request: Request) -> dict[str, Any]:
    """Return this host's facts; `python` is the target interpreter's path or name. A missing tool is a fact."""
    python = request.value("python", str)
    children = request.children
    inside, gpus, nvcc, compilers, ninja, ccache = gather(
        lambda: _look_inside(python, request),
        lambda: find_gpus(children),
        lambda: find_nvcc(children),
        lambda: find_compilers(children),
        lambda: find_ninja(children, beside=os.path.dirname(os.path.expanduser(python))),
        lambda: find_ccache(children),
    )
    interpreter = inside["interpreter"]
    notes = [*gpus.notes, *_notes(request.cache, interpreter, gpus.accelerator)]
    return {
        "system": describe_system(),
        "accelerator": gpus.accelerator,
        "gpus": gpus.gpus,
        "nvcc": nvcc.tool,
        "nvcc_archs": nvcc.archs,
        "cuda_home": nvcc.cuda_home,
        "compilers": compilers,
        "ninja": ninja,
        "ccache": ccache,
        **_libraries(nvcc.cuda_home, interpreter),
        "disks": _disks(request.cache, interpreter),
        **inside,
        "cached_wheels": request.cache.wheels(),
        "notes": notes,
    }


def _look_inside(python: str, request: Request) -> dict[str, Any]:
    """Return what concerns the target interpreter: itself, what was deployed into it, and what was edited since."""
    try:
        interpreter = describe_interpreter(python, request.children)
    except AgentError as error:
        return {"interpreter": None, "interpreter_error": error.message}
    ledger = Ledger.load(request.cache, interpreter["prefix"])
    noted = ledger.document()
    return {
        "interpreter": interpreter,
        "interpreter_error": None,
        **{name: noted[name] for name in ("stamp", "pending", "kept", "committed")},
        "edited_files": find_edits(interpreter, ledger.stamp)[:MOST_NAMED],
    }


def _libraries(cuda_home: str | None, interpreter: dict[str, Any] | None) -> dict[str, bool]:
    headers = include_folders(cuda_home) if cuda_home else []
    libraries = library_folders(cuda_home) if cuda_home else []
    distributions = interpreter["distributions"] if interpreter else {}
    has_nccl_package = any(name.startswith("nvidia-nccl-cu") for name in distributions)  # each brings nccl.h
    return {
        "has_libaio": has_header("libaio.h") and has_dev_link("libaio.so"),
        "has_libaio_runtime": has_runtime("libaio.so.1"),
        "has_cufile": has_header("cufile.h", beside=headers) and has_dev_link("libcufile.so", beside=libraries),
        "has_nccl": has_nccl_package or has_header("nccl.h", beside=headers),
    }


def _notes(cache: Cache, interpreter: dict[str, Any] | None, accelerator: str) -> list[str]:
    notes = [] if cache.note is None else [cache.note]
    torch = interpreter and interpreter["torch"]
    if torch and accelerator == "cuda" and torch["cuda"] is None:
        notes.append(f"this host has NVIDIA GPUs, but its torch {torch['version']} was built without CUDA")
    if torch and accelerator == "rocm" and torch["hip"] is None:
        notes.append(f"this host has AMD GPUs, but its torch {torch['version']} was built without ROCm")
    return notes


def _disks(cache: Cache, interpreter: dict[str, Any] | None) -> list[dict[str, Any]]:
    disks = [
        _disk("cache", cache.folder, filesystem_id=cache.filesystem_id()),
        _disk("tmp", os.environ.get("TMPDIR") or "/tmp"),  # noqa: S108 - its free space is read, nothing is written
    ]
    if interpreter is not None:
        platlib = interpreter["platlib"]
        disks.insert(1, _disk("site-packages", platlib, filesystem_id=folder_id(platlib, cache)))
    return [disk for disk in disks if disk is not None]


def _disk(role: str, path: str, *, filesystem_id: str | None = None) -> dict[str, Any] | None:
    try:
        return {"role": role, "path": path, "free_bytes": free_bytes(path), "filesystem_id": filesystem_id}
    except OSError:
        return None


def free_bytes(path: str) -> int:
    """Return what this user may still write at `path`, or where it will be made. Raises OSError."""
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
