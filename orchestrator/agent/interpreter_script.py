"""Runs inside the target interpreter: what it is and what is installed in it, read from files; nothing is imported.

Its only floor is Python 3.8; it knows nothing of the agent.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
import sysconfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

_ASSIGNMENT = re.compile(r"^(\w+)\s*(?::[^=\n]+)?=[ \t]*(.+)$", re.MULTILINE)
_TRITON_NAMES = ("triton", "pytorch-triton", "pytorch-triton-rocm", "triton-rocm")


def main(_arguments: list[str]) -> None:
    """Print the document of the model's `Interpreter`, less `requested` and `uv`, behind the mark."""
    sys.stdout.write("\n\x1e" + json.dumps(describe()) + "\n")


def describe() -> dict[str, Any]:
    """Return what this interpreter is; a distribution earlier on sys.path hides a later one, as in Python."""
    platlib = sysconfig.get_path("platlib")
    found = list(installed())
    distributions = {name: version for name, version, _ in reversed(found)}
    in_environment = sys.prefix != sys.base_prefix
    marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    return {
        "executable": sys.executable,
        "prefix": sys.prefix,
        "version": "%d.%d.%d" % sys.version_info[:3],
        "abi_tag": abi_tag(),
        "platlib": platlib,
        "scheme": scheme(),
        "is_writable": is_writable(platlib),
        "has_headers": os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")),
        "pip": distributions.get("pip"),
        "is_externally_managed": not in_environment and os.path.exists(marker),
        "torch": torch(),
        "triton": next((distributions[name] for name in _TRITON_NAMES if name in distributions), None),
        "deepspeed": next((deepspeed(version, path) for name, version, path in found if name == "deepspeed"), None),
        "distributions": distributions,
    }


def scheme() -> dict[str, str]:
    """Return where pip puts a wheel's files, by the names of PEP 427; a distribution's headers get a folder below."""
    paths = {name: sysconfig.get_path(name) for name in ("platlib", "purelib", "scripts", "data")}
    if sys.prefix == sys.base_prefix:
        return dict(paths, headers=sysconfig.get_path("include"))
    return dict(paths, headers=os.path.join(sys.prefix, "include", "site", "python%d.%d" % sys.version_info[:2]))


def abi_tag() -> str:
    """Return the ABI tag that its wheels carry (PEP 425): `cp311`, `cp313t`."""
    name = {"cpython": "cp", "pypy": "pypy"}.get(sys.implementation.name, sys.implementation.name)
    return f"{name}{sys.version_info[0]}{sys.version_info[1]}{getattr(sys, 'abiflags', '')}"


def is_writable(folder: str) -> bool:
    """Return whether this user may write into a folder, or make it."""
    while not os.path.exists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return os.access(folder, os.W_OK)


def installed() -> Iterator[tuple[str, str, str]]:
    """Yield the normalised name (PEP 503), version and metadata path of each distribution, in the order of sys.path."""
    for folder in dict.fromkeys(sys.path):
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")) and not name.startswith("~"):
                path = os.path.join(folder, name)
                project, version = name_and_version(path)
                if version:
                    yield re.sub(r"[-_.]+", "-", project).lower(), version, path


def name_and_version(path: str) -> tuple[str, str]:
    """Return what a metadata folder's name says, or its PKG-INFO where the name has no version."""
    stem = os.path.basename(path).rpartition(".")[0]
    project, _, rest = stem.partition("-")
    if rest:
        return project, re.sub(r"-py\d+\.\d+.*$", "", rest)
    found = re.search(r"^Version:\s*(\S+)", read(os.path.join(path, "PKG-INFO")), re.MULTILINE)
    return project, found.group(1) if found else ""


def torch() -> dict[str, Any] | None:
    """Return the document of the model's `Torch`; None when torch is not installed."""
    package = package_folder("torch")
    said = assignments(read(os.path.join(package, "version.py"))) if package else {}
    if package is None or "__version__" not in said:
        return None
    return {
        "version": said["__version__"],
        "git": said.get("git_version"),
        "cuda": major_minor(said.get("cuda")),
        "hip": major_minor(said.get("hip")),
        "cxx11_abi": uses_cxx11_abi(os.path.join(package, "lib", "libc10.so")),
        "file": os.path.join(package, "version.py"),
    }


def uses_cxx11_abi(library: str) -> bool:
    """Tell the ABI by the mangled names of libc10's functions that take a std::string; new where neither is there."""
    try:
        with open(library, "rb") as stream:
            names = stream.read()
    except OSError:
        return True
    return b"SourceLocationENSt7__cxx11" in names or b"SourceLocationESs" not in names


def deepspeed(version: str, metadata: str) -> dict[str, Any]:
    """Return the document of the model's `InstalledDeepSpeed`."""
    package = package_folder("deepspeed")
    said = assignments(read(os.path.join(package, "git_version_info_installed.py"))) if package else {}
    return {
        "version": version,
        "location": os.path.dirname(metadata),
        "installed_ops": {
            op: bool(is_in) for op, is_in in (said.get("installed_ops") or {}).items()
        },  # some are 0 or 1
        "accelerator": said.get("accelerator_name") or None,
        "record_sha256": digest(os.path.join(metadata, "RECORD")),
        "is_editable": is_editable(metadata),
    }


def is_editable(metadata: str) -> bool:
    """Return whether pip only linked to a source tree (PEP 610), or setup.py develop did: no version in the name."""
    direct_url = read(os.path.join(metadata, "direct_url.json"))
    if direct_url:
        return bool(json.loads(direct_url).get("dir_info", {}).get("editable"))
    return "-" not in os.path.basename(metadata).rpartition(".")[0]


def package_folder(name: str) -> str | None:
    """Return the folder of a top-level package without importing it; None when it is not there."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return os.path.dirname(spec.origin) if spec and spec.origin else None


def assignments(source: str) -> dict[str, Any]:
    """Return the names that a module's text sets to literals."""
    import ast  # noqa: PLC0415 - most interpreters have neither torch nor DeepSpeed

    values: dict[str, Any] = {}
    for name, text in _ASSIGNMENT.findall(source):
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            continue
    return values


def major_minor(version: str | None) -> str | None:
    """Return the first two numbers of a dotted version."""
    return ".".join(version.split(".")[:2]) if version else None


def digest(path: str) -> str | None:
    """Return a file's sha256 (hex); None when there is none."""
    import hashlib  # noqa: PLC0415 - only for DeepSpeed's own RECORD

    try:
        with open(path, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return None


def read(path: str) -> str:
    """Return a file's text; empty when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
