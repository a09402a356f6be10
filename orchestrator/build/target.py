"""Finds the interpreter on the builder that a wheel is built with."""

from __future__ import annotations

import json
from dataclasses import dataclass

from orchestrator.build.order import BuildOrder
from orchestrator.errors import BuildError, HostError
from orchestrator.model.signature import Signature
from orchestrator.ports import Command, Remote, TargetTags

_ASK = (
    "import json, sys; v = sys.version_info; print(json.dumps({'executable': sys.executable, "
    "'version': '%d.%d.%d' % v[:3], 'abi_tag': 'cp%d%d%s' % (v[0], v[1], sys.abiflags)}))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An interpreter on the builder."""

    executable: str
    version: str
    """`3.11.7`."""
    abi_tag: str

    def tags(self, signature: Signature) -> TargetTags:
        """Return for what the build's own requirements are fetched."""
        return TargetTags(
            python_version=self.version, abi_tag=self.abi_tag, machine=signature.machine, glibc=signature.glibc
        )


def find_target(order: BuildOrder, remote: Remote) -> Target:
    """Return the order's interpreter, or any of the wanted tag; raises BuildError when there is none."""
    wanted = order.signature.python_tag
    candidates = (order.python,) if order.python else _programs(wanted)
    found = [target for target in (_ask(remote, program) for program in candidates) if target is not None]
    fitting = next((target for target in found if target.abi_tag == wanted), None)
    if fitting is None:
        seen = ", ".join(f"{target.executable} is {target.abi_tag}" for target in found) or "none that runs"
        raise BuildError(
            f"{remote.host} has no Python for {wanted} (looked for {', '.join(candidates)}: {seen})",
            hint="install that Python with its headers there, or let a host of the group build: --builder HOST",
        )
    return fitting


def _programs(abi_tag: str) -> tuple[str, ...]:
    """Return the names under which a Python of a tag is found: `cp313t` → `python3.13t`, `python3`, `python`."""
    return (f"python{abi_tag[2]}.{abi_tag[3:]}", "python3", "python")


def _ask(remote: Remote, program: str) -> Target | None:
    try:
        completed = remote.run(Command(argv=(program, "-c", _ASK)))
    except HostError:  # there is no such program
        return None
    return Target(**json.loads(completed.tail[-1])) if completed.returncode == 0 else None
