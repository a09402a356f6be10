"""Proves that an installation will go through, and changes nothing."""

from __future__ import annotations

import json
import os
import re

from .errors import AgentError
from .facts import free_bytes
from .installer import pip_install
from .interpreter import describe_interpreter
from .transfer import sha256_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .request import Request

    Interpreter = dict[str, Any]


def stage(request: Request) -> dict[str, Any]:
    """Return what would be installed: `name==version` each.

    Raises AgentError (install) with the first thing that stands in the way. That the bundle is complete was resolved by
    the controller against what is installed here; what was inconsistent here before is not this deployment's affair.
    """
    interpreter = describe_interpreter(request.value("python", str), request.children)
    refuse_interpreter(interpreter)
    _refuse_disk(interpreter["platlib"], request.value("need_bytes", int))
    wheel, dependencies = bundled_files(request)
    workspace = request.cache.make_workspace()
    report = os.path.join(workspace, "report.json")
    try:
        pip_install(
            request, interpreter["executable"], ["--dry-run", "--no-deps", "--report", report, wheel, *dependencies]
        )
        with open(report, encoding="utf-8") as stream:
            planned = [item["metadata"] for item in json.load(stream)["install"]]
    finally:
        request.cache.discard(workspace)
    changes = [f"{metadata['name']}=={metadata['version']}" for metadata in planned]
    deepspeed = f"deepspeed=={request.value('version', str)}"  # pip leaves out a version that is there; we never do
    return {"changes": changes if deepspeed in changes else [deepspeed, *changes]}


def refuse_interpreter(interpreter: Interpreter) -> None:
    """Raise AgentError (install) when nothing may be installed into this interpreter."""
    python, platlib = interpreter["executable"], interpreter["platlib"]
    if interpreter["is_externally_managed"]:
        hint = f"make one: {python} -m venv ~/venv, then name ~/venv/bin/python with python= in the hostfile"
        message = f"{python} belongs to the operating system (PEP 668): packages go into a virtual environment instead"
        raise AgentError("install", message, hint)
    if not interpreter["is_writable"]:
        raise AgentError("install", f"{platlib} is not writable", "name an interpreter of yours with python=")
    deepspeed = interpreter["deepspeed"]
    if deepspeed and deepspeed["is_editable"]:
        message = f"DeepSpeed {deepspeed['version']} is installed there in editable mode, from {deepspeed['location']}"
        raise AgentError("install", message, f"if you do not work on it any more: {python} -m pip uninstall deepspeed")


def bundled_files(request: Request) -> tuple[str, list[str]]:
    """Return the paths of the wheel and of its dependencies.

    Raises AgentError (install) when one of them does not have its digest.
    """
    wheel, dependencies = request.value("wheel", dict), request.value("dependencies", list)
    paths = []
    for file in (wheel, *dependencies):
        path = request.cache.resolve(file["path"])
        found = sha256_of(path)
        if found != file["sha256"]:
            what = "is missing" if found is None else f"has sha256 {found}"
            raise AgentError(
                "install", f"{path} {what}, expected sha256 {file['sha256']}", "run again: it is sent anew"
            )
        paths.append(path)
    return paths[0], paths[1:]


def _refuse_disk(folder: str, need_bytes: int) -> None:
    free = free_bytes(folder)
    if free < need_bytes:
        message = f"{folder} has {free:,} bytes free, the installation needs {need_bytes:,}"
        raise AgentError("install", message, "free some space there and run again")


def name_and_version(wheel: str) -> tuple[str, str]:
    """Return the normalised name and the version in a wheel's file name (PEP 427)."""
    project, version = os.path.basename(wheel).split("-")[:2]
    return re.sub(r"[-_.]+", "-", project).lower(), version
