"""The ways to change what is installed: a wheel goes in, what was kept goes in again, or another host does it."""

from __future__ import annotations

import json
import os
import re

from .change import Change
from .errors import AgentError
from .incoming import incoming_paths
from .installer import pip_install
from .keeping import survey
from .own_files import Site
from .record import check_record, find_metadata
from .transfer import sha256_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union

    from .keeping import Manifest
    from .request import Request

    Interpreter = dict[str, Any]
    Way = Union["WheelWay", "KeptWay", "SharedWay"]

_GRACE_S = 120.0
"""pip is let finish when the connection is lost meanwhile: less is half then, should nobody come back to undo it."""


def way_of(request: Request, interpreter: Interpreter) -> Way:
    """Return the way that was ordered, its files checked. Raises AgentError (install) when they are not as ordered."""
    ways: dict[str, type[Way]] = {"wheel": WheelWay, "kept": KeptWay, "follow": SharedWay}
    name = request.value("way", str)
    if name not in ways:
        raise AgentError("usage", f"there is no way {name!r}: {', '.join(ways)}")
    return ways[name](request, interpreter)


class WheelWay:
    """A wheel goes in, even over its own version, with those dependencies that are not there yet: one run of pip."""

    def __init__(self, request: Request, interpreter: Interpreter) -> None:
        wheel, *dependencies = bundled_files(request)
        there = interpreter["distributions"].items()
        self.need_bytes = request.value("need_bytes", int)
        self._wheels = [wheel, *(path for path in dependencies if name_and_version(path) not in there)]
        self._request = request
        self._program: str = interpreter["executable"]
        self._scheme: dict[str, str] = interpreter["scheme"]

    def survey(self) -> Manifest:
        """Return all that pip will replace or add."""
        names = [name_and_version(path)[0] for path in self._wheels]
        return survey(Site(self._scheme), names, self._incoming())

    def rehearse(self) -> list[str]:
        """Return what pip would install: `name==version` each. Raises AgentError (install) with pip's own reason."""
        workspace = self._request.cache.make_workspace()
        report = os.path.join(workspace, "report.json")
        try:
            self._pip("--dry-run", "--report", report)
            with open(report, encoding="utf-8") as stream:
                planned = [item["metadata"] for item in json.load(stream)["install"]]
        finally:
            self._request.cache.discard(workspace)
        return [f"{metadata['name']}=={metadata['version']}" for metadata in planned]

    def put_in(self, _change: Change) -> None:
        """Run pip. Raises AgentError (install) with its own reason."""
        self._pip(grace_s=_GRACE_S)

    def read_back(self) -> None:
        """Compare every file with the RECORD that pip wrote. Raises AgentError (install)."""
        for path in self._incoming():
            if path.endswith(".dist-info/RECORD"):
                check_record(os.path.dirname(path))

    def _incoming(self) -> list[str]:
        return [path for wheel in self._wheels for path in incoming_paths(wheel, self._scheme)]

    def _pip(self, *arguments: str, grace_s: float = 0.0) -> None:
        arguments = ("--no-deps", "--force-reinstall", *arguments, *self._wheels)
        pip_install(self._request, self._program, arguments, grace_s=grace_s)


class KeptWay:
    """What an earlier deployment replaced goes in again."""

    def __init__(self, request: Request, interpreter: Interpreter) -> None:
        self._scheme: dict[str, str] = interpreter["scheme"]
        self._content = Change(request.cache, interpreter["prefix"]).content_of(request.value("kept", str))
        self.need_bytes = sum(file.get("size", 0) for file in self._content["files"])

    def survey(self) -> Manifest:
        """Return all that will be replaced, added or taken out."""
        return survey(Site(self._scheme), self._content["distributions"], self._content["incoming"])

    def rehearse(self) -> list[str]:
        """Return the names of the distributions that change."""
        return list(self._content["distributions"])

    def put_in(self, change: Change) -> None:
        """Put the files in and compare them with what was kept. Raises AgentError (install)."""
        change.put_in(self._content)

    def read_back(self) -> None:
        """Compare nothing: putting it in did."""


class SharedWay:
    """Another host, which shares the folder, changes it."""

    need_bytes = 0

    def __init__(self, _request: Request, interpreter: Interpreter) -> None:
        self._scheme: dict[str, str] = interpreter["scheme"]

    def survey(self) -> None:
        """Keep nothing: the other host does."""

    def rehearse(self) -> list[str]:
        """Return nothing: nothing changes from here."""
        return []

    def put_in(self, _change: Change) -> None:
        """Change nothing: the other host did."""

    def read_back(self) -> None:
        """Compare what this host sees of DeepSpeed with its RECORD. Raises AgentError (install)."""
        for folder in Site(self._scheme).folders:
            for metadata in find_metadata(folder, "deepspeed"):
                check_record(metadata)


def bundled_files(request: Request) -> list[str]:
    """Return the paths of the wheel and of its dependencies.

    Raises AgentError (install) when one of them does not have its digest.
    """
    files = [request.value("wheel", dict), *request.value("dependencies", list)]
    for file in files:
        path = request.cache.resolve(file["path"])
        found = sha256_of(path)
        if found != file["sha256"]:
            what = "is missing" if found is None else f"has sha256 {found}"
            message = f"{path} {what}, expected sha256 {file['sha256']}"
            raise AgentError("install", message, "run again: it is sent anew")
    return [request.cache.resolve(file["path"]) for file in files]


def name_and_version(wheel: str) -> tuple[str, str]:
    """Return the normalised name and the version in a wheel's file name (PEP 427)."""
    project, version = os.path.basename(wheel).split("-")[:2]
    return re.sub(r"[-_.]+", "-", project).lower(), version
