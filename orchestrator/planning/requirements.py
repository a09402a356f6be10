"""Finds which of a wheel's requirements a host does not meet."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from orchestrator.errors import InstallError
from orchestrator.model.facts import Interpreter, System


def missing_requirements(requires_dist: Sequence[str], interpreter: Interpreter, system: System) -> tuple[str, ...]:
    """Return the `Requires-Dist` lines to fetch for the host, without their markers; extras are not asked for.

    Markers are evaluated for the host, not for this machine (PEP 508). Raises InstallError when the host's torch does
    not fit: torch is what the wheel was compiled against, it is never fetched.
    """
    environment = make_marker_environment(interpreter, system)
    requirements = [Requirement(line) for line in requires_dist]
    asked = [item for item in requirements if item.marker is None or item.marker.evaluate(environment)]
    missing = [item for item in asked if not _is_met(item, interpreter)]
    for item in missing:
        if canonicalize_name(item.name) == "torch":
            raise _torch_mismatch(item, interpreter)
    return tuple(_without_marker(item) for item in missing)


def kept_distributions(interpreter: Interpreter, missing: Sequence[str]) -> dict[str, str]:
    """Return what stays as it is (name → version): what is there, but not as the wheel needs it, is replaced."""
    replaced = {canonicalize_name(Requirement(line).name) for line in missing}
    return {name: version for name, version in interpreter.distributions.items() if name not in replaced}


def make_marker_environment(interpreter: Interpreter, system: System) -> dict[str, str]:
    """Return the marker variables of a CPython on Linux, as PEP 508 names them."""
    return {
        "extra": "",
        "implementation_name": "cpython",
        "implementation_version": interpreter.version,
        "os_name": "posix",
        "platform_machine": system.machine,
        "platform_python_implementation": "CPython",
        "platform_release": system.kernel,
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": interpreter.version,
        "python_version": ".".join(interpreter.version.split(".")[:2]),
        "sys_platform": "linux",
    }


def _is_met(requirement: Requirement, interpreter: Interpreter) -> bool:
    installed = interpreter.distributions.get(canonicalize_name(requirement.name))
    if installed is None:
        return False
    try:
        return requirement.specifier.contains(installed, prereleases=True)
    except InvalidVersion:
        return False


def _without_marker(requirement: Requirement) -> str:
    requirement.marker = None
    return str(requirement)


def _torch_mismatch(requirement: Requirement, interpreter: Interpreter) -> InstallError:
    found = interpreter.distributions.get("torch", "none")
    return InstallError(
        f"the wheel needs {_without_marker(requirement)}, and {interpreter.executable} has {found}",
        hint="make a new plan: dsdeploy builds for the torch that is there, and never changes it",
    )
